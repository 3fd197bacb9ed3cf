"""Runs the sample of a singleton: three nodes, and a device outside that sees every hand which reaches for it.

The member in office is killed (-9), and later paused (SIGSTOP) in the middle of a command. At the device no command of an older
instance is carried out once a newer one has been heard, none that was answered is missing, and the order is that of the positions.

`hand_run.py PROGRAM`."""
import os
import pathlib
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time

from cluster import end_all, free_port
from counter_run import Counter


class Device:
    """Carries out what whoever has the newest token says; counts a position once."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.where = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.newest = 0
        self.done = []      # (token, position, text), as carried out
        self.refused = []   # likewise
        self.repeated = 0
        self.delay = 0.0
        self.working = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rw") as stream:
            try:
                for line in stream:
                    stream.write(self._order(line) + "\n")
                    stream.flush()
            except OSError:  # killed, or given up
                return

    def _order(self, line):
        self.working.set()
        time.sleep(self.delay)
        token, position, text = line.strip().split(" ", 2)
        order = (int(token), int(position), text)
        with self.lock:
            if order[0] < self.newest:
                self.refused.append(order)
                return "old"
            self.newest = order[0]
            known = [i for i, d in enumerate(self.done) if d[1] == order[1]]
            if known:
                self.repeated += 1
                return str(known[0] + 1)
            self.done.append(order)
            return str(len(self.done))

    def check(self, answered):
        with self.lock:
            tokens = [d[0] for d in self.done]
            assert tokens == sorted(tokens), f"an older instance acted behind a newer one: {self.done}"
            positions = [d[1] for d in self.done]
            assert positions == sorted(set(positions)), f"out of order, or twice: {self.done}"
            texts = [d[2] for d in self.done]
            for text, number in answered.items():
                assert texts[number - 1] == text, f"{text} was answered {number}: {self.done}"
            return len(set(tokens))


def office(nodes):
    """Who executes, as the newest line of the nodes' logs says."""
    newest = {}
    for name, node in nodes.items():
        for line in node.log.read_text().splitlines():
            if "primary is " in line:
                view = int(line.split(" since view ")[1].split(",")[0].split()[0])
                newest[view] = line.split("primary is ")[1].split()[0]
    return newest[max(newest)]


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cohort-hand-"))
    names = ("n1", "n2", "n3")
    members = [f"{n}=127.0.0.1:{free_port()}" for n in names]
    device = Device()
    environment = dict(os.environ, DEVICE=device.where)

    def start(name):
        return Counter([sys.argv[1]], name, folder, members, environment)

    try:
        nodes = {n: start(n) for n in names}
        answered = {}

        def say(name, text):
            answered[text] = nodes[name].add(text)

        for i in range(9):
            say(names[i % 3], f"a{i}")
        assert device.check(answered) == 1, "one instance, however many members submit"

        first = office(nodes)
        nodes[first].process.kill()
        nodes[first].process.wait()
        others = [n for n in names if n != first]
        for i in range(6):
            say(others[i % 2], f"b{i}")
        assert device.check(answered) == 2, "the next one has another token"
        nodes[first] = start(first)
        say(first, "c0")

        # The one in office is paused while the device works on what it said, and with a command before it that it has not handled.
        # Another one takes over and goes first; the paused one goes on with its old token.
        second = office(nodes)
        device.delay = 1.0
        device.working.clear()
        other, third = (n for n in names if n != second)

        def begin(name, text):
            nodes[name].process.stdin.write(text + "\n")
            nodes[name].process.stdin.flush()

        begin(other, "slow")
        assert device.working.wait(10), "the command does not come"
        begin(third, "next")
        time.sleep(0.4)  # more likely to be there; nothing below relies on it
        nodes[second].process.send_signal(signal.SIGSTOP)
        answered["slow"] = int(nodes[other].lines.get(timeout=30))
        answered["next"] = int(nodes[third].lines.get(timeout=30))
        device.delay = 0.0
        for i in range(4):
            say(other, f"d{i}")
        device.check(answered)
        nodes[second].process.send_signal(signal.SIGCONT)
        say(second, "e0")  # it follows now, and its line goes to who is in office
        say(other, "e1")
        instances = device.check(answered)
        assert instances == 3, f"{instances} instances acted"
        assert office(nodes) != second
        for node in nodes.values():
            node.end()
        print(f"{len(answered)} commands by {instances} instances, {len(device.refused)} of older ones refused, "
              f"{device.repeated} handed over twice and counted once")
    finally:
        device.listener.close()
        end_all()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
