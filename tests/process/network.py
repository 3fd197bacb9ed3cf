"""A network of namespaces: one per node, one for the harness, joined by veth and bridges, harmed by nft and netem.

The harness runs in a namespace of its own (`enter`), so nothing of this machine's network is touched. No namespace has a
name: the kernel takes them, with their devices and rules, when the last process in them has ended, whatever ended it.

Each node has two devices: `clients0` (10.77.0.N), on which clients find it and which is left alone, and `mesh0`
(10.77.1.N), by which nodes talk and which is harmed. What the kernel cannot do, `relay.py` does, between TUN devices.
"""
import json
import os
import re
import shutil
import subprocess
import sys

from cluster import eventually, launch

INSIDE = "COHORT_OWN_NETWORK"


class Unable(Exception):
    """This machine has not what it takes; the text says what."""


def enter():
    """Goes on in a network namespace of its own: the program starts anew, with the same process id."""
    if os.environ.get(INSIDE):
        return
    for tool in ("unshare", "nsenter", "ip"):
        if not shutil.which(tool):
            raise Unable(f"{tool} is not installed")
    flags = ["--net"] if os.geteuid() == 0 else ["--net", "--map-root-user"]
    tried = subprocess.run(["unshare", *flags, "true"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if tried.returncode:
        raise Unable(f"no network namespace can be made: {tried.stderr.strip()}")
    os.environ[INSIDE] = "1"
    sys.stdout.flush()
    os.execvp("unshare", ["unshare", *flags, sys.executable, *sys.argv])


def run(*command):
    """Empty if it worked, else what it said."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return "" if done.returncode == 0 else (done.stderr + done.stdout).strip() or f"exit {done.returncode}"


def must(*command):
    problem = run(*command)
    if problem:
        raise Unable(f"{' '.join(map(str, command))}: {problem}")


class Network:
    """`delays`: whether delays are wanted. `missing` says what the kernel cannot do and what stands in for it."""

    def __init__(self, size, delays=False, say=print):
        self.numbers = range(1, size + 1)
        self.holders = {}
        self.relay = None
        self.cuts = set()     # (from, to)
        self.delay = self.jitter = self.loss = 0.0
        self.missing = {}
        self.can_delay = False
        must("ip", "link", "set", "lo", "up")
        self._bridge("clients")
        must("ip", "address", "add", "10.77.0.254/24", "dev", "clients")
        for i in self.numbers:
            self.holders[i] = launch(["unshare", "--net", "sleep", "infinity"])
            own = os.readlink("/proc/self/ns/net")
            eventually("a namespace of its own", lambda i=i: os.readlink(self._path(i)) != own and
                       "sleep" in open(f"/proc/{self.holders[i].pid}/cmdline").read(), 5)
            must(*self.inside(i), "ip", "link", "set", "lo", "up")
            self._wire("clients", i, f"10.77.0.{i}/24")
        self._probe(delays)
        if self.relay_needed:
            self._start_relay()
        else:
            self._bridge("mesh")
            for i in self.numbers:
                self._wire("mesh", i, f"10.77.1.{i}/24")
        for what, (problem, instead) in self.missing.items():
            say(f"SKIPPED: {what} ({problem}); {instead}")
        say("nodes joined by " + ("TUN devices and our own relay" if self.relay else "veth and a bridge") + "; " +
            "; ".join(f"{what} by {how}" for what, how in
                      (("cuts", "nft" if self.nft else "the relay"),
                       ("loss", "netem" if self.netem else "nft" if self.nft else "the relay"),
                       ("delay", "nothing" if not self.can_delay else "netem" if self.netem else "the relay"))))

    # What the harness asks for.

    def inside(self, i):
        """Prefix of a command that is to run in node `i`'s namespace."""
        return ["nsenter", f"--net={self._path(i)}"]

    def cut(self, pairs):
        """From now on exactly these (from, to) pairs are cut; nobody is told, packets just do not arrive."""
        self.cuts = set(pairs)
        self._apply()

    def weather(self, delay=0.0, jitter=0.0, loss=0.0):
        """Seconds of each way, seconds added at random, share of packets lost; at every node's `mesh0`."""
        self.delay, self.jitter, self.loss = delay, jitter, loss
        self._apply()

    def heal(self):
        self.cuts = set()
        self.weather()

    def dropped(self):
        """Packets that nft has dropped since the last change, or None if it is not nft that drops."""
        if not self.nft:
            return None
        count = 0
        for i in self.numbers:
            listed = subprocess.run([*self.inside(i), "nft", "list", "table", "ip", "faults"], capture_output=True, text=True)
            count += sum(int(n) for n in re.findall(r"packets (\d+) ", listed.stdout))
        return count

    def close(self):
        for process in [self.relay, *self.holders.values()]:
            if process:
                process.kill()
                process.wait()
        for name in ("clients", "mesh"):
            run("ip", "link", "delete", name)

    # How it is done.

    def _path(self, i):
        return f"/proc/{self.holders[i].pid}/ns/net"

    def _bridge(self, name):
        must("ip", "link", "add", "name", name, "type", "bridge")
        must("ip", "link", "set", name, "up")

    def _wire(self, bridge, i, address):
        ours, theirs = f"{bridge}-{i}", f"{bridge}0"
        must("ip", "link", "add", "name", ours, "type", "veth", "peer", "name", theirs, "netns", self.holders[i].pid)
        must("ip", "link", "set", ours, "master", bridge, "up")
        must(*self.inside(i), "ip", "address", "add", address, "dev", theirs)
        must(*self.inside(i), "ip", "link", "set", theirs, "up")

    def _probe(self, delays):
        one = self.inside(1)
        problem = run(*one, "tc", "qdisc", "add", "dev", "clients0", "root", "netem", "delay", "1ms")
        run(*one, "tc", "qdisc", "delete", "dev", "clients0", "root")
        self.netem = not problem
        tun = os.access("/dev/net/tun", os.R_OK | os.W_OK)
        self.can_delay = delays and (self.netem or tun)
        if problem and delays:
            self.missing["tc netem"] = (problem.splitlines()[0], "delays are made by our own relay" if tun else
                                        "nor may we open /dev/net/tun: nothing is delayed")
        problem = run(*one, "nft", "add table ip probe; add chain ip probe input { type filter hook input priority 0; }; "
                      "add rule ip probe input iifname mesh0 numgen random mod 1000 < 50 counter drop; delete table ip probe") \
            if shutil.which("nft") else "nft is not installed"
        self.nft = not problem
        if problem:
            self.missing["nft"] = (problem.splitlines()[0], "packets are dropped by our own relay")
        self.relay_needed = not self.nft or (self.can_delay and not self.netem)

    def _start_relay(self):
        relay = os.path.join(os.path.dirname(os.path.abspath(__file__)), "relay.py")
        self.relay = launch([sys.executable, relay, *(str(h.pid) for h in self.holders.values())], piped=True)
        if self.relay.stdout.readline().strip() != b"ready":
            raise Unable("the relay cannot make TUN devices, and the kernel lacks " + ", ".join(self.missing))
        for i in self.numbers:
            must(*self.inside(i), "ip", "address", "add", f"10.77.1.{i}/24", "dev", "mesh0")
            must(*self.inside(i), "ip", "link", "set", "mesh0", "up")

    def _apply(self):
        if self.nft:
            for i in self.numbers:
                rules = [f"iifname mesh0 ip saddr 10.77.1.{a} counter drop" for a, b in sorted(self.cuts) if b == i]
                if self.loss and not self.netem:
                    rules.append(f"iifname mesh0 numgen random mod 1000 < {round(self.loss * 1000)} counter drop")
                # One transaction: there is no moment without rules.
                must(*self.inside(i), "nft", "add table ip faults; delete table ip faults; add table ip faults; "
                     "add chain ip faults input { type filter hook input priority 0; }; " +
                     " ".join(f"add rule ip faults input {rule};" for rule in rules))
        if self.relay:
            said = {"delay": 0.0 if self.netem else self.delay, "jitter": 0.0 if self.netem else self.jitter,
                    "loss": 0.0 if self.nft or self.netem else self.loss,
                    "cuts": [] if self.nft else sorted(self.cuts)}
            self.relay.stdin.write(json.dumps(said).encode() + b"\n")
            self.relay.stdin.flush()
        if self.netem:
            for i in self.numbers:
                run(*self.inside(i), "tc", "qdisc", "delete", "dev", "mesh0", "root")
                if self.delay or self.jitter or self.loss:
                    middle = self.delay + self.jitter / 2
                    must(*self.inside(i), "tc", "qdisc", "add", "dev", "mesh0", "root", "netem", "limit", "20000",
                         "delay", f"{middle * 1e6:.0f}us", f"{self.jitter / 2 * 1e6:.0f}us", "loss", f"{self.loss * 100}%")
