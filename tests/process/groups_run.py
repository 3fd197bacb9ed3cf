"""Groups that are created, changed and deleted while the nodes run, as an operator meets them: under load of another group, with
kill -9 of the node that was told, at moments all through what it does, and with a node that was down meanwhile.

`groups_run.py COUNTERS COHORT whole|placed|kinds`."""
import os
import queue
import subprocess
import sys
import threading
import time

from cluster import conclude, eventually, free_port, launch
from counter_run import Counter
from nodes_run import Load, Site


class Counters(Counter):
    """One line is a counter's name and a number; load is on "main"."""

    def tell(self, group, number, seconds=20):
        self.process.stdin.write(f"{group} {number}\n")
        self.process.stdin.flush()
        return self.lines.get(timeout=seconds)

    def add(self, number, seconds=20):
        return int(self.tell("main", number, seconds))


class Customer:
    """`cohort call`: a line for each request, a line for each answer."""

    def __init__(self, site, group):
        gateways = [word for address in site.gateways.values() for word in ("--gateway", address)]
        self.process = launch([site.tool, "call", *gateways, "--group", group], piped=True, text=True)
        self.answers = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.answers.put(line.strip())

    def ask(self, text):
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def call(self, text):
        self.ask(text)
        return self.answers.get(timeout=30)

    def end(self):
        self.process.stdin.close()
        return self.process.wait(20)


