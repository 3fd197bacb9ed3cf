"""Faults that real processes meet, with concurrent clients whose histories are judged.

`scenarios.py --server COHORT-KV [--list] NAME...`. Exits 77 (meson: skipped) where this machine lacks the rights.
Each scenario ends with all nodes agreeing on one state, every client's history linearizable with a final read of
everything at every node, and no answer that the protocol of `cohort-kv` does not know.
"""
import argparse
import contextlib
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import hostile
from cluster import Cluster, Timeout, eventually, free_port
from linear import LEGAL, check
from load import Load
from mesh import Mesh
from resp import Client, Disconnected, ServerError
from surroundings import Clock, Disk

server = None
started = time.monotonic()
SCENARIOS = {}


class Skip(Exception):
    pass


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


def say(text):
    print(f"  {time.monotonic() - started:6.2f} s  {text}", flush=True)


def judge(load, cluster, unknown_max=None):
    """The end of most scenarios: everything is read once more at every node, then the history is judged."""
    load.stop()
    assert not load.errors, f"{len(load.errors)} unlawful answers, the first: {load.errors[:3]}"
    cluster.settled()
    for node in cluster.running():
        load.read_all(node)
    verdict, text = check(load.history)
    say(f"{load.acknowledged()} writes acknowledged, {load.unknown} unknown, {load.refused} refused; {text}")
    assert load.acknowledged() > 100, "too few writes to judge anything"
    assert verdict == LEGAL, f"{verdict}: {text}"


def progress(load, count=30, seconds=10.0, what="writes are acknowledged"):
    before = load.acknowledged()
    eventually(what, lambda: load.acknowledged() >= before + count, seconds)


@scenario
def kill_under_load():
    """kill -9 of the leader, then of a follower, each restarted under load."""
    with Cluster(server).start().ready() as cluster, Load(cluster.nodes) as load:
        progress(load)
        for turn in range(2):
            for role in ("leader", "follower"):
                leader = cluster.leader()
                victim = leader if role == "leader" else next(n for n in cluster.running() if n is not leader)
                at = time.monotonic()
                victim.kill()
                progress(load, what=f"service goes on after the {role} was killed")
                say(f"{role} {victim.name} killed: {load.longest_gap(at) * 1000:.0f} ms without an acknowledged write")
                time.sleep(0.3)
                victim.start()
                eventually(f"{victim.name} is active again", lambda v=victim: v.info().get("role") == "follower", 15)
                progress(load)
        judge(load, cluster)


@scenario
def rolling_restart():
    """SIGTERM to each node in turn, the leader first, as for an update: leadership is handed over, nobody waits for a timeout."""
    with Cluster(server).start().ready() as cluster, Load(cluster.nodes) as load:
        for _ in cluster.nodes:
            progress(load)
            victim = cluster.leader()
            at = time.monotonic()
            code = victim.stop()
            assert code == 0, f"{victim.name} ended with {code}\n{victim.tail()}"
            progress(load, what="service goes on after the leader was stopped")
            say(f"{victim.name} stopped: {load.longest_gap(at) * 1000:.0f} ms without an acknowledged write")
            assert "to lead instead" in victim.tail(200), f"{victim.name} handed nothing over\n{victim.tail()}"
            victim.start()
            eventually(f"{victim.name} is active again", lambda v=victim: v.info().get("role") == "follower", 15)
        judge(load, cluster)


@scenario
def pause_the_leader():
    """SIGSTOP, long enough to be excluded and then short of it; a stopped leader must not answer from the past."""
    with Cluster(server).start().ready() as cluster, Load(cluster.nodes) as load:
        for seconds in (3.5, 0.8):
            progress(load)
            leader = cluster.leader()
            at = time.monotonic()
            leader.pause()
            progress(load, what="service goes on without the stopped leader")
            say(f"{leader.name} stopped: {load.longest_gap(at) * 1000:.0f} ms without an acknowledged write")
            time.sleep(max(0.0, seconds - (time.monotonic() - at)))
            leader.resume()
            progress(load)
            cluster.settled(among=None)
        judge(load, cluster)


