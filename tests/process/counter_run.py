"""Runs the counter sample as a user would: three nodes, numbers typed at each, one killed and started again.

`counter_run.py PROGRAM`; `run` is also used by the install tests.
"""
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import threading

from cluster import _child_setup, _running, free_port


class Counter:
    def __init__(self, command, name, folder, members, environment):
        arguments = [*command, "--name", name, "--data", str(folder / name)]
        for member in members:
            arguments += ["--member", member]
        self.name = name
        self.log = folder / f"{name}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                                            env=environment, start_new_session=True, preexec_fn=_child_setup)
        _running.add(self.process)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.strip())
        self.lines.put("ended")

    def add(self, number, seconds=20):
        try:
            self.process.stdin.write(f"{number}\n")
            self.process.stdin.flush()
            return int(self.lines.get(timeout=seconds))
        except (queue.Empty, ValueError, OSError) as problem:
            raise AssertionError(f"{self.name} did not answer {number}: {problem!r}\n{self.log.read_text()[-2000:]}") from None

    def end(self):
        """SIGTERM; it must end cleanly."""
        self.process.stdin.close()
        self.process.terminate()
        code = self.process.wait(15)
        assert code == 0, f"{self.name} ended with {code}\n{self.log.read_text()[-2000:]}"


def run(command, environment=None):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cohort-counter-"))
    names = ("n1", "n2", "n3")
    members = [f"{n}=127.0.0.1:{free_port()}" for n in names]

    def start(name):
        return Counter(command, name, folder, members, environment or dict(os.environ))

    nodes = {}
    try:
        nodes = {n: start(n) for n in names}
        total = 0
        for number in (5, 7, 30):
            for name in names:
                total += number
                assert nodes[name].add(number) == total, f"{name} counted wrongly"
        nodes["n1"].process.kill()
        nodes["n1"].process.wait()
        total += 8
        assert nodes["n2"].add(8) == total, "two of three go on"
        nodes["n1"] = start("n1")
        total += 100
        assert nodes["n1"].add(100) == total, "the restarted one holds what it missed"
        for node in nodes.values():
            node.end()
        nodes = {n: start(n) for n in names}
        assert nodes["n3"].add(1) == total + 1, "the sum survives a restart of all"
        for node in nodes.values():
            node.end()
        return total + 1
    finally:
        for node in nodes.values():
            if node.process.poll() is None:
                node.process.kill()
                node.process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    print("sum at the end:", run(sys.argv[1:]))
