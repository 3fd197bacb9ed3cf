"""Runs the measurements and prints one line each: name, value, unit, reference, ratio; JSON beside it.

`bench.py BUILD_DIR [--quick] [--json FILE] [NAME...]`. References named "recorded" were measured once on a machine with two
cores; all others are taken in this run. The ratio is how many times better than the reference: above 1 is better.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "process"))
from cluster import Cluster, Timeout, eventually, free_port, launch  # noqa: E402
from order_nodes import OrderNodes  # noqa: E402
from resp import Client, Disconnected, ServerError  # noqa: E402

COROSYNC = {64: 144_000, 1024: 88_000, 16384: 12_400}     # recorded: messages a second, three nodes, udpu, large MTU
MUST = {64: 10, 1024: 5, 16384: 3}
COROSYNC_ALONE_US = 136                                   # recorded
ETCD_RECORDED = 10_000                                    # recorded: writes a second of 256 B, 512 in flight
ETCD_ALONE_US = 1_200                                     # recorded
MEASURES = {}
results = []
options = None
tcp = None


def measure(function):
    MEASURES[function.__name__] = function
    return function


def report(name, value, unit, reference=None, what="", must=None, lower=False):
    """`must` is the ratio asked for."""
    ratio = None
    if reference:
        ratio = reference / value if lower and value else value / reference
    line = f"{name:<46} {value:>14,.{2 if value < 10 else 1}f} {unit:<8}"
    if reference:
        line += f" {reference:>14,.{2 if reference < 10 else 1}f} {what:<28} {ratio:>7.2f} x"
        if must:
            line += f"  (must {must:g}: {'met' if ratio >= must else 'MISSED'})"
    print(line, flush=True)
    results.append({"name": name, "value": value, "unit": unit, "reference": reference, "reference_is": what, "ratio": ratio,
                    "must": must})


def output_of(command, timeout=120):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: exit {done.returncode}: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout)


def raw():
    global tcp
    if tcp is None:
        tcp = output_of([options.build / "bench/raw_tcp", 1 if options.quick else 3])
    return tcp


# A group of one order each; of the weaker ones only FIFO has a bound to meet, as a share of what TCP alone does.
ORDERS = ("total", "fifo", "causal", "safe_fifo", "safe_causal", "unordered")
FIFO_SHARE = {1024: 0.6, 16384: 0.6}


@measure
def order():
    """One order each, volatile: one sender and three, to the application process on every node."""
    report("TCP, one sender to two receivers", raw()["stream_bytes"] / 1e6, "MB/s")
    for order in options.order or ("total", "fifo", "causal"):
        measure_order(order)


def tcp_limit():
    """Of this moment: on a machine that others use as well it may be another a second later."""
    return output_of([options.build / "bench/raw_tcp", 0.5 if options.quick else 1])["stream_bytes"]


def measure_order(order):
    nodes = OrderNodes(options.build, order)
    try:
        seconds = 1.0 if options.quick else 4.0
        for size in (64, 1024, 16384):
            for senders in (["n1"], ["n1", "n2", "n3"]):
                if len(senders) == 1:
                    senders = [nodes.leader()]
                window = (4 << 20) if len(senders) == 1 else (2 << 20)  # bytes unanswered, per sender
                nodes.throughput(senders, size, 0.3, window)  # to warm up
                # In turns with the reference, so that both meet the same machine.
                turns = [(nodes.throughput(senders, size, seconds, window), tcp_limit()) for _ in range(1 if options.quick else 3)]
                rate, limit = (statistics.median(of) for of in zip(*turns))
                name = f"{order}, {size} B, {len(senders)} sender{'s' if len(senders) > 1 else ''}"
                if order == "total":
                    report(name, rate, "msg/s", COROSYNC[size], "Corosync (recorded)", MUST[size])
                else:
                    report(name, rate, "msg/s")
                must = FIFO_SHARE.get(size) if order == "fifo" and len(senders) == 1 else None
                report(f"{name}, share of TCP", rate, "msg/s", limit / size, "TCP limit in this run", must)
    finally:
        nodes.close()


@measure
def members():
    """Total order in larger groups: one sender, beside a group of three in the same run."""
    three = {}
    for count in (3, 5, 7):
        nodes = OrderNodes(options.build, members=count)
        try:
            for size in (64, 1024):
                sender = [nodes.leader()]
                nodes.throughput(sender, size, 0.3, 4 << 20)
                turns = 1 if options.quick else 3
                rate = statistics.median(nodes.throughput(sender, size, 1.0 if options.quick else 4.0, 4 << 20) for _ in range(turns))
                three.setdefault(size, rate)
                report(f"total, {size} B, {count} members", rate, "msg/s", three[size], "three members in this run")
        finally:
            nodes.close()


@measure
def view_change():
    """Deliveries of a group under load while a member comes, and while one leaves; nobody dies."""
    seconds = 3.0 if options.quick else 6.0
    nodes = OrderNodes(options.build, members=4)
    try:
        leader = nodes.leader()
        guest = next(n for n in nodes.nodes if n != leader)
        nodes.kill(guest)
        others = list(nodes.nodes)

        def widest(meanwhile):
            run = nodes.under_load(leader, 1024, seconds, 256 << 10, meanwhile)
            return max(nodes.ask(n, f"wait {run} 1")["widest"] for n in others) * 1000

        def come(_):
            time.sleep(seconds / 3)
            nodes.start(guest)

        def go(_):
            time.sleep(seconds / 3)
            left = nodes.ask(guest, "leave")
            if not left["done"]:
                raise RuntimeError(f"{guest} may not leave: {left['why']}")

        widest(lambda _: time.sleep(seconds / 3))  # to warm up
        calm = widest(lambda _: time.sleep(seconds / 3))
        report("longest time without a delivery, no change", calm, "ms")
        must = 50 + 3 * raw()["round_trip_us"] / 1000
        what = "must: 50 ms + 3 round trips"
        report("longest time without a delivery, one comes", widest(come), "ms", must, what, 1, lower=True)
        eventually("the new member", lambda: nodes.ask(guest, "status")["active"], 30)
        report("longest time without a delivery, one leaves", widest(go), "ms", must, what, 1, lower=True)
    finally:
        nodes.close()


@measure
def join():
    """A member comes back without its state while one submits: what the others still do meanwhile.

    First at full load, where whatever the machine does for the third is missing to the two; then at half of it."""
    mebibytes = 128 if options.quick else 1024
    nodes = OrderNodes(options.build, state=mebibytes)
    try:
        leader = nodes.leader()
        joiner, witness = [n for n in nodes.nodes if n != leader]
        nodes.throughput([leader], 1024, 1, 4 << 20)

        def delivered(run):
            return nodes.ask(witness, f"wait {run} 0")["messages"], time.monotonic()

        def rate(since, until):
            return (until[0] - since[0]) / (until[1] - since[1])

        def come_back(load):
            nodes.kill(joiner)
            found = {}

            def come(run):
                time.sleep(1)
                before = delivered(run)
                time.sleep(2 if options.quick else 5)
                begun = delivered(run)
                nodes.start(joiner)
                eventually("the member votes again", lambda: (m := nodes.ask(joiner, "status"))["active"] and m["voters"] == 3, 60)
                done = delivered(run)
                time.sleep(1 if options.quick else 3)
                found.update(took=done[1] - begun[1], before=rate(before, begun), during=rate(begun, done), after=rate(done, delivered(run)))

            nodes.under_load(leader, 1024, 10 if options.quick else 30, 4 << 20, come, load)
            return found

        full = come_back(0)
        report(f"join with a state of {mebibytes} MiB, at full load", full["took"], "s")
        report("messages while it joins, 1024 B", full["during"], "msg/s", full["before"], "just before", 0.7)
        report("messages while it joins, 1024 B", full["during"], "msg/s", full["after"], "three members, afterwards")
        half = come_back(full["before"] / 2)
        report(f"join with a state of {mebibytes} MiB, at half load", half["took"], "s")
        report("messages while it joins, 1024 B", half["during"], "msg/s", half["before"], "just before", 0.7)
    finally:
        nodes.close()


@measure
def alone():
    """One ordered message at a time in an idle volatile group."""
    nodes = OrderNodes(options.build)
    try:
        leader = nodes.leader()
        count = 500 if options.quick else 4000
        for name, node in (("at the leader", leader), ("at a follower", next(n for n in nodes.nodes if n != leader))):
            nodes.ask(node, f"alone {1000 + count} 64 200")
            taken = nodes.ask(node, f"alone 1 64 {count}")
            p50 = taken["p50_us"]
            report(f"one message, 64 B, {name}, p50", p50, "us", COROSYNC_ALONE_US, "Corosync (recorded)", 1, lower=True)
            report(f"one message, 64 B, {name}, p50 vs TCP", p50, "us", raw()["round_trip_us"], "TCP round trip in this run", lower=True)
            report(f"one message, 64 B, {name}, answered, p50", taken["answer_p50_us"], "us")
    finally:
        nodes.close()


class Etcd:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cohort-bench-etcd-"))
        self.ports = [(free_port(), free_port()) for _ in range(3)]
        initial = ",".join(f"e{i}=http://127.0.0.1:{peer}" for i, (_, peer) in enumerate(self.ports))
        self.processes = []
        for i, (client, peer) in enumerate(self.ports):
            self.processes.append(launch(
                ["etcd", "--name", f"e{i}", "--data-dir", str(self.folder / f"e{i}"), "--initial-cluster", initial,
                 "--listen-client-urls", f"http://127.0.0.1:{client}", "--advertise-client-urls", f"http://127.0.0.1:{client}",
                 "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
                 "--log-level", "error"], stdout=subprocess.DEVNULL, stderr=open(self.folder / f"e{i}.log", "w")))
        for client, _ in self.ports:
            eventually("etcd", lambda c=client: b"true" in urllib.request.urlopen(f"http://127.0.0.1:{c}/health", timeout=1).read(), 30)

    def list(self):
        return ",".join(str(c) for c, _ in self.ports)

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def ports_of(cluster):
    return ",".join(str(n.redis_port) for n in cluster.nodes)


@measure
def durable():
    """Durable replicated writes of 256 B through cohort-kv: 512 in flight, and one client alone; beside etcd."""
    seconds = 2 if options.quick else 6
    etcd_rate, etcd_alone, what = ETCD_RECORDED, ETCD_ALONE_US, "etcd (recorded)"
    if shutil.which("etcd"):
        etcd = Etcd()
        try:
            # The best of several ways to ask: many connections, few, all members, the leader alone is among the single ones.
            ways = [(etcd.list(), 12, 43), (etcd.list(), 3, 171)] + [(str(c), 4, 128) for c, _ in etcd.ports]
            rates = [output_of([options.build / "bench/etcd_load", ports, connections, depth, 256, seconds / 2])["rate"]
                     for ports, connections, depth in ways]
            etcd_rate, what = max(rates), "etcd in this run (best way)"
            etcd_alone = min(output_of([options.build / "bench/etcd_load", c, 1, 1, 256, 2])["p50_us"] for c, _ in etcd.ports)
        finally:
            etcd.close()
        report("etcd, durable writes, 512 in flight", etcd_rate, "write/s", ETCD_RECORDED, "etcd (recorded)")
    with Cluster(options.server).start().ready() as cluster:
        ports = ports_of(cluster)
        output_of([options.build / "bench/kv_load", ports, 12, 43, 256, 1])
        runs = [output_of([options.build / "bench/kv_load", ports, 12, 43, 256, seconds]) for _ in range(1 if options.quick else 3)]
        if any(r["wrong"] for r in runs):
            raise RuntimeError(f"writes were refused: {runs}")
        report("durable writes, 256 B, 512 in flight", statistics.median(r["rate"] for r in runs), "write/s", etcd_rate, what, 5)
        report("durable writes, 256 B, 512 in flight, p99", statistics.median(r["p99_us"] for r in runs), "us")
        leader = cluster.leader()
        for name, node in (("leader", leader), ("follower", next(n for n in cluster.nodes if n is not leader))):
            alone_p50 = output_of([options.build / "bench/kv_load", node.redis_port, 1, 1, 256, 2 if options.quick else 4])["p50_us"]
            report(f"durable write, one client alone, {name}, p50", alone_p50, "us", etcd_alone, what, 1, lower=True)


class Prober(threading.Thread):
    """One client that writes without pause; knows the longest time it went without an answer."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.moments, self.ended = node, [], threading.Event()

    def run(self):
        client = None
        serial = 0
        while not self.ended.is_set():
            try:
                client = client or Client(self.node.redis_port, timeout=6)
                serial += 1
                if client.call("SET", f"probe:{self.node.name}", serial) == "OK":
                    self.moments.append(time.monotonic())
            except ServerError:
                time.sleep(0.002)
            except Disconnected:
                client = None
                time.sleep(0.002)

    def gap(self, after):
        moments = [after, *(m for m in list(self.moments) if m >= after)]
        return max((b - a for a, b in zip(moments, moments[1:])), default=float("inf"))


