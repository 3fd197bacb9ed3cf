"""Real cohort-kv nodes on loopback: started, killed, stopped and asked; everything is polled with a deadline.

Used by the process tests, tools/demo and bench/. Ends only the processes it started, also when interrupted.
"""
import atexit
import ctypes
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from resp import Client, Disconnected, ServerError

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_running = set()  # Popen objects started here


class Timeout(AssertionError):
    """Something did not come true in time; the text says what was last seen."""


def eventually(what, check, seconds=10.0, pause=0.02):
    """Polls `check` until it returns something true, and returns that. Connection trouble counts as not yet."""
    deadline = time.monotonic() + seconds
    last = None
    while True:
        try:
            value = check()
            if value:
                return value
            last = value
        except (Disconnected, ServerError, OSError) as problem:
            last = problem
        if time.monotonic() > deadline:
            raise Timeout(f"{what}: not within {seconds} s (last: {last!r})")
        time.sleep(pause)


_given = set()


def free_port():
    """A port nobody listens on, below the range the kernel gives to outgoing connections."""
    for _ in range(1000):
        port = random.randrange(15000, 32000)
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError("no free port between 15000 and 32000")


def _child_setup():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # nodes never outlive their harness


def end_all():
    for process in list(_running):
        if process.poll() is None:
            try:
                process.send_signal(signal.SIGCONT)
                process.kill()
            except ProcessLookupError:
                pass
            process.wait()
        _running.discard(process)


atexit.register(end_all)


def conclude(site, run):
    """Prints what `run(site)` returns; where it fails, the ends of its nodes' logs. Then nothing of the site is left."""
    try:
        print("sum at the end:", run(site))
    except BaseException:
        for name in site.nodes:
            print(f"---- {name}\n" + site.log(name)[-3000:])
        raise
    finally:
        site.end()
        shutil.rmtree(site.folder, ignore_errors=True)


def launch(command, piped=False, **options):
    """A child that dies with us. Call from the main thread only: the kernel ties its life to the calling thread's."""
    if piped:
        options |= {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(command, **{"stdin": subprocess.DEVNULL, "start_new_session": True, "preexec_fn": _child_setup,
                                           **options})
    _running.add(process)
    return process


class Node:
    def __init__(self, cluster, name, address, listen, redis_port, data):
        self.cluster, self.name = cluster, name
        self.address, self.listen = address, listen
        self.redis_port, self.data = redis_port, pathlib.Path(data)
        self.config = cluster.folder / f"{name}.toml"
        self.log = cluster.folder / f"{name}.log"
        self.environment = {}  # beside that of the harness
        self.host = "127.0.0.1"  # where clients find it
        self.prefix = []         # of the command that starts it
        self.process = None

    def write_config(self, members=None, **kv):
        members = members or self.cluster.members()
        settings = {**self.cluster.settings, **kv}
        lines = ["[node]", f'name = "{self.name}"', f'data = "{self.data}"']
        if self.listen:
            lines.append(f'listen = "{self.listen}"')
        lines += ["", "[members]", *(f'{name} = "{address}"' for name, address in members.items())]
        lines += ["", "[kv]", f'redis = "{self.host}:{self.redis_port}"', *(f'{k} = "{v}"' for k, v in settings.items())]
        self.config.write_text("\n".join(lines) + "\n")

    def start(self, *arguments):
        assert not self.running(), f"{self.name} runs already"
        with open(self.log, "ab") as log:
            self.process = launch([*self.prefix, str(self.cluster.server), "--config", str(self.config), *arguments],
                                  stdout=log, stderr=log, env={**os.environ, **self.environment})
        return self

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        _running.discard(self.process)

    def stop(self, seconds=15):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.name} did not end within {seconds} s of SIGTERM\n{self.tail()}") from None
        finally:
            if self.process.poll() is not None:
                _running.discard(self.process)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def client(self, timeout=5.0):
        return Client(self.redis_port, host=self.host, timeout=timeout)

    def call(self, *arguments, timeout=5.0):
        with self.client(timeout) as client:
            return client.call(*arguments)

    def info(self, timeout=2.0):
        """The `# Cohort` section of INFO as a dictionary of strings."""
        values, inside = {}, False
        for line in self.call("INFO", timeout=timeout).decode().splitlines():
            if line.startswith("#"):
                inside = line.strip() == "# Cohort"
            elif inside and ":" in line:
                key, value = line.split(":", 1)
                values[key] = value.strip()
        return values

    def tail(self, lines=25):
        if not self.log.exists():
            return ""
        return "\n".join(f"    {self.name}| {line}" for line in self.log.read_text(errors="replace").splitlines()[-lines:])


