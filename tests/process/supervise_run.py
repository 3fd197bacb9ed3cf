"""`cohort supervise` with programs that fail in every way, and what a node tells its service manager.

`supervise_run.py COHORT COUNTER`.
"""
import ctypes
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

from cluster import _child_setup, _running, eventually, free_port

cohort, counter = sys.argv[1:]
folder = pathlib.Path(tempfile.mkdtemp(prefix="cohort-supervise-"))
libc = ctypes.CDLL(None, use_errno=True)


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Supervised:
    def __init__(self, *command, options=(), **more):
        self.log = folder / f"{len(_running)}-{time.monotonic_ns()}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([cohort, "supervise", *options, "--", *map(str, command)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True, preexec_fn=_child_setup, **more)
        _running.add(self.process)

    def text(self):
        return self.log.read_text()

    def pids(self):
        return [int(line.split(" as process ")[1].split(",")[0]) for line in self.text().splitlines() if " as process " in line]

    def started(self, times):
        return eventually(f"start {times}\n{self.text()}", lambda: len(self.pids()) >= times and self.pids()[times - 1], 20)

    def wait(self, seconds=20):
        return self.process.wait(seconds)

    def signal(self, number):
        self.process.send_signal(number)


QUICK = ("--first-delay", "0.02", "--longest-delay", "0.1")


def crash_loop():
    s = Supervised("sh", "-c", "exit 7", options=(*QUICK, "--failures", "4"))
    assert s.wait() == 3, s.text()
    assert len(s.pids()) == 5, s.text()
    for words in ("ended with exit code 7", "failure 1 of at most 4", "3 times in a row", "CRASH LOOP", "failure 5 within"):
        assert words in s.text(), f"{words} is not in\n{s.text()}"


def window_slides():
    """A program that fails more slowly than the limit says goes on for ever."""
    s = Supervised("sh", "-c", "sleep 0.15; exit 1", options=("--first-delay", "0.001", "--longest-delay", "0.001", "--failures", "5",
                                                               "--window", "0.5"))
    s.started(12)
    assert "CRASH" not in s.text()
    s.signal(signal.SIGTERM)
    s.wait()


def backs_off():
    s = Supervised("sh", "-c", "exit 1", options=("--first-delay", "0.1", "--longest-delay", "10", "--failures", "5"))
    begin = time.monotonic()
    assert s.wait() == 3
    took = time.monotonic() - begin
    assert took > 0.5 * (0.1 + 0.2 + 0.4 + 0.8 + 1.6), f"restarts within {took:.2f} s: no back-off"


def ends_of_its_own():
    s = Supervised("true", options=QUICK)
    assert s.wait() == 0 and len(s.pids()) == 1, s.text()
    s = Supervised(folder / "absent", options=QUICK)
    assert s.wait() == 2 and "cannot run" in s.text(), s.text()


def three_members():
    """The counter's contract tolerates a failure, so it has three founders."""
    return [word for name in ("n1", "n2", "n3") for word in ("--member", f"{name}=127.0.0.1:{free_port()}")]


def killed_node_returns():
    """kill -9 of a real node; then SIGTERM to the supervisor, which the node obeys."""
    s = Supervised(counter, "--name", "n1", "--data", folder / "n1", *three_members(), options=QUICK)
    first = s.started(1)
    eventually("the node listens", lambda: "listening" in s.text(), 20)
    os.kill(first, signal.SIGKILL)
    second = s.started(2)
    assert first != second and not alive(first)
    assert "was ended by signal 9" in s.text() and "restart 1" in s.text(), s.text()
    eventually("the node listens again", lambda: s.text().count("listening") == 2, 20)
    s.signal(signal.SIGTERM)
    assert s.wait() == 0, s.text()
    assert "asked to stop: drains" in s.text() and not alive(second), s.text()


def signals_are_forwarded():
    s = Supervised("sh", "-c", "trap 'echo got HUP' HUP; trap 'echo got TERM; exit 5' TERM; echo ready; while :; do sleep 0.05; done")
    eventually("the traps", lambda: "ready" in s.text())
    s.signal(signal.SIGHUP)
    eventually("SIGHUP", lambda: "got HUP" in s.text())
    s.signal(signal.SIGTERM)
    assert s.wait() == 5, s.text()
    assert "got TERM" in s.text()