def gaps(turns, hurt, undo, settle):
    taken = []
    with Cluster(options.server).start().ready() as cluster:
        for _ in range(turns):
            leader = cluster.leader(20)
            cluster.settled(30)
            probers = [Prober(n) for n in cluster.nodes if n is not leader]
            for prober in probers:
                prober.start()
            time.sleep(0.3)
            at = time.monotonic()
            hurt(leader)
            for prober in probers:
                eventually("service", lambda p=prober: p.moments and p.moments[-1] > at + 0.001 and len(
                    [m for m in p.moments if m > at]) > 20, 20)
            time.sleep(settle)
            for prober in probers:
                prober.ended.set()
            for prober in probers:
                prober.join(10)
            taken.append(max(p.gap(at) for p in probers) * 1000)
            undo(leader)
            eventually(f"{leader.name} is back", lambda: leader.info().get("role") == "follower", 20)
    return taken


@measure
def failover():
    """What clients of the two others see after kill -9 of the leader; default configuration."""
    taken = gaps(4 if options.quick else 20, lambda n: n.kill(), lambda n: n.start(), 0.5)
    report(f"gap after kill -9 of the leader, median of {len(taken)}", statistics.median(taken), "ms", 200, "must: 200 ms", 1, lower=True)
    report(f"gap after kill -9 of the leader, worst of {len(taken)}", max(taken), "ms", 1000, "must: 1 s", 1, lower=True)


