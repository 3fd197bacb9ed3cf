"""The measured nodes of bench.py, in processes of their own (order_node.cpp)."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "process"))
from cluster import eventually, free_port, launch  # noqa: E402


class OrderNodes:
    """Measured nodes in processes of their own, whose group takes messages of one order."""

    def __init__(self, build, order="total", groups=1, members=3, state=0, more=(), places=None):
        """`places`: of each node its address, and what its command begins with; else all are on loopback."""
        self.program = build / "bench/order_node"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cohort-bench-"))
        names = [f"n{i + 1}" for i in range(members)]
        places = places or [(f"127.0.0.1:{free_port()}", []) for _ in names]
        self.prefixes = {name: prefix for name, (_, prefix) in zip(names, places)}
        self.arguments = ["--log-level", "warn", "--order", order, "--groups", groups, "--state", state, *more]
        for name, (address, _) in zip(names, places):
            self.arguments += ["--member", f"{name}={address}"]
        self.nodes = {}
        self.run = 0
        self.messages = 0  # of the newest run
        for name in names:
            self.start(name)
        eventually("the measured groups", lambda: all(self.ask(n, "ready").get("ready") == groups for n in self.nodes), 60)

    def kill(self, name):
        process = self.nodes.pop(name)
        process.kill()
        process.wait()
        eventually(f"{name} is out", lambda: all(self.ask(n, "status")["members"] == len(self.nodes) for n in self.nodes), 30)

    def start(self, name):
        log = open(self.folder / f"{name}.log", "a")
        command = [*self.prefixes[name], self.program, "--name", name, "--data", self.folder / name, *self.arguments]
        self.nodes[name] = launch([str(c) for c in command], piped=True, stderr=log, text=True)

    def tell(self, name, line):
        self.nodes[name].stdin.write(line + "\n")
        self.nodes[name].stdin.flush()

    def answer(self, name):
        line = self.nodes[name].stdout.readline()
        if not line:
            raise RuntimeError(f"{name} ended: {self.log(name)}")
        return json.loads(line)

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()[-500:]

    def ask(self, name, line):
        self.tell(name, line)
        return self.answer(name)

    def leader(self):
        return self.ask("n1", "status")["leader"]

    def throughput(self, senders, size, seconds, window, content="zeros"):
        """Messages a second, from the first submission to the last delivery at the slowest node."""
        self.run += 1
        for name in senders:
            self.tell(name, f"run {self.run} {size} {seconds} {window} {content} 0")
        sent = {name: self.answer(name) for name in senders}
        for name in self.nodes:
            self.tell(name, f"wait {self.run} {len(senders)}")
        got = {name: self.answer(name) for name in self.nodes}
        total = sum(s["submitted"] for s in sent.values())
        for name, tally in got.items():
            if tally["marks"] != len(senders) or tally["messages"] != total:
                raise RuntimeError(f"{name} was delivered {tally['messages']} of {total} messages, {tally['marks']} marks; {sent}")
        if any(s["wrong"] or s["open"] for s in sent.values()):
            raise RuntimeError(f"not all were answered well: {sent}, {self.log(senders[0])}")
        start = min(s["first"] for s in sent.values())
        end = max(t["last"] for t in got.values())
        self.messages = total
        return total / (end - start)

    def under_load(self, sender, size, seconds, window, meanwhile, rate=0):
        """`meanwhile(run)` happens while `sender` submits for so long, `rate` messages a second or as many as it can; tells the number
        of the run when all is delivered."""
        self.run += 1
        run = self.run
        self.tell(sender, f"run {run} {size} {seconds} {window} zeros {rate:.0f}")
        meanwhile(run)
        sent = self.answer(sender)
        if sent["wrong"] or sent["open"]:
            raise RuntimeError(f"not all were answered well: {sent}")
        return run

    def close(self):
        for process in self.nodes.values():
            process.stdin.close()
        for process in self.nodes.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