def stop_limit():
    s = Supervised("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done", options=("--stop-limit", "0.5"))
    pid = s.started(1)
    eventually("the trap", lambda: "ready" in s.text())
    s.signal(signal.SIGTERM)
    assert s.wait() == 128 + 9, s.text()
    assert "stop limit: killed" in s.text() and not alive(pid)


def no_orphans():
    """Neither when the supervisor is killed, nor of what the program left behind in a session of its own."""
    s = Supervised("sleep", "100")
    pid = s.started(1)
    s.process.kill()
    s.wait()
    eventually("the end of the program", lambda: not alive(pid))

    left = folder / "left"
    s = Supervised("sh", "-c", f"setsid sleep 100 & echo $! >> {left}; sleep 0.1; exit 1", options=QUICK)
    s.started(3)
    s.signal(signal.SIGTERM)
    s.wait()
    for pid in map(int, left.read_text().split()):
        assert not alive(pid), f"process {pid} was left behind\n{s.text()}"


class Manager:
    """What systemd would hear."""

    def __init__(self):
        self.path = folder / f"notify-{time.monotonic_ns()}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)
        self.heard = []

    def listen(self):
        while True:
            try:
                self.heard.append((time.monotonic(), self.socket.recv(4096).decode()))
            except BlockingIOError:
                return self.heard

    def count(self, words, since=0.0):
        return sum(words in text for when, text in self.listen() if when > since)


PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 17, 0x4206, 0x4207, 0x40000000


def trace(request, tid):
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    assert libc.ptrace(request, tid, None, None) == 0, os.strerror(ctypes.get_errno())


def threads_in_epoll(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        call = (task / "syscall").read_text().split()
        if call[0] in ("232", "281", "441"):  # epoll_wait, epoll_pwait, epoll_pwait2
            found.append(int(task.name))
    return found


def notify():
    manager = Manager()
    data, members = folder / "notified", three_members()
    environment = {**os.environ, "NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "400000"}
    with open(folder / "notified.log", "wb") as log:
        node = subprocess.Popen([counter, "--name", "n1", "--data", str(data), *members],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, text=True,
                                start_new_session=True, preexec_fn=_child_setup)
        others = [subprocess.Popen([counter, "--name", name, "--data", str(folder / f"notified-{name}"), *members],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, preexec_fn=_child_setup)
                  for name in ("n2", "n3")]
    _running.add(node)
    _running.update(others)
    for number in (1, 2, 39):
        node.stdin.write(f"{number}\n")
        node.stdin.flush()
        total = node.stdout.readline().strip()
    assert total == "42"
    assert manager.count("READY=1") == 0, "ready before it runs"
    node.stdin.close()
    eventually("READY=1", lambda: manager.count("READY=1") == 1, 20)
    eventually("a status", lambda: manager.count(", view 0, 3 of 3 members active") >= 1, 20)
    eventually("the watchdog", lambda: manager.count("WATCHDOG=1") >= 5, 20)

    # The protocol thread hangs and all others go on: the watchdog must notice.
    tid = eventually("the protocol thread", lambda: threads_in_epoll(node.pid))[0]
    trace(PTRACE_SEIZE, tid)
    trace(PTRACE_INTERRUPT, tid)
    os.waitpid(tid, WALL)
    time.sleep(0.3)
    manager.listen()  # what was sent before
    hung = time.monotonic()
    time.sleep(1.0)
    assert manager.count("WATCHDOG=1", hung) == 0, "fed although the protocol stands still"
    trace(PTRACE_DETACH, tid)
    eventually("the watchdog again", lambda: manager.count("WATCHDOG=1", hung) >= 2, 20)

    node.terminate()
    assert node.wait(20) == 0, (folder / "notified.log").read_text()
    for other in others:
        other.terminate()
    assert [other.wait(20) for other in others] == [0, 0], (folder / "notified.log").read_text()
    assert manager.count("STOPPING=1") == 1
    found = subprocess.run([cohort, "verify", str(data)], capture_output=True, text=True, timeout=60).stdout
    assert "sound" in found and ", 1 checkpoint" in found, f"no checkpoint was stored at the end: {found}"


tests = [crash_loop, window_slides, backs_off, ends_of_its_own, killed_node_returns, signals_are_forwarded, stop_limit, no_orphans,
         notify]
for test in tests:
    begin = time.monotonic()
    test()
    print(f"{test.__name__}: {time.monotonic() - begin:.1f} s", flush=True)
