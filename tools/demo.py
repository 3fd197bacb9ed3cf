"""The story that tools/demo tells. Exits 0 only if everything held; ends its nodes also when interrupted."""
import os
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "process"))
from cluster import Cluster, eventually  # noqa: E402
from resp import Client, Disconnected, ServerError  # noqa: E402

COLOUR = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and "NO_COLOR" not in os.environ
BOLD, RED, GREEN, BLUE, DIM = "1", "1;31", "1;32", "1;34", "2"
began = time.monotonic()


def paint(code, text):
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


def tell(text, code=None):
    stamp = paint(DIM, f"{time.monotonic() - began:6.2f} s ")
    print(stamp + (paint(code, text) if code else text), flush=True)


class Writer(threading.Thread):
    """Writes its own keys, each once, pipelined; remembers what was acknowledged. Moves to another node on trouble."""

    def __init__(self, number, nodes, depth=16):
        super().__init__(daemon=True)
        self.number, self.nodes, self.depth = number, nodes, depth
        self.acknowledged = []   # serials
        self.moments = []        # when each batch was answered
        self.unknown = self.refused = self.serial = 0
        self.wrong = None
        self.ended = threading.Event()

    def value(self, serial):
        return f"value-{self.number}-{serial}"

    def run(self):
        at = self.number % len(self.nodes)
        client = None
        while not self.ended.is_set():
            if client is None:
                try:
                    client = Client(self.nodes[at].redis_port, timeout=4)
                except Disconnected:
                    at = (at + 1) % len(self.nodes)
                    time.sleep(0.005)
                    continue
            serials = range(self.serial, self.serial + self.depth)
            self.serial += self.depth
            replies = 0
            try:
                client.send(b"".join(encode_set(f"key:{self.number}:{s}", self.value(s)) for s in serials))
                for serial in serials:
                    answer = client.reply()
                    replies += 1
                    if answer == "OK":
                        self.acknowledged.append(serial)
                        self.moments.append(time.monotonic())
                    elif isinstance(answer, ServerError) and answer.code == "UNKNOWN":
                        self.unknown += 1
                    elif isinstance(answer, ServerError) and answer.code in ("NOQUORUM", "BUSY"):
                        self.refused += 1
                    else:
                        self.wrong = f"unexpected answer {answer!r}"
                        return
                if not self.moments or self.moments[-1] < time.monotonic() - 0.5:
                    time.sleep(0.01)
            except Disconnected:
                self.unknown += len(serials) - replies
                client.close()
                client = None
                at = (at + 1) % len(self.nodes)
        if client:
            client.close()


def encode_set(key, value):
    return b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(key), key.encode(), len(value), value.encode())


def gap(writers, after, before):
    """Longest time between acknowledgements to anyone, in ms."""
    moments = sorted(m for w in writers for m in list(w.moments) if after - 1 <= m <= before)
    return max((b - a for a, b in zip(moments, moments[1:])), default=before - after) * 1000


def acknowledged(writers):
    return sum(len(w.acknowledged) for w in writers)


def compare(node, writers):
    """Acknowledged writes that `node` does not hold as written."""
    missing = []
    with Client(node.redis_port, timeout=20) as client:
        for writer in writers:
            for first in range(0, len(writer.acknowledged), 1000):
                serials = writer.acknowledged[first:first + 1000]
                keys = [f"key:{writer.number}:{s}" for s in serials]
                for key, serial, got in zip(keys, serials, client.call("MGET", *keys)):
                    if got != writer.value(serial).encode():
                        missing.append(key)
    return missing


def figures(rows):
    width = max(len(name) for name, _ in rows)
    print()
    for name, value in rows:
        print(f"  {name:<{width}}  {value}")
    print()