@scenario
def cut_links():
    """The leader alone, one link, one direction of one link, resets, all links: healed in turn."""
    mesh = Mesh()
    with Cluster(server, mesh=mesh).start().ready() as cluster, Load(cluster.nodes) as load:
        names = [n.name for n in cluster.nodes]

        def others(name):
            return [n for n in names if n != name]

        progress(load)
        leader = cluster.leader().name
        mesh.isolate(leader, names)
        progress(load, what="the majority goes on without the isolated leader")
        eventually("the isolated leader stops answering writes", lambda: not_serving(cluster.node(leader)), 10)
        mesh.heal()
        cluster.settled()
        say(f"{leader} isolated and healed")

        leader = cluster.leader().name
        a, b = others(leader)
        mesh.cut(a, b)
        progress(load, what="two followers that do not see each other are no obstacle")
        mesh.heal()
        cluster.settled()
        say(f"{a}-{b} cut and healed")

        leader = cluster.leader().name
        mesh.cut(leader, others(leader)[0], one_way=True)
        progress(load, seconds=15, what="a link that carries one way only is survived")
        mesh.heal()
        cluster.settled()
        say("one direction cut and healed")

        for _ in range(3):
            leader = cluster.leader().name
            mesh.cut(leader, others(leader)[1], reset=True)
            mesh.heal()
            progress(load, what="a reset link comes back")
        say("links reset")

        for name in names:
            mesh.isolate(name, names)
        eventually("nobody answers writes without a quorum", lambda: all(not_serving(n) for n in cluster.nodes), 15)
        mesh.heal()
        progress(load, seconds=20, what="service comes back when the network does")
        assert mesh.forwarded > 10000, "the nodes did not talk through the proxy"
        judge(load, cluster)


def not_serving(node):
    try:
        node.call("SET", "probe", "1", timeout=4)
        return False
    except ServerError as answer:
        return answer.code in ("NOQUORUM", "UNKNOWN")
    except Disconnected:
        return False


@scenario
def restart_of_all():
    """kill -9 of all three under load, several times; every acknowledged write is there again."""
    with Cluster(server).start().ready() as cluster:
        with Load(cluster.nodes) as load:
            for turn in range(3):
                progress(load, count=150)
                for node in cluster.nodes:
                    node.kill()
                time.sleep(0.1)
                at = time.monotonic()
                cluster.start()
                progress(load, seconds=20, what="service after the restart of all")
                say(f"all killed and restarted: {load.longest_gap(at) * 1000:.0f} ms to the first write")
            judge(load, cluster)
        for node in cluster.nodes:
            assert node.stop() == 0, f"{node.name} did not end cleanly on SIGTERM\n{node.tail()}"


@scenario
def replaced_directory():
    """A node that lost its disk comes back as a learner, is promoted, and then counts. It never forgets for others."""
    with Cluster(server).start().ready() as cluster, Load(cluster.nodes) as load:
        progress(load, count=150)
        leader = cluster.leader()
        victim = next(n for n in cluster.nodes if n is not leader)
        victim.kill()
        shutil.rmtree(victim.data)
        progress(load)
        victim.start()
        roles = []

        def promoted():
            role = victim.info().get("role")
            if role and (not roles or roles[-1] != role):
                roles.append(role)
            return role == "follower" or role == "leader"

        eventually("the replaced node becomes a voter", promoted, 25, pause=0.002)
        say(f"{victim.name} came back: {' -> '.join(roles)}")
        cluster.settled()
        # Now it counts: the third one goes, and the service needs the replaced one.
        third = next(n for n in cluster.nodes if n not in (leader, victim))
        third.kill()
        progress(load, what="the replaced node is a full member")
        third.start()
        judge(load, cluster)