@measure
def stopped():
    """The same after SIGSTOP: no connection is reset, only silence tells."""
    taken = gaps(2 if options.quick else 8, lambda n: n.pause(), lambda n: n.resume(), 3.5)
    report(f"gap after SIGSTOP of the leader, worst of {len(taken)}", max(taken), "ms", 2500, "must: 2.5 s", 1, lower=True)


def restarted(cluster, node):
    """Seconds until the node, started again, has everything applied; and how fast its files can be read."""
    behind = int(cluster.leader().info()["applied_index"])
    size = sum(f.stat().st_blocks * 512 for f in node.data.rglob("*") if f.is_file())
    at = time.monotonic()
    node.start()
    eventually("caught up", lambda: (i := node.info(timeout=30)).get("role") == "follower" and int(i["applied_index"]) >= behind, 240)
    taken = time.monotonic() - at
    at = time.monotonic()
    for file in node.data.rglob("*"):
        if file.is_file():
            with open(file, "rb", buffering=0) as data:
                while data.read(1 << 20):
                    pass
    return taken, size, time.monotonic() - at


@measure
def restart_entries():
    """Restart of a node with a million journal entries behind its last checkpoint."""
    count = 50_000 if options.quick else 1_000_000
    with Cluster(options.server).start().ready() as cluster:
        output_of([options.build / "bench/kv_load", ports_of(cluster), 12, 43, 64, 300, 0, count], timeout=400)
        cluster.settled(60)
        victim = next(n for n in cluster.nodes if n is not cluster.leader())
        victim.kill()
        taken, size, reading = restarted(cluster, victim)
        report(f"restart, {count:,} writes in the journal", taken * 1000, "ms", reading * 1000, f"reading its {size >> 20} MiB", lower=True)


