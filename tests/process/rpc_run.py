"""Clients outside the group while its nodes are killed: every request executed exactly once. `rpc_run.py TILL CUSTOMER COHORT COHORT-KV`"""
import os
import pathlib
import queue
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from cluster import Cluster, end_all, eventually, free_port, launch

NAMES = ("n1", "n2", "n3")


def spawn(command, log, **options):
    with open(log, "ab") as errors:
        return launch([str(c) for c in command], stderr=errors, text=True, **options)


class Lines:
    """A process whose output is read as it comes."""

    def __init__(self, command, log):
        self.process = spawn(command, log, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def next(self, seconds=30):
        try:
            return self.lines.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"nothing more from {self.process.args}") from None

    def send(self, text):
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()


class Group:
    def __init__(self, till, cohort, folder):
        self.till, self.cohort, self.folder = till, cohort, folder
        self.gateways = {n: f"127.0.0.1:{free_port()}" for n in NAMES}
        self.places = []
        for n in NAMES:
            self.places += ["--member", f"{n}=127.0.0.1:{free_port()}", "--gateway", f"{n}={self.gateways[n]}"]
        self.nodes = {}
        for n in NAMES:
            self.start(n)

    def start(self, name):
        self.nodes[name] = spawn([self.till, "--name", name, "--data", self.folder / name, *self.places], self.folder / f"{name}.log",
                                 stdin=subprocess.DEVNULL)

    def kill(self, name):
        self.nodes[name].kill()
        self.nodes[name].wait()

    def call(self, *words, gateway="n1", code=0):
        done = subprocess.run([self.cohort, "call", "--gateway", self.gateways[gateway], "--group", "till", *words], capture_output=True,
                              text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert done.returncode == code, f"call {words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def leader(self):
        """None: nobody leads, or not all say the same."""
        said = set()
        for n in NAMES:
            done = subprocess.run([self.cohort, "status", "--node", self.folder / n], capture_output=True, text=True, timeout=30)
            said |= set(re.findall(r"group till:.* leader (\w+)", done.stdout))
        return said.pop() if len(said) == 1 else None

    def logs(self):
        return "\n".join(f"--- {f.name}\n{f.read_text(errors='replace')[-3000:]}" for f in sorted(self.folder.glob("*.log")))


def exactly_once(group, customer):
    """Two customers pay while one node after the other is killed and comes back."""
    assert group.call("5").strip() == "5"
    watcher = Lines([group.cohort, "watch", "--gateway", group.gateways["n2"], "--group", "till"], group.folder / "watch.log")
    assert watcher.next().startswith("watching at n"), "the watch tells where it is"
    stop = threading.Event()
    paid, wrong = [], []

    def pay(number):
        buyer = Lines([customer, group.folder / f"paid{number}", *group.gateways.values()], group.folder / f"customer{number}.log")
        while not stop.is_set():
            buyer.send(number)
            answer = buyer.next(40)
            if not answer.lstrip("-").isdigit():
                wrong.append(answer)
            else:
                paid.append(number)
        buyer.process.stdin.close()
        last = buyer.next()
        assert last.startswith("the till holds "), last
        buyer.process.wait(10)

    failures = []

    def guarded(number):
        try:
            pay(number)
        except BaseException as problem:
            failures.append(problem)

    buyers = [threading.Thread(target=guarded, args=(n,)) for n in (1, 1000)]
    for b in buyers:
        b.start()
    for name in ("n1", "n2", "n3"):
        before = len(paid)
        time.sleep(0.5)
        group.kill(name)
        deadline = time.monotonic() + 20
        while len(paid) < before + 20 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(paid) >= before + 20, f"nobody can pay without {name}"
        group.start(name)
        time.sleep(1)
    stop.set()
    for b in buyers:
        b.join(60)
    assert not failures, failures
    assert not wrong, f"calls without answer: {wrong}"
    total = 5 + sum(paid)
    for gateway in NAMES:
        assert group.call("--read", "", gateway=gateway).strip() == str(total), f"acknowledged {total}, and {gateway} holds something else"
    assert group.call("--read", "", "--fresh", "session").strip().isdigit()
    seen = []
    while len(seen) < 50:
        line = watcher.next()
        if line.startswith("total "):
            seen.append(int(line.split()[1]))
    assert seen == sorted(seen) and len(set(seen)) == len(seen), "the watch tells positions once and in order"
    watcher.process.terminate()
    assert watcher.process.wait(10) == 0
    return len(paid)


def killed_customer(group, customer, kills=40):
    """A customer that pays a list of amounts is killed in the middle, again and again, and begun again. It is the only one who pays, so
    an amount that was paid twice or not at all would be in each answer behind it."""
    random.seed(os.getpid())
    before = int(group.call("--read", ""))
    amounts = [random.randint(1, 1000) for _ in range(600)]
    lines, record, log = group.folder / "amounts", group.folder / "paid", group.folder / "killed.log"
    lines.write_text("".join(f"{a}\n" for a in amounts))

    def begin():
        with open(lines) as source:
            return spawn([customer, record, *group.gateways.values()], log, stdin=source, stdout=subprocess.PIPE)

    def paid():
        return record.read_text().count("\n") if record.exists() else 0

    killed, places = 0, set()
    while killed < kills and paid() < len(amounts) - 20:
        process, had = begin(), paid()
        eventually("an amount to be paid", lambda: paid() > had or process.poll() is not None, 30)
        time.sleep(random.uniform(0, 0.05))
        process.kill()
        process.wait()
        assert process.returncode == -signal.SIGKILL, f"the customer ended by itself: {log.read_text()[-2000:]}"
        process.stdout.close()
        killed += 1
        places.add(paid())
        if killed in (10, 25):
            group.kill("n2")
        if killed in (15, 30):
            group.start("n2")
    process = begin()
    out, _ = process.communicate(timeout=90)
    assert process.returncode == 0, log.read_text()[-2000:]
    sums = [before + sum(amounts[: i + 1]) for i in range(len(amounts))]
    answers = record.read_text().split()
    assert answers == [str(s) for s in sums], next((i, a, s) for i, (a, s) in enumerate(zip(answers, sums)) if a != str(s))
    assert out.splitlines()[-1] == f"the till holds {sums[-1]}"
    assert len(places) > kills / 2, places
    return killed


def limits(group):
    done = subprocess.run([group.cohort, "watch", "--gateway", group.gateways["n1"], "--group", "nosuch"], capture_output=True, text=True,
                          timeout=30, stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and 'refused: this node hosts no group "nosuch"' in done.stderr, done
    done = subprocess.run([group.cohort, "call", "--gateway", group.gateways["n1"], "--group", "nosuch", "1"], capture_output=True, text=True,
                          timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and "hosts no group" in done.stderr, done.stderr


def group_calls(group):
    """All members answer a call from outside; one that is gone is named, and the others' answers are enough."""
    answers = [line.split(": ")[1] for line in group.call("--all", "first", "1").splitlines()]
    total = max(int(a) for a in answers if a.isdigit())
    deadline = time.monotonic() + 20
    while True:
        lines = group.call("--all", "all", "1").splitlines()
        total += 1
        if lines == [f"{n}: {total}" for n in NAMES]:
            break
        assert time.monotonic() < deadline, lines
    group.kill("n3")
    lines = group.call("--all", "majority", "1", "--within", "20").splitlines()
    total += 1
    assert lines.count("n1: %d" % total) + lines.count("n2: %d" % total) >= 2, lines
    group.start("n3")
    assert int(group.call("--read", "", gateway="n1")) == total


def hedged(group):
    """The member that a client reads from is paused: another one answers, and the paused one is left alone for a while."""
    # Local reads are as old as the member that answers: all have to be where the group is.
    total = group.call("--read", "")
    eventually("every member to have caught up", lambda: all(group.call("--read", "", "--fresh", "local", gateway=n) == total for n in NAMES))
    log = group.folder / "hedged.log"
    gateways = [word for g in group.gateways.values() for word in ("--gateway", g)]
    reader = Lines([group.cohort, "call", *gateways, "--group", "till", "--read", "--fresh", "local", "--verbose"], log)

    def read():
        reader.send("")
        value = reader.next()
        eventually("the place of the answer", lambda: log.read_text().count("by n") == read.times)
        read.times += 1
        return value, log.read_text().split("by n")[-1]

    read.times = 1
    for _ in range(20):
        value, first = read()
    paused = group.nodes["n" + first[0]]
    paused.send_signal(signal.SIGSTOP)
    try:
        again, place = read()
        assert again == value and place[0] != first[0] and "2 copies" in place, place
        places = [read()[1] for _ in range(10)]
        assert all(p[0] != first[0] for p in places), places
    finally:
        paused.send_signal(signal.SIGCONT)
    reader.process.stdin.close()
    assert reader.process.wait(10) == 0


def hung(group):
    """The node whose gateway a client uses is paused, with calls under way: they go on through another one, each executed once, long
    before their own time is over. No answer of what was asked before is lost, and nothing is executed twice."""
    log = group.folder / "hung.log"
    for how in (["--all", "all"], []):
        caller = Lines([group.cohort, "call", "--gateway", group.gateways["n1"], "--group", "till", "--verbose", "--within", "60", *how], log)
        total = int(group.call("--read", "", gateway="n2"))

        def pay():
            before = log.read_text().count("by n") if log.exists() else 0
            caller.send(1)
            eventually("who answered", lambda: log.read_text().count("by n") > before, 40)
            lines = [caller.next()]
            while how and (more := _soon(caller)):
                lines.append(more)
            return lines, "n" + log.read_text().split("by n")[-1][0]

        for paid in range(1, 4):
            lines, at = pay()
        paused = group.nodes[at]
        paused.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        try:
            lines, other = pay()
            took = time.monotonic() - began
            assert other != at, f"answered by the paused {at}"
            assert took < 20, f"the call waited {took:.1f} s for a member that hangs"
            amounts = {line.split(": ")[-1] for line in lines} & {str(total + n) for n in range(10)}
            assert amounts == {str(total + 4)}, (total, lines)
        finally:
            paused.send_signal(signal.SIGCONT)
        caller.process.stdin.close()
        assert caller.process.wait(10) == 0, log.read_text()[-2000:]
        assert int(group.call("--read", "", gateway=other)) == total + 4, "a call through two members was executed once"
        eventually("the paused member is back", lambda: group.call("--all", "all", "0").count(f": {total + 4}") == 3, 30)
        print(f"a call went on without {at} after {took:.1f} s")


def _soon(lines):
    try:
        return lines.lines.get(timeout=0.3)
    except queue.Empty:
        return None


class PinnedReader:
    """Reads by lease, and does not go to another member for a minute."""

    def __init__(self, group, name, log):
        self.log, self.answers = log, 0
        self.lines = Lines([group.cohort, "call", "--gateway", group.gateways[name], "--group", "till", "--read", "--fresh", "lease", "--verbose",
                            "--within", "60", "--patience", "60"], log)

    def ask(self):
        self.lines.send("")

    def answer(self, seconds=30):
        value = int(self.lines.next(seconds))
        self.answers += 1
        eventually("how it was served", lambda: self.log.read_text().count("by n") >= self.answers)
        return value, self.log.read_text().strip().splitlines()[-1]

    def read(self):
        self.ask()
        return self.answer()

    def end(self):
        self.lines.process.stdin.close()
        assert self.lines.process.wait(10) == 0


def leases(group):
    """Reads by lease. The leader is paused until others have elected another one and taken a write; a read that was asked of it
    after that, and that it finds when it goes on, must not be answered from its lease of before."""
    done = subprocess.run([group.cohort, "group", "change", "till", "weaker", 'reads = "lease"', "--node", group.folder / "n1"], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    at = []
    for round in range(3):
        leader = eventually("a leader", lambda: group.leader(), 20)
        readers = [PinnedReader(group, leader, group.folder / f"lease{round}-{i}.log") for i in range(4)]
        for r in readers:
            eventually("a read by the leader's lease", lambda: r.read()[1].startswith(f"by {leader}, lease,"), 20)
        before = readers[-1].read()[0]
        paused = group.nodes[leader]
        paused.send_signal(signal.SIGSTOP)
        try:
            writes = 300  # so that it takes the old leader a moment to hear of them all
            paid = int(group.call(*["1"] * writes, "--within", "40", gateway=next(n for n in NAMES if n != leader)).split()[-1])
            assert paid == before + writes
            for r in readers:
                r.ask()  # it lies in the paused leader's socket
            time.sleep(0.1)
        finally:
            paused.send_signal(signal.SIGCONT)
        for r in readers:
            value, place = r.answer(70)
            assert value >= paid, f"{leader} answered {value} by an old lease although {paid} had been acknowledged before: {place}"
            at.append(place.split()[1].rstrip(",") == leader)
            r.end()
        eventually("all are back", lambda: group.call("--all", "all", "0").count(f": {paid}") == 3, 30)
    assert any(at), "no read came back to the leader that was paused"
    print("no lease was served after its time:", len(at), "reads of paused leaders,", sum(at), "answered by them")


def table_of_gateways(server, cohort):
    """A node whose gateway is in its file, [gateways], serves clients; one that is not named there serves none."""
    with Cluster(server) as cluster:
        gateway = f"127.0.0.1:{free_port()}"
        for node in cluster.nodes:
            node.config.write_text(f'[gateways]\nn2 = "{gateway}"\n\n{node.config.read_text()}')
        cluster.start().ready()
        watcher = Lines([cohort, "watch", "--gateway", gateway, "--group", "kv"], cluster.folder / "watch.log")
        assert watcher.next() == "watching at n2"
        assert cluster.nodes[0].call("SET", "seen", "outside") == "OK"
        while "outside" not in (line := watcher.next()):
            assert line.startswith(("total ", "view ")), line
        assert line.startswith("total ") and " from n1: " in line, line
        watcher.process.terminate()
        assert watcher.process.wait(10) == 0
        for node in cluster.nodes:
            assert node.stop() == 0
            assert ("serves clients at" in node.log.read_text()) == (node.name == "n2"), node.name
        config = cluster.nodes[0].config
        config.write_text(config.read_text().replace("n2 =", "n4 =", 1))
        done = subprocess.run([server, "--config", config], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
        assert done.returncode != 0 and "[gateways] n4 is not in [members]" in done.stderr, done.stderr


def hostile(group):
    """Bytes that mean nothing, a message of 4 GiB, hundreds of connections: the others are served all the same."""
    host, port = group.gateways["n1"].rsplit(":", 1)
    crowd = []
    for i in range(480):  # a third of them say nothing, which are more than one address may have
        s = socket.create_connection((host, int(port)), 5)
        crowd.append(s)
        try:
            if i % 3 == 0:
                s.sendall(os.urandom(4096))
            elif i % 3 == 1:
                s.sendall(struct.pack("<II", 0, 0x1FFFFFFF) + b"x" * 4096)
        except OSError:
            pass  # it was sent away
    # This address has all the connections it may have here: the client is served by another member.
    before = int(group.call("0", gateway="n2"))
    assert int(group.call("1", gateway="n2")) == before + 1

    def gateway_figures():
        done = subprocess.run([group.cohort, "metrics", "--node", group.folder / "n1"], capture_output=True, text=True, timeout=30)
        return dict(line.rsplit(" ", 1) for line in done.stdout.splitlines() if line.startswith("cohort_gateway_"))

    # Before they go: whom it takes only behind that is not one too many any more.
    eventually("those above the limit to be turned away", lambda: float(gateway_figures()["cohort_gateway_turned_away_total"]) >= 10)
    for s in crowd:
        s.close()
    deadline = time.monotonic() + 10
    while True:
        done = subprocess.run([group.cohort, "call", "--gateway", group.gateways["n1"], "--group", "till", "--within", "5", "1"], capture_output=True,
                              text=True, timeout=60, stdin=subprocess.DEVNULL)
        if done.returncode == 0:
            break
        assert time.monotonic() < deadline, done.stderr
    assert int(done.stdout) >= before + 2
    for node in group.nodes.values():
        assert node.poll() is None, "a node ended"
    figures = gateway_figures()
    assert float(figures['cohort_gateway_answers_total{verdict="replied"}']) >= 1, figures
    assert float(figures["cohort_gateway_latency_seconds_count"]) >= 1, figures
    assert float(figures["cohort_gateway_failures_total"]) == 0, "strangers' bytes are no failure of the gateway"
    done = subprocess.run([group.cohort, "status", "--node", group.folder / "n1"], capture_output=True, text=True, timeout=30)
    assert "\ngateway: " in done.stdout, done.stdout + done.stderr
    assert group.call("--read", "").strip().isdigit()


def main():
    till, customer, cohort, server = sys.argv[1:5]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cohort-rpc-"))
    group = Group(till, cohort, folder)
    try:
        limits(group)
        print("paid", exactly_once(group, customer), "times, each counted once")
        print("a customer that was killed", killed_customer(group, customer), "times has paid all, each once")
        group_calls(group)
        hedged(group)
        hung(group)
        leases(group)
        hostile(group)
        for node in group.nodes.values():
            node.terminate()
        for name, node in group.nodes.items():
            assert node.wait(20) == 0, f"{name} ended with {node.returncode}"
        table_of_gateways(server, cohort)
    except BaseException:
        print(group.logs())
        raise
    finally:
        end_all()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