class Cluster:
    """`size` founders. `server` is the cohort-kv binary; `proxied` puts a `mesh.Mesh` between the nodes."""

    def __init__(self, server, size=3, folder=None, mesh=None, settings=None):
        self.server = pathlib.Path(server).resolve()
        self.own_folder = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="cohort-process-"))
        self.settings = {"durability": "journaled", "reads": "linearizable", **(settings or {})}
        self.mesh = mesh
        self.nodes = []
        for i in range(1, size + 1):
            port = free_port()
            listen = None
            address = f"127.0.0.1:{port}"
            if mesh:
                listen = f"0.0.0.0:{port}"
                address = f"127.0.0.1:{mesh.listen_for(f'n{i}', port)}"
            self.nodes.append(Node(self, f"n{i}", address, listen, free_port(), self.folder / f"n{i}"))
        for node in self.nodes:
            node.write_config()
        if mesh:
            mesh.pids = lambda: {n.pid: n.name for n in self.nodes if n.running()}
            mesh.start()

    def members(self):
        return {n.name: n.address for n in self.nodes}

    def node(self, name):
        return next(n for n in self.nodes if n.name == name)

    def start(self, *arguments):
        for node in self.nodes:
            if not node.running():
                node.start(*arguments)
        return self

    def running(self):
        return [n for n in self.nodes if n.running()]

    def leader(self, seconds=10.0, among=None):
        """The node that leads, as all of `among` (default: all that run) say."""
        among = among or self.running()

        def agreed():
            said = {n.info().get("leader") for n in among}
            return self.node(said.pop()) if len(said) == 1 and None not in said and "" not in said else None

        return eventually("a leader that all agree on", agreed, seconds)

    def ready(self, seconds=15.0, among=None):
        """Waits until every node answers a write."""
        try:
            for node in among or self.running():
                eventually(f"{node.name} answers a write", lambda n=node: n.call("SET", f"ready:{n.name}", "1") == "OK", seconds)
        except Timeout:  # mostly before any `with` could clean up
            self.dump()
            self.close(keep=bool(os.environ.get("COHORT_KEEP")))
            raise
        return self

    def settled(self, seconds=20.0, among=None, lag="lag_entries"):
        """Waits until all say the same leader, view and state."""
        among = among or self.running()

        def same():
            infos = [n.info() for n in among]
            return all(i.get("leader") for i in infos) and \
                len({(i["leader"], i["view"], i["applied_index"], i["state_digest"]) for i in infos}) == 1 and infos

        return eventually("all nodes hold the same state", same, seconds, pause=0.05)

    def dump(self):
        print(f"  data in {self.folder}")
        for node in self.nodes:
            if node.process is not None and node.process.poll() is not None:
                print(f"  {node.name} ended with {node.process.returncode}")
            print(node.tail())

    def close(self, keep=False):
        for node in self.nodes:
            if node.running():
                node.resume()
                node.kill()
        if self.mesh:
            self.mesh.close()
            self.mesh = None
        if self.own_folder and not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.dump()
        self.close(keep=bool(os.environ.get("COHORT_KEEP")))