@measure
def restart_checkpoint():
    """Restart of a node whose state, a GiB, lies in a checkpoint."""
    mebibytes = 64 if options.quick else 1024
    with Cluster(options.server).start().ready() as cluster:
        # Written over more than once, so that the state is as large as wished and checkpoints were due.
        for turn in range(6 if options.quick else 2):
            output_of([options.build / "bench/kv_load", ports_of(cluster), 6, 2, 65536, 600, 0, mebibytes * 16], timeout=700)
        victim = next(n for n in cluster.nodes if n is not cluster.leader())
        time.sleep(5)  # a checkpoint on its way is stored
        cluster.settled(120)
        victim.kill()
        taken, size, reading = restarted(cluster, victim)
        report(f"restart, state of {mebibytes} MiB", taken * 1000, "ms", reading * 1000, f"reading its {size >> 20} MiB", lower=True)


def processor_time(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def anonymous(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Anonymous:")) / 1024


@measure
def process_restart():
    """A failed process: from the exception to the first message that its next life handles, in a running node."""
    got = output_of([options.build / "bench/restart_bench", 200 if options.quick else 2000])
    for part in ("p50", "p90"):
        report(f"restart of a failed process, {part}", got[f"{part}_us"], "us", 200, "bound: 0.2 ms", 1 if part == "p50" else None, lower=True)
    got = output_of([options.build / "bench/restart_bench", 200 if options.quick else 2000, "journaled", 100])
    for part in ("p50", "p90"):
        report(f"restart of a resilient process, 100 events, {part}", got[f"{part}_us"], "us", 1000, "bound: 1 ms",
               1 if part == "p50" else None, lower=True)


@measure
def resilient_many():
    """Many resilient processes on one node, each with an event in its journal: what they take, and starting them anew."""
    count = 10_000 if options.quick else 100_000
    got = output_of([options.build / "bench/restart_bench", count, "many", 1])
    report(f"{count} resilient processes, start", got["start_s"], "s", None, None)
    report(f"{count} resilient processes, start on their journals", got["restart_s"], "s", None, None)
    report(f"{count} resilient processes, memory of each", got["bytes_each"] / 1024, "KiB", None, None)
    report(f"{count} resilient processes, events", got["events_a_second"], "1/s", None, None)


@measure
def many():
    """A thousand groups on three nodes."""
    count = 1000
    seconds = 2.0 if options.quick else 6.0

    turns = (256 << 10, 64 << 10, 4 << 10)

    def spread(nodes, burst):
        nodes.run += 1
        taken = nodes.ask(nodes.leader(), f"spread {nodes.run} 1024 {seconds} {4 << 20} {burst}")
        if taken["wrong"] or taken["open"]:
            raise RuntimeError(f"not all were answered well: {taken}")
        return taken["submitted"] / (taken["last"] - taken["first"])

    alone = OrderNodes(options.build)
    try:
        spread(alone, turns[0])  # to warm up
        one = {turn: spread(alone, turn) for turn in turns}
    finally:
        alone.close()
    nodes = OrderNodes(options.build, groups=count)
    try:
        time.sleep(5)
        memory = max(anonymous(p.pid) for p in nodes.nodes.values())
        start = {n: processor_time(p.pid) for n, p in nodes.nodes.items()}
        wait = 10 if options.quick else 30
        time.sleep(wait)
        used = sum(processor_time(p.pid) - start[n] for n, p in nodes.nodes.items()) / wait * 100
        report(f"{count} groups, idle, three nodes together", used, "% core", 3, "must: 3 %", 1, lower=True)
        report(f"{count} groups, idle, anonymous memory for each", memory * 1024 / count, "KiB")
        spread(nodes, turns[0])
        # In one group the turns of a sender grow together into batches of up to a MiB. Among many they cannot, so a turn is what a group
        # decides at a time: with small ones it is the price of a decision that is measured.
        for turn in turns:
            report(f"{count} groups, 1024 B, {turn >> 10} KiB a turn", spread(nodes, turn), "msg/s", one[turn], "one group in this run",
                   0.8 if turn >= 64 << 10 else None)
    finally:
        nodes.close()


@measure
def exactly_once():
    """Requests of sessions beside plain messages of the total order, and from outside through a gateway."""
    for size in (64, 256, 1024):
        got = output_of([options.build / "bench/session_bench", size, 2 if options.quick else 8])
        report(f"exactly once, {size} B, inside", got["exactly_once"], "req/s", got["plain"], "plain total order, same run", 0.7)
        report(f"exactly once, {size} B, through a gateway", got["gateway"], "req/s", got["plain"], "plain total order, same run")


@measure
def compression():
    """One sender to two receivers, total order, 1 KiB: lines of 100 Mbit/s and as fast as memory, with and without compression."""
    done = subprocess.run([sys.executable, str(pathlib.Path(__file__).with_name("slow_link.py")), str(options.build), "1" if options.quick else "3"],
                          capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["it ended"])[-1])
    plain = {}
    for got in map(json.loads, done.stdout.splitlines()):
        line = f"{got['mbit']} Mbit/s" if got["mbit"] else "no bound"
        name = f"{line}, {got['content']}, compression {got['mode']}"
        reference = plain.setdefault((got["mbit"], got["content"]), got)
        what = "" if reference is got else "without, in this run"
        report(name, got["rate"], "msg/s", None if reference is got else reference["rate"], what)
        report(f"{name}, sent for each byte", got["wire"], "B", None if reference is got else reference["wire"], what, lower=True)


@measure
def idle():
    """What an idle node costs."""
    with Cluster(options.server).start().ready() as cluster:
        time.sleep(2)
        seconds = 5 if options.quick else 20
        before = {n: processor_time(n.pid) for n in cluster.nodes}
        time.sleep(seconds)
        worst = max((processor_time(n.pid) - before[n]) / seconds * 100 for n in cluster.nodes)
        report("idle node, processor, worst of three", worst, "% core", 1.0, "must: 1 %", 1, lower=True)
        report("idle node, anonymous memory, worst of three", max(anonymous(n.pid) for n in cluster.nodes), "MiB", 64, "must: 64 MiB", 1,
               lower=True)


def main():
    global options
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="shorter runs; figures wander more")
    parser.add_argument("--order", action="append", choices=ORDERS, help="of `order`; may be repeated; default: total, fifo, causal")
    parser.add_argument("--json", type=pathlib.Path, default=None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASURES)}; default: all")
    options = parser.parse_intermixed_args()
    options.server = options.build / "samples/kv/cohort-kv"
    failed = 0
    for name in options.names or MEASURES:
        if name not in MEASURES:
            parser.error(f"no measure '{name}'; there are {', '.join(MEASURES)}")
        print(f"-- {name}: {MEASURES[name].__doc__.splitlines()[0]}", flush=True)
        try:
            MEASURES[name]()
        except (RuntimeError, Timeout, Disconnected, ServerError, subprocess.TimeoutExpired) as problem:
            failed += 1
            print(f"{name}: NOT MEASURED: {problem}", flush=True)
            results.append({"name": name, "error": str(problem)})
    where = options.json or options.build / "bench.json"
    where.write_text(json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "cores": os.cpu_count(),
                                 "quick": options.quick, "results": results}, indent=1) + "\n")
    print(f"written to {where}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
