"""Compression over lines of bounded rate: `slow_link.py BUILD_DIR SECONDS`, one line of JSON for each case.

Three nodes in network namespaces of their own, joined by a bridge; what each sends passes a token bucket of the kernel. One group without
compression and one with it take turns, with messages like text and with random bytes.
"""
import json
import pathlib
import statistics
import sys

from order_nodes import OrderNodes  # also makes tests/process known
from network import Network, Unable, enter, must, run

RATE_MBIT = 100
SIZE = 1024
WINDOW = 1 << 20
MODES = ("off", "zstd")


def limit(network, mbit):
    """Of what every node sends; 0: none."""
    for i in network.numbers:
        run(*network.inside(i), "tc", "qdisc", "delete", "dev", "mesh0", "root")
        if mbit:
            must(*network.inside(i), "tc", "qdisc", "add", "dev", "mesh0", "root", "tbf", "rate", f"{mbit}mbit", "burst", "128kb",
                 "latency", "100ms")


def sent(network):
    """Bytes that have left on the nodes' devices."""
    total = 0
    for holder in network.holders.values():
        for line in pathlib.Path(f"/proc/{holder.pid}/net/dev").read_text().splitlines():
            name, _, fields = line.partition(":")
            if name.strip() == "mesh0":
                total += int(fields.split()[8])
    return total


def main():
    build, seconds = pathlib.Path(sys.argv[1]).resolve(), float(sys.argv[2])
    enter()
    network = Network(3, say=lambda text: print(text, file=sys.stderr))
    groups = {}
    try:
        for number, mode in enumerate(MODES):
            places = [(f"10.77.1.{i}:{7100 + number}", network.inside(i)) for i in network.numbers]
            groups[mode] = OrderNodes(build, more=["--compression", mode], places=places)
        for mbit in (RATE_MBIT, 0):
            limit(network, mbit)
            for content in ("text", "random"):
                found = {mode: [] for mode in MODES}
                for _ in range(3):
                    for mode, nodes in groups.items():
                        sender = [nodes.leader()]
                        nodes.throughput(sender, SIZE, 0.5, WINDOW, content)  # to warm up
                        before = sent(network)
                        rate = nodes.throughput(sender, SIZE, seconds, WINDOW, content)
                        found[mode].append((rate, (sent(network) - before) / nodes.messages / SIZE / 2))  # for each of two receivers
                for mode in MODES:
                    print(json.dumps({"mbit": mbit, "content": content, "mode": mode, "size": SIZE,
                                      "rate": statistics.median(rate for rate, _ in found[mode]),
                                      "wire": statistics.median(wire for _, wire in found[mode])}), flush=True)
    except Unable as why:
        sys.exit(str(why))
    finally:
        for nodes in groups.values():
            nodes.close()
        network.close()


if __name__ == "__main__":
    main()