class Place(Site):
    gateways = {}

    def start(self, name):
        serving = [word for node, address in self.gateways.items() for word in ("--gateway", f"{node}={address}")]
        self.nodes[name] = Counters([self.counter, "--catalogue", "yes", *serving], name, self.folder, self.founders, dict(os.environ))

    def all_count(self):
        """So each of them can be asked."""
        for node in self.nodes.values():
            if node.process.poll() is None:
                node.add(1, 30)

    def serves(self, group):
        """Whether a client finds it. Gateways have it a moment after their nodes."""
        gateways = [word for address in self.gateways.values() for word in ("--gateway", address)]
        return subprocess.run([self.tool, "call", *gateways, "--group", group, "0"], capture_output=True, timeout=60).returncode == 0

    def leader(self, at, group):
        line = next((line for line in self.ask(at, "status").splitlines() if line.startswith(f"group {group}:")), "")
        name = line.partition("leader ")[2].partition(",")[0]
        return name if name in self.address else None

    def groups(self, at):
        """Created groups by name: what the node says of them. It may be about to start."""
        done = subprocess.run([self.tool, "group", "list", "--node", str(self.folder / at)], capture_output=True, text=True, timeout=90)
        if done.returncode != 0:
            raise OSError(done.stderr)
        return {line.split()[0]: line for line in done.stdout.splitlines() if "  number " in line}

    def adds(self, at, group, number, wanted):
        """The group comes up a moment after it is decided, and again after a restart."""
        def sum_is_right():
            answer = self.nodes[at].tell(group, number)
            assert answer != "unknown", "an addition whose outcome nobody knows"
            return answer.isdigit() and int(answer)

        assert eventually(f"{at} counts in {group}", sum_is_right, 30, pause=0.1) == wanted, (at, group)

    def is_gone(self, at, group):
        eventually(f"{group} is gone at {at}", lambda: group not in self.groups(at) and "hosts no group" in self.nodes[at].tell(group, 1), 30)

    def told_and_killed(self, at, delay, *words):
        """The node is told, and dies in the midst of it."""
        asking = subprocess.Popen([self.tool, *words, "--node", str(self.folder / at)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        self.kill(at)
        asking.wait(60)


def run(site):
    for name in ("n1", "n2", "n3"):
        site.start(name)
    assert site.nodes["n1"].add(5) == 5
    load = Load(site.nodes["n2"])
    eventually("there is load", lambda: load.added > 20)

    # Created under load, used everywhere, changed.
    eventually("the catalogue works", lambda: site.members("n1", "cohort.catalogue") == {"n1", "n2", "n3"})
    assert "is number 1023" in site.ask("n1", "group", "create", "orders", "counter", 'election_min = "400 ms"')
    site.adds("n1", "orders", 1, 1)
    site.adds("n3", "orders", 2, 3)
    assert "number 1023" in site.groups("n3")["orders"]
    assert "election_min" in site.ask("n3", "group", "rules", "orders")
    site.ask("n3", "group", "change", "orders", 'heartbeat = "40 ms"')
    eventually("the rules are in force", lambda: "heartbeat" in site.ask("n1", "group", "rules", "orders"))
    for words, why in ((("create", "orders", "counter"), "set up differently"), (("create", "x", "teapot"), 'no type "teapot"'),
                       (("create", "x", "counter", 'heartbeat = "2 s"'), "election_min"), (("create", "x", "counter", "colour = 3"), "colour"),
                       (("create", "main", "counter"), "program's own"), (("delete", "main"), "no group that was created"),
                       (("delete", "x"), "no group that was created")):
        assert why in site.ask("n1", "group", *words, good=False), words

    # Whoever is told dies: what was decided goes on without it, and asking again is done.
    for i, delay in enumerate((0.0, 0.02, 0.1)):
        group = f"k{i}"
        site.told_and_killed("n1", delay, "group", "create", group, "counter")
        site.ask("n3", "group", "create", group, "counter")
        site.adds("n3", group, 1, 1)
        site.start("n1")
        site.adds("n1", group, 2, 3)
        site.told_and_killed("n1", delay, "group", "delete", group)
        site.ask("n3", "group", "delete", group)
        site.is_gone("n3", group)
        site.start("n1")
        site.is_gone("n1", group)

    # A node that is down is no less a member, and a name that comes back is another group.
    site.kill("n3")
    site.ask("n1", "group", "create", "k0", "counter")
    site.adds("n1", "k0", 7, 7)
    site.ask("n1", "group", "create", "brief", "counter")
    site.adds("n1", "brief", 1, 1)
    site.start("n3")
    site.adds("n3", "k0", 1, 8)
    site.adds("n3", "brief", 1, 2)
    site.kill("n3")
    site.ask("n1", "group", "delete", "brief")
    site.is_gone("n1", "brief")
    site.start("n3")
    site.is_gone("n3", "brief")

    before = load.added
    eventually("the load goes on", lambda: load.added > before + 20)
    total = 5 + load.finish()

    # After a restart of all: what is there is there with what it held, what is gone is gone, also from the disks.
    for name in ("n1", "n2", "n3"):
        site.nodes[name].end()
    for name in ("n1", "n2", "n3"):
        seen = subprocess.run([site.tool, "verify", str(site.folder / name)], capture_output=True, text=True, timeout=60)
        assert seen.returncode == 0, seen
        held = {line.split()[1].rstrip(":") for line in seen.stdout.splitlines() if line.strip().startswith("group ")}
        assert {g.split("#")[0] for g in held} == {"main", "cohort.catalogue", "orders", "k0"}, (name, held)
    for name in ("n1", "n2", "n3"):
        site.start(name)
    assert site.nodes["n1"].add(1, 30) == total + 1
    site.adds("n2", "orders", 4, 7)
    site.adds("n3", "k0", 1, 9)
    for name in ("n1", "n2", "n3"):
        eventually(f"{name} knows what is there", lambda n=name: set(site.groups(n)) == {"orders", "k0"})
        site.is_gone(name, "k1")
    for node in site.nodes.values():
        node.end()
    return total


def run_placed(site):
    """A group on three of five nodes: it lives and dies without the others, and its hosts are replaced."""
    for name in site.address:
        site.start(name)
    site.all_count()
    eventually("the catalogue works", lambda: site.members("n1", "cohort.catalogue") == set(site.address), 30)
    for words, why in ((("--on", "n1,n7"), 'no node is named "n7"'), (("--on", "n1,n3,n1"), "n1 is named twice"), (("--on", "n1,,n3"), 'no node is named ""'),
                       (("--on", "n1"), "single"), (("--on", ""), "no node")):
        assert why in site.ask("n2", "group", "create", "x", "counter", *words, good=False), words
    assert "on n1, n3, n4" in site.ask("n2", "group", "create", "orders", "counter", "--on", "n4,n1,n3")
    assert "on n1, n3, n4" in site.groups("n2")["orders"]
    assert "which is on n1, n3, n4" in site.nodes["n2"].tell("orders", 1)
    assert "which is on n1, n3, n4" in site.ask("n5", "group", "rules", "orders", good=False)
    site.adds("n1", "orders", 1, 1)
    site.adds("n4", "orders", 2, 3)
    eventually("three vote", lambda: site.members("n4", "orders") == {"n1", "n3", "n4"})

    # A host dies, another one takes its place.
    site.kill("n3")
    site.adds("n4", "orders", 4, 7)
    site.kill("n2")
    assert "on n1, n3, n4, n5" in site.ask("n4", "group", "extend", "orders", "n5")
    site.ask("n1", "group", "exclude", "orders", "n3")
    eventually("n5 votes in the place of n3", lambda: site.members("n1", "orders") == {"n1", "n4", "n5"}, 30)
    site.adds("n5", "orders", 1, 8)

    # Its own quorum is enough, where the whole cluster has none, also to start again.
    site.kill("n1")
    site.adds("n5", "orders", 1, 9)
    for name in ("n4", "n5"):
        site.kill(name)
    for name in ("n4", "n5"):
        site.start(name)
    site.adds("n4", "orders", 1, 10)
    assert "catalogue" in site.ask("n4", "group", "delete", "orders", good=False)

    for name in ("n1", "n2"):
        site.start(name)
    site.adds("n1", "orders", 1, 11)
    site.all_count()
    site.ask("n2", "group", "delete", "orders")
    for name in ("n1", "n4", "n5"):
        site.is_gone(name, "orders")
    site.start("n3")
    site.is_gone("n3", "orders")
    for node in site.nodes.values():
        node.end()
    return 11


def run_kinds(site):
    """Created groups of other kinds: with sessions for clients outside and a witness; with a primary and backups."""
    site.gateways = {name: f"127.0.0.1:{free_port()}" for name in site.address}
    for name in site.address:
        site.start(name)
    site.all_count()
    eventually("the catalogue works", lambda: site.members("n1", "cohort.catalogue") == set(site.address), 30)
    assert "witness" in site.ask("n1", "group", "create", "x", "counter", "--witness", "n9", good=False)
    assert "2 are named" in site.ask("n1", "group", "create", "x", "counter", "--witness", "n3,n4", "witnesses = 1", good=False)
    site.ask("n4", "group", "create", "shop", "counter", "--on", "n1,n2", "--witness", "n3", "sessions = true")
    assert "on n1, n2, n3" in site.groups("n4")["shop"]
    site.ask("n4", "group", "create", "stock", "tally")

    # Whichever of the two that hold the state dies, each call is executed once; the client finds the members without being told which of
    # the nodes they are.
    for name in ("n1", "n2"):  # who asked has no part in it, so it is there a moment later
        site.adds(name, "shop", 1, int(name[1]))
    eventually("clients are served", lambda: site.serves("shop"))
    customer = Customer(site, "shop")
    assert customer.call(1) == "3"
    total = 3
    for _ in range(2):
        leader = eventually("somebody leads the shop", lambda: site.leader("n3", "shop"))
        assert leader in ("n1", "n2"), "a witness leads nothing"
        site.kill(leader)
        for _ in range(5):
            total += 1
            assert customer.call(1) == str(total)
        site.start(leader)
        eventually(f"{leader} is back", lambda n=leader: site.nodes[n].tell("shop", 0) == str(total), 30, pause=0.1)
    site.kill("n4")  # has no part in it
    total += 1
    assert customer.call(1) == str(total)
    site.start("n4")

    # The primary dies.
    site.adds("n1", "stock", 5, 5)
    stock = 5
    for _ in range(2):
        primary = eventually("somebody is primary", lambda: primary_of(site, "stock"))
        site.kill(primary)
        other = next(n for n in ("n1", "n2") if n != primary)
        stock += 1
        site.adds(other, "stock", 1, stock)
        site.start(primary)
        stock += 1
        site.adds(primary, "stock", 1, stock)

    # What founders did is not called a failure.
    entered = [line for line in (site.log("n1") + site.log("n2")).splitlines() if "group=shop" in line and "view 1 installed" in line]
    assert any("founded" in line for line in entered) and not any("failed" in line or "recovered" in line for line in entered), entered

    for group in ("shop", "stock"):
        site.ask("n2", "group", "delete", group)
    for name in site.address:
        site.is_gone(name, "shop")
        site.is_gone(name, "stock")
    customer.ask(1)
    assert customer.end() == 1, "there is no shop to go to any more"
    for node in site.nodes.values():
        node.end()
    return total


def primary_of(site, group):
    """By the logs: the newest line that says so."""
    newest = None
    for name in site.address:
        for line in site.log(name).splitlines():
            if f"group={group} " in line and "primary is " in line:
                since = int(line.partition("since view ")[2].split(",")[0].split()[0])
                newest = max(newest or (0, ""), (since, line.partition("primary is ")[2].split()[0]))
    return newest and newest[1]


if __name__ == "__main__":
    counters, tool, what = sys.argv[1:4]
    names, scene = {"whole": (3, run), "placed": (5, run_placed), "kinds": (4, run_kinds)}[what]
    conclude(Place(counters, tool, [f"n{i + 1}" for i in range(names)]), scene)