def main():
    server = sys.argv[1]
    rows = []
    with Cluster(server) as cluster:
        tell("Three nodes of cohort-kv on loopback, each with a journal of its own.", BLUE)
        cluster.start()
        cluster.ready()
        leader = cluster.leader()
        for node in cluster.nodes:
            role = "leads" if node is leader else "follows"
            tell(f"  {node.name}: process {node.pid}, Redis clients at 127.0.0.1:{node.redis_port}, {role}")
        rows.append(("from start to service", f"{(time.monotonic() - began) * 1000:.0f} ms"))

        writers = [Writer(i, cluster.nodes) for i in range(6)]
        for writer in writers:
            writer.start()
        tell("Six clients write over the Redis protocol, two at each node.", BLUE)
        start = time.monotonic()
        time.sleep(4)
        rate = acknowledged(writers) / (time.monotonic() - start)
        tell(f"  {acknowledged(writers):,} writes acknowledged, {rate:,.0f} a second, each on a quorum of disks")

        tell(f"kill -9 {leader.pid}: the leader, {leader.name}, dies under load.", RED)
        at = time.monotonic()
        leader.kill()
        count = acknowledged(writers)
        rest = cluster.running()
        eventually("service goes on", lambda: acknowledged(writers) > count + 200, 15)
        new = cluster.leader(among=rest)
        time.sleep(1.5)
        first_gap = gap(writers, at, time.monotonic())
        tell(f"  service goes on: {new.name} leads; the longest wait for any acknowledgement was {first_gap:.0f} ms", GREEN)
        rows.append(("gap in service, leader killed", f"{first_gap:.0f} ms"))

        tell(f"{leader.name} is started again, on what its disk holds.", BLUE)
        at = time.monotonic()
        behind = int(new.info()["applied_index"])
        leader.start()
        eventually(f"{leader.name} answers", lambda: leader.info().get("role"), 10)
        tell(f"  it was away while others agreed up to log entry {behind:,}")
        eventually(f"{leader.name} has caught up",
                   lambda: (i := leader.info()).get("role") == "follower" and int(i["applied_index"]) >= behind, 20)
        caught = (time.monotonic() - at) * 1000
        tell(f"  {leader.name} follows and has caught up, {caught:.0f} ms after its start", GREEN)
        rows.append(("restarted node caught up after", f"{caught:.0f} ms"))
        time.sleep(1)

        count = acknowledged(writers)
        tell(f"kill -9 of all three, in the middle of the load ({count:,} writes acknowledged so far).", RED)
        at = time.monotonic()
        for node in cluster.nodes:
            node.kill()
        time.sleep(0.3)
        tell("All three are started again.", BLUE)
        up = time.monotonic()
        cluster.start()
        count = acknowledged(writers)
        eventually("service after the loss of all", lambda: acknowledged(writers) > count, 20)
        back = (time.monotonic() - up) * 1000
        tell(f"  the first write is acknowledged {back:.0f} ms later", GREEN)
        rows.append(("service after restart of all", f"{back:.0f} ms"))
        time.sleep(2)
        for writer in writers:
            writer.ended.set()
        for writer in writers:
            writer.join(10)

        tell("Every acknowledged write is compared with what every node now holds.", BLUE)
        infos = cluster.settled()
        total = acknowledged(writers)
        lost = 0
        for node in cluster.nodes:
            missing = compare(node, writers)
            lost += len(missing)
            if missing:
                tell(f"  {node.name}: {len(missing):,} of {total:,} missing, such as {missing[0]}", RED)
            else:
                tell(f"  {node.name}: all {total:,} there", GREEN)
        digests = {i["state_digest"] for i in infos}
        wrong = [w.wrong for w in writers if w.wrong]
        unknown, refused = sum(w.unknown for w in writers), sum(w.refused for w in writers)
        rows += [("writes acknowledged", f"{total:,} ({rate:,.0f} a second before the first kill)"),
                 ("of these missing at any node", f"{lost:,}"),
                 ("outcome unknown to the client", f"{unknown:,}"),
                 ("refused, never submitted", f"{refused:,}"),
                 ("state digest, all nodes", digests.pop() if len(digests) == 1 else "DIFFERENT: " + " ".join(sorted(digests))),
                 ("time taken", f"{time.monotonic() - began:.0f} s")]
        figures(rows)
        held = not lost and not wrong and len({i["state_digest"] for i in infos}) == 1 and total > 1000
        for text in wrong:
            tell(text, RED)
        print(paint(GREEN if held else RED, "Everything held." if held else "NOT everything held."))
        return 0 if held else 1


def interrupted(*_):
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nInterrupted: the nodes were ended and their data removed.")
        sys.exit(130)
    except AssertionError as problem:
        print(paint(RED, f"\nNot held: {problem}"))
        sys.exit(1)