@scenario
def blank_disk_never_votes():
    """Writes held by n1 and n2 only; n1 away, n2's disk lost: n2 and n3 together must not found a history without them."""
    with Cluster(server).start().ready() as cluster:
        leader = cluster.leader()
        second, third = (n for n in cluster.nodes if n is not leader)
        third.kill()
        eventually("a write without the third", lambda: leader.call("SET", "precious", "kept") == "OK", 10)
        for i in range(200):
            eventually(f"write {i}", lambda i=i: leader.call("SET", f"precious:{i}", i) == "OK", 10)
        leader.kill()
        second.kill()
        shutil.rmtree(second.data)
        second.start()
        third.start()
        deadline = time.monotonic() + 6
        refused = 0
        while time.monotonic() < deadline:
            for node in (second, third):
                try:
                    value = node.call("GET", "precious", timeout=3)
                    raise AssertionError(f"{node.name} answered {value!r} without the only holder of what was acknowledged")
                except (ServerError, Disconnected):
                    refused += 1
            time.sleep(0.1)
        say(f"two nodes, one of them blank: {refused} times no answer")
        leader.start()
        eventually("the holder brings it back", lambda: leader.call("GET", "precious") == b"kept", 25)
        cluster.settled(30)
        for node in cluster.nodes:
            with node.client() as client:
                values = client.pipeline([("GET", f"precious:{i}") for i in range(200)])
            assert values == [str(i).encode() for i in range(200)], f"{node.name} lost acknowledged writes"


@scenario
def full_disk():
    """One follower's disk, then the leader's, is full: the others serve; space comes back, the node does."""
    if os.geteuid() != 0:
        raise Skip("mounting a small tmpfs needs root")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cohort-full-"))
    mounted = []
    try:
        for i in (1, 2, 3):
            where = folder / f"n{i}"
            where.mkdir()
            if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192m", "none", str(where)], capture_output=True).returncode:
                raise Skip("tmpfs cannot be mounted here")
            mounted.append(where)
        with Cluster(server, folder=folder).start().ready() as cluster, Load(cluster.nodes, pause=0.002) as load:
            progress(load)
            for role in ("follower", "leader"):
                leader = cluster.leader()
                victim = leader if role == "leader" else next(n for n in cluster.nodes if n is not leader)
                filler = fill(victim.data)
                size = len(load.history)
                # Some payload, so that the journal needs more than the pages it can use again.
                other = next(n for n in cluster.nodes if n is not victim)
                for i in range(40):
                    try:
                        other.call("SET", f"bulk:{i}", os.urandom(100_000), timeout=4)
                    except (ServerError, Disconnected):
                        pass
                progress(load, count=60, seconds=20, what=f"service with the {role}'s disk full")
                say(f"{role} {victim.name}'s disk full, {len(load.history) - size} operations meanwhile, "
                    f"it {'runs' if victim.running() else 'ended'}")
                filler.unlink()
                if not victim.running():
                    assert "disk" in victim.tail() or "space" in victim.tail(), f"it ended without a word\n{victim.tail()}"
                    victim.start()
                progress(load, seconds=20)
                cluster.settled(30)
                say(f"{victim.name} is back")
            judge(load, cluster)
    finally:
        for where in mounted:
            subprocess.run(["umount", "-l", str(where)], capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def fill(folder):
    filler = pathlib.Path(folder) / "filler"
    with open(filler, "wb") as out:
        try:
            while True:
                out.write(bytes(1 << 16))
                out.flush()
        except OSError:
            pass
    return filler


@scenario
def five_nodes():
    """Five nodes bear two losses, refuse at the third, and go on when one comes back."""
    with Cluster(server, size=5).start().ready() as cluster, Load(cluster.nodes) as load:
        progress(load)
        victims = [cluster.leader()]
        victims[0].kill()
        progress(load)
        victims.append(cluster.leader())
        victims[1].kill()
        progress(load, what="service goes on with three of five")
        rest = cluster.running()
        victims.append(rest[0])
        rest[0].kill()
        eventually("two of five refuse", lambda: all(not_serving(n) for n in cluster.running()), 15)
        say("two of five refuse writes")
        victims[2].start()
        progress(load, seconds=20, what="service goes on when the third is back")
        for node in victims[:2]:
            node.start()
        judge(load, cluster)


@scenario
def volatile_group():
    """Volatile: one node may go and come; after the loss of all nothing starts again under the old epoch."""
    with Cluster(server, settings={"durability": "volatile"}).start().ready() as cluster:
        with Load(cluster.nodes) as load:
            progress(load)
            for _ in range(2):
                leader = cluster.leader()
                leader.kill()
                progress(load, what="service goes on")
                leader.start()
                eventually(f"{leader.name} is active again", lambda n=leader: n.info().get("role") == "follower", 15)
            judge(load, cluster)
        for node in cluster.nodes:
            node.kill()
        cluster.start()
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            for node in cluster.running():
                try:
                    node.call("SET", "a", "b", timeout=3)
                    raise AssertionError(f"{node.name} serves, though everything acknowledged was lost")
                except (ServerError, Disconnected):
                    pass
            time.sleep(0.1)
        advice = eventually("every node says what to do", lambda: all("--new-epoch" in n.log.read_text() for n in cluster.nodes) and
                            re.search(r"--new-epoch (\d+)", cluster.nodes[0].log.read_text()), 15)
        say(f"all lost: refuses, and names {advice[0]}")
        for node in cluster.nodes:
            if node.running():
                node.kill()
        cluster.start("--new-epoch", advice[1])
        cluster.ready()
        assert cluster.nodes[0].call("DBSIZE") <= 3
        say("founded anew")


@scenario
def transactions_and_redis_cli():
    """WATCH is broken by a write through another node; a stock Redis client works; thousands of connections work."""
    with Cluster(server).start().ready() as cluster:
        one, two, three = cluster.nodes
        with one.client() as a, two.client() as b:
            a.call("SET", "w", "1")
            a.call("WATCH", "w")
            b.call("SET", "w", "2")
            a.call("MULTI")
            assert a.call("SET", "w", "3") == "QUEUED"
            assert a.call("EXEC") is None, "EXEC must see what another node wrote"
            assert a.call("GET", "w") == b"2"
            a.call("WATCH", "w")
            a.call("MULTI")
            a.call("INCR", "w")
            assert a.call("EXEC") == [3]
            a.call("SET", "short", "x", "PX", "300")
            assert 0 < b.call("PTTL", "short") <= 300
            eventually("expiry, everywhere", lambda: all(n.call("GET", "short") is None for n in cluster.nodes), 5)
        if shutil.which("redis-cli"):
            out = subprocess.run(["redis-cli", "-p", str(three.redis_port), "-3", "HSET", "h", "f", "v"], capture_output=True,
                                 text=True, timeout=10, stdin=subprocess.DEVNULL)
            assert out.stdout.strip() == "1", out
            out = subprocess.run(["redis-cli", "-p", str(one.redis_port), "HGETALL", "h"], capture_output=True, text=True,
                                 timeout=10, stdin=subprocess.DEVNULL)
            assert out.stdout.split() == ["f", "v"], out
            say("redis-cli works")
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
        clients = [Client(cluster.nodes[i % 3].redis_port) for i in range(min(3000, min(most, 8192) - 200))]
        try:
            for i, client in enumerate(clients):
                client.send(b"*3\r\n$3\r\nSET\r\n$5\r\nc%04d\r\n$1\r\nx\r\n" % i)
            for client in clients:
                assert client.reply() == "OK"
        finally:
            for client in clients:
                client.close()
        say(f"{len(clients)} connections served")
        pipe = [("INCR", "p")] * 5000
        with two.client(timeout=20) as client:
            assert client.pipeline(pipe) == list(range(1, 5001))
        say("5000 commands in one pipeline, answered in order")
        cluster.settled()


@scenario
def storm():
    """A minute of faults at random, several at a time, more than a quorum bears; then calm, and the account."""
    seconds = float(os.environ.get("COHORT_STORM_SECONDS", "60"))
    seed = int(os.environ.get("COHORT_SEED", str(time.time_ns() % 1_000_000)))
    chance = random.Random(seed)
    print(f"  COHORT_SEED={seed} repeats the choice of faults")
    mesh = Mesh()
    with Cluster(server, size=3 if seed % 3 else 5, mesh=mesh).start().ready() as cluster, \
            Load(cluster.nodes, pause=0.006, operations_per_key=60) as load:
        names = [n.name for n in cluster.nodes]
        end = time.monotonic() + seconds
        done = {}
        stopped = {}  # node: when it goes on
        while time.monotonic() < end:
            kind = chance.choice(("kill", "kill", "stop", "isolate", "cut", "one way", "reset", "heal", "heal", "start", "all"))
            node = chance.choice(cluster.nodes)
            if kind == "kill" and node.running() and node not in stopped:
                node.kill()
            elif kind == "all" and chance.random() < 0.3:
                for each in cluster.nodes:
                    if each.running() and each not in stopped:
                        each.kill()
            elif kind == "stop" and node.running() and node not in stopped:
                node.pause()
                stopped[node] = time.monotonic() + chance.choice((0.1, 0.5, 1.5, 3))
            elif kind == "isolate":
                mesh.isolate(node.name, names)
            elif kind in ("cut", "one way", "reset"):
                other = chance.choice([n for n in names if n != node.name])
                mesh.cut(node.name, other, one_way=kind == "one way", reset=kind == "reset")
            elif kind == "heal":
                mesh.heal()
            elif kind == "start":
                cluster.start()
            else:
                continue
            done[kind] = done.get(kind, 0) + 1
            time.sleep(chance.choice((0.05, 0.3, 0.8, 1.5)))
            for paused in [n for n, until in stopped.items() if time.monotonic() > until]:
                paused.resume()
                del stopped[paused]
            for each in cluster.nodes:  # nothing ends by itself
                if each.process.returncode not in (None, -signal.SIGKILL):
                    raise AssertionError(f"{each.name} ended with {each.process.returncode}")
        for paused in stopped:
            paused.resume()
        mesh.heal()
        cluster.start()
        say(f"{len(names)} nodes, {load.acknowledged()} writes acknowledged during " +
            ", ".join(f"{count} x {kind}" for kind, count in sorted(done.items())))
        progress(load, seconds=30, what="service when the storm is over")
        judge(load, cluster)


@scenario
def bad_input():
    """Garbage, oversized, truncated and slow bytes on both ports; clients that never read. The service does not notice."""
    with Cluster(server).start().ready() as cluster, Load(cluster.nodes, clients=3) as load:
        progress(load)
        target = cluster.leader()
        before = resident(target.pid)
        for name, attack in hostile.attacks(int(target.address.split(":")[1]), target.redis_port):
            attack()
            assert target.running(), f"{name} ended {target.name}\n{target.tail()}"
            progress(load, count=10, what=f"service during '{name}'")
        after = resident(target.pid)
        say(f"{len(list(hostile.attacks(0, 0)))} attacks; resident memory {before >> 20} -> {after >> 20} MiB")
        assert after < before + (192 << 20), "memory was not bounded"
        judge(load, cluster)


def resident(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def refuses_to_start(node, *words, arguments=(), seconds=10):
    """The node must end by itself with an error that contains all of `words`."""
    command = [str(node.cluster.server), "--config", str(node.config), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"{node.config.name}: started or hung instead of refusing: {late.stderr}") from None
    text = done.stdout + done.stderr
    assert done.returncode not in (0, -signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS), f"exit {done.returncode}: {text}"
    for word in words:
        assert word.lower() in text.lower(), f"'{word}' is not in what {node.config.name} was answered: {text}"
    return text


@scenario
def bad_configuration():
    """Each wrong configuration is refused with its line, what is wrong and what to do."""
    with Cluster(server) as cluster:
        node = cluster.nodes[0]
        good = node.config.read_text()

        def refused(change, *words):
            text = change(good)
            assert text != good, "the change did not change anything"
            node.config.write_text(text)
            answer = refuses_to_start(node, *words)
            say(answer.strip().splitlines()[-1][:150])

        refused(lambda t: t.replace("redis =", "rediss ="), "rediss", "redis", ":11")
        refused(lambda t: t.replace("[kv]", "[kw]"), "kw", "kv")
        refused(lambda t: t.replace('durability = "journaled"', 'durability = "journalled"'), "journalled", "journaled")
        refused(lambda t: t.replace('reads = "linearizable"', 'reads = 7'), "reads")
        refused(lambda t: t.replace('name = "n1"', 'name = "n9"'), "n9")
        refused(lambda t: t.replace('name = "n1"\n', ''), "name")
        refused(lambda t: t.replace("[members]", "[members"), "n1.toml")
        refused(lambda t: t.replace(node.address, "127.0.0.1:99999"), "99999")
        refused(lambda t: t.replace(node.address, "127.0.0.1"), "port")
        refused(lambda t: t.replace(f'n2 = "{cluster.nodes[1].address}"', f'n2 = "{node.address}"'), node.address)
        refused(lambda t: t.replace('name = "n1"', 'name = "n1"\nlisten = "127.0.0.1:1"'), "listen")
        node.config.write_text(good)
        node.config.write_bytes(os.urandom(3000))
        refuses_to_start(node)
        node.config.write_text(good)

        # Ports and directories.
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", node.redis_port))
            taken.listen()
            refuses_to_start(node, str(node.redis_port), "in use")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", int(node.address.split(":")[1])))
            taken.listen()
            refuses_to_start(node, node.address.split(":")[1], "in use")
        cluster.start().ready()
        text = refuses_to_start(node)
        say("started twice: " + text.strip().splitlines()[-1][:150])
        assert node.running() and node.call("PING") == "PONG", "the first one was harmed"
        other = cluster.nodes[1]
        other.stop()
        other.write_config()
        other.config.write_text(other.config.read_text().replace(str(other.data), str(node.data)))
        text = refuses_to_start(other)
        say("open directory: " + text.strip().splitlines()[-1][:150])
        node.stop()
        text = refuses_to_start(other, "n1")
        say("another node's directory: " + text.strip().splitlines()[-1][:150])
        other.write_config()
        blocked = cluster.folder / "file"
        blocked.write_text("")
        other.config.write_text(other.config.read_text().replace(str(other.data), str(blocked)))
        refuses_to_start(other, "file")
        if os.path.isdir("/proc/sys"):
            other.config.write_text(other.config.read_text().replace(str(blocked), "/proc/cohort"))
            refuses_to_start(other, "/proc/cohort")
        other.write_config()
        cluster.start().ready()


@scenario
def corrupt_records():
    """Bytes flipped in a stopped node's data: it is repaired from the others or refuses; it never serves what is wrong."""
    with Cluster(server).start().ready() as cluster:
        with Load(cluster.nodes) as load:
            progress(load, count=300)
            load.stop()
            cluster.settled()
            victim = next(n for n in cluster.nodes if n is not cluster.leader())
            victim.stop()
            files = [f for f in victim.data.rglob("*") if f.is_file() and f.stat().st_size > 8192 and "lock" not in f.name]
            assert files, "no data file to damage"
            data = max(files, key=lambda f: f.stat().st_blocks)
            sound = data.read_bytes()
            outcomes = []
            for offset in range(0, min(len(sound), 1 << 20), max(4096, min(len(sound), 1 << 20) // 12)):
                damaged = bytearray(sound)
                for i in range(offset + 16, min(offset + 4000, len(sound)), 97):
                    damaged[i] ^= 0x5a
                data.write_bytes(damaged)
                victim.start()

                def answered():
                    if not victim.running():
                        return "refused"
                    return "served" if victim.call("DBSIZE", timeout=3) is not None else None

                try:
                    what = eventually("an answer or an end", answered, 15)
                except Timeout:
                    what = "waits"
                if what == "refused":
                    assert victim.process.returncode > 0, f"damage at {offset}: signal {victim.process.returncode}\n{victim.tail()}"
                else:
                    load.read_all(victim)
                    victim.kill()
                outcomes.append(what)
                data.write_bytes(sound)
            say(f"damaged at {len(outcomes)} places: {', '.join(f'{outcomes.count(o)} {o}' for o in sorted(set(outcomes)))}")
            data.write_bytes(sound)
            victim.start()
            judge(load, cluster)


@scenario
def read_only_disk():
    """A directory that is read-only is refused in words; one that gets so, or breaks, under a node loses nothing."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cohort-disk-"))
    disks = {f"n{i}": Disk(folder / f"n{i}", folder / f"n{i}.img") for i in (1, 2, 3)}
    try:
        if not all(d.mounted for d in disks.values()):
            raise Skip("mounting small ext4 file systems needs root and loop devices")
        with Cluster(server, folder=folder) as cluster:
            for disk in disks.values():  # an empty directory beside what mkfs left there
                (disk.where / "data").mkdir()
            for node in cluster.nodes:
                node.data = node.data / "data"
                node.write_config()
            refused_read_only(cluster.nodes[0], disks["n1"])
            cluster.start().ready()
            cluster.nodes[0].stop()
            refused_read_only(cluster.nodes[0], disks["n1"])
            cluster.nodes[0].start()
            cluster.ready()
            with Load(cluster.nodes) as load:
                for role in ("follower", "leader"):
                    for harm in ("error", "fail"):
                        progress(load, count=100)
                        leader = cluster.leader()
                        victim = leader if role == "leader" else next(n for n in cluster.nodes if n is not leader)
                        others = [n for n in cluster.nodes if n is not victim]
                        at = time.monotonic()
                        getattr(disks[victim.name], harm)()
                        progress(load, count=200, what=f"service goes on while the {role}'s disk takes nothing")
                        eventually(f"{victim.name} ends", lambda v=victim: not v.running(), 10)
                        assert victim.process.returncode > 0, f"ended with {victim.process.returncode}\n{victim.tail()}"
                        assert str(victim.data) in victim.tail(), f"it ended without a word\n{victim.tail()}"
                        say(f"{role} {victim.name}: {harm}, ended; {load.longest_gap(at) * 1000:.0f} ms without a write; " +
                            victim.tail(1).strip()[:140])
                        cluster.settled(among=others)
                        disks[victim.name].repair()
                        victim.start()
                        progress(load)
                        cluster.settled(30)
                judge(load, cluster)
    finally:
        for disk in disks.values():
            disk.close()
        shutil.rmtree(folder, ignore_errors=True)


def refused_read_only(node, disk):
    disk.remount("ro")
    text = refuses_to_start(node, str(node.data), "read-only", "remount")
    say(text.strip().splitlines()[-1][:170])
    disk.remount("rw")


class Expiry:
    """Asks for the time to live of one key, at all nodes in turn, while clocks jump. Agreed time is what it shows."""

    def __init__(self, nodes, seconds):
        self.nodes, self.seconds = nodes, seconds
        self.seen = []  # (asked, answered, milliseconds left)
        self.ended = threading.Event()
        eventually("the key is set", lambda: nodes[0].call("SET", "lasting", "x", "EX", seconds) == "OK")
        self.since = time.monotonic()
        self.thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.ended.set()
        self.thread.join(10)

    def _ask(self):
        at = 0
        while not self.ended.is_set():
            at += 1
            asked = time.monotonic()
            try:
                left = self.nodes[at % len(self.nodes)].call("PTTL", "lasting", timeout=3)
                self.seen.append((asked, time.monotonic(), left))
            except (ServerError, Disconnected):
                pass
            time.sleep(0.01)

    def judge(self):
        assert len(self.seen) > 100, f"only {len(self.seen)} answers"
        least = None
        for asked, answered, left in sorted(self.seen, key=lambda s: s[1]):
            # Set at `since` by a leader's clock which may have been behind; 500 ms is what followers bear.
            due = self.seconds * 1000 - (answered - self.since) * 1000
            assert left > due - 1000, f"{(due - left) / 1000:.1f} s too early: {left} ms left {answered - self.since:.2f} s later"
            # Only what was asked after another one was answered must not be younger than that.
            before = [l for a, l in (least or []) if a <= asked]
            assert not before or left <= min(before), f"agreed time ran back: {min(before)} ms were left, then {left}"
            least = [*(least or [])[-20:], (answered, left)]
        return self.seconds * 1000 - (self.seen[-1][1] - self.since) * 1000, self.seen[-1][2]


@scenario
def clocks_jump():
    """The leader's clock, then a follower's, jumps an hour ahead and back under load; agreed time does not notice."""
    if not Clock.library():
        raise Skip("libfaketime is not installed: tools/setup --tests")
    with contextlib.ExitStack() as at_end, Cluster(server) as cluster:
        clocks = {n.name: at_end.enter_context(Clock(n)) for n in cluster.nodes}
        cluster.start().ready()
        with Load(cluster.nodes) as load, Expiry(cluster.nodes, 1800) as expiry:
            progress(load)
            for role, seconds in (("leader", 3600), ("leader", -3600), ("follower", 3600), ("follower", -3600)):
                leader = cluster.leader()
                victim = leader if role == "leader" else next(n for n in cluster.nodes if n is not leader)
                others = [n for n in cluster.nodes if n is not victim]
                at = time.monotonic()
                clocks[victim.name].jump(seconds)
                off = int(victim.call("TIME")[0]) - time.time()
                assert abs(off - seconds) < 5, f"the clock of {victim.name} is off by {off:.0f} s, not {seconds}"
                progress(load, count=200, what=f"service goes on when the {role}'s clock jumps by {seconds} s")
                if role == "leader" and seconds > 0:
                    eventually("another one leads", lambda v=victim, o=others: cluster.leader(among=o) is not v, 10)
                if (role, seconds) != ("leader", -3600):  # then agreed time stands until the leader's clock has caught up
                    expires_in_time(others)
                while time.monotonic() < at + 2.5:
                    time.sleep(0.05)
                gap = load.longest_gap(at)
                before = load.acknowledged()
                clocks[victim.name].jump(0)
                progress(load, count=200, what="service when the clock is right again")
                cluster.settled()
                say(f"{role} {victim.name} {seconds:+d} s: {gap * 1000:.0f} ms without an acknowledged write, "
                    f"{cluster.leader().name} leads; {before} writes so far")
                expires_in_time(cluster.nodes)
            expiry.stop()
            due, left = expiry.judge()
            say(f"{len(expiry.seen)} looks at agreed time; at the end {left} ms to live of {due:.0f}")
            assert abs(due - left) < 1000, "agreed time stands still"
            judge(load, cluster)


def expires_in_time(nodes, ms=400):
    """A key that is to live shortly is there at first, and goes."""
    for node in nodes:
        key = f"brief:{random.random()}"
        set_at = eventually("a brief key is set", lambda: node.call("SET", key, "x", "PX", ms) == "OK" and time.monotonic())
        there = node.call("EXISTS", key)
        assert there or time.monotonic() - set_at > ms / 2000, f"gone at {node.name} within {time.monotonic() - set_at:.3f} s"
        eventually(f"the brief key goes at {node.name}", lambda: node.call("EXISTS", key) == 0, 10)


@scenario
def founders_differ():
    """A node with another table of founders is refused at HELLO, and both sides say what differs."""
    with Cluster(server) as cluster:
        odd = cluster.nodes[2]
        table = cluster.members()
        table["n4"] = f"127.0.0.1:{free_port()}"
        odd.write_config(members=table)
        cluster.start()
        time.sleep(0.2)
        eventually("n1 says what differs", lambda: "n4" in cluster.nodes[0].log.read_text(), 10)
        eventually("n3 says what differs", lambda: "n4" in odd.log.read_text(), 10)
        for node in cluster.nodes:
            assert not_serving(node), f"{node.name} serves in a group that was never founded"
        say(next(line for line in odd.log.read_text().splitlines() if "n4" in line)[:170])
        odd.kill()
        odd.write_config()
        odd.start()
        cluster.ready()
        say("founded once the tables agree")


def main(known=SCENARIOS):
    global server
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.list:
        print("\n".join(known))
        return 0
    server = options.server
    # An interrupted harness ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for name in options.names or known:
        print(f"{name}: {known[name].__doc__.splitlines()[0]}", flush=True)
        try:
            known[name]()
        except Skip as why:
            print(f"  skipped: {why}")
            return 77
        print(f"{name}: held", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
