"""Nodes that no founder's configuration names, as an operator meets them: one is added under load, a founder is removed for good
while the node that was told dies, all are restarted, a host is replaced, a name comes back.

Or a running group is moved to memory and back to its disks.

`nodes_run.py COUNTER COHORT grown|switched|moved|sought`."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

from cluster import conclude, eventually, free_port
from counter_run import Counter
from names import NameServer


class Site:
    def __init__(self, counter, tool, names=("n1", "n2", "n3")):
        self.counter, self.tool = counter, tool
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cohort-nodes-"))
        self.address = {n: f"127.0.0.1:{free_port()}" for n in names}
        self.founders = [f"{n}={a}" for n, a in self.address.items()]
        self.nodes = {}

    def start_founder(self, name, *more):
        self.nodes[name] = Counter([self.counter, "--catalogue", "yes", *more], name, self.folder, self.founders, dict(os.environ))

    def start_added(self, name, *hints):
        joins = [word for hint in hints for word in ("--join", hint)]
        self.nodes[name] = Counter([self.counter, "--listen", self.address[name], *joins], name, self.folder, [], dict(os.environ))

    def ask(self, at, *words, good=True):
        done = subprocess.run([self.tool, *words, "--node", str(self.folder / at)], capture_output=True, text=True, timeout=90)
        assert (done.returncode == 0) == good, (words, done)
        return done.stdout if good else done.stderr

    def rules(self, at):
        """By which the group runs; empty as long as the node does not answer."""
        asked = [self.tool, "group", "rules", "counter", "--node", str(self.folder / at)]
        return subprocess.run(asked, capture_output=True, text=True, timeout=90).stdout

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()

    def kill(self, name):
        self.nodes[name].process.kill()
        self.nodes[name].process.wait()

    def members(self, at, group):
        """Names of the members of a group's view, as a node's status has them; those that vote."""
        lines = self.ask(at, "status").splitlines()
        begin = next(i for i, line in enumerate(lines) if line.startswith(f"group {group}:")) + 1
        inside = [line.split() for line in lines[begin:]]
        names = set()
        for words in inside:
            if words[0] in ("group", "link"):
                break
            if words[2].startswith("voter"):
                names.add(words[0])
        return names

    def voters_are(self, at, wanted):
        for group in ("counter", "cohort.catalogue"):
            eventually(f"{group} consists of {wanted} at {at}", lambda g=group: self.members(at, g) == set(wanted), 40, pause=0.1)

    def end(self):
        for node in self.nodes.values():
            if node.process.poll() is None:
                node.process.kill()
                node.process.wait()


class Load(threading.Thread):
    """Adds 1 at a node as fast as it answers, and knows how many were added."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.added, self.stopping, self.trouble = node, 0, False, None
        self.start()

    def run(self):
        try:
            while not self.stopping:
                self.node.add(1, 30)
                self.added += 1
        except Exception as problem:  # told by whoever joins us
            self.trouble = problem

    def finish(self):
        self.stopping = True
        self.join()
        assert self.trouble is None, self.trouble
        return self.added

    def cut_off(self):
        """Its node was killed."""
        self.join()
        return self.added


def change_the_group(site):
    """What an operator does to a running group."""
    assert "heartbeat" not in site.ask("n1", "group", "rules", "counter")
    site.ask("n1", "group", "change", "counter", 'heartbeat = "40 ms"', 'election_min = "320 ms"')
    eventually("the rules are in force", lambda: "heartbeat = \"40 ms\"" in site.ask("n3", "group", "rules", "counter"))
    for setting, why in (('partitions = "partitionable"', "fixed while the group runs"), ("heartbeat = 3 parrots", "settings:1"),
                         ('heartbeat = "300 ms"', "election_min"), ('colour = "red"', "colour")):
        assert why in site.ask("n1", "group", "change", "counter", setting, good=False), setting
    assert "hosts no group" in site.ask("n1", "group", "rules", "cellar", good=False)
    site.ask("n2", "group", "exclude", "counter", "n3")
    eventually("n3 is out", lambda: site.members("n1", "counter") == {"n1", "n2"})
    site.ask("n2", "group", "restore", "counter", "n3")
    eventually("n3 is back", lambda: site.members("n1", "counter") == {"n1", "n2", "n3"}, 40)

    def leader():
        line = next(line for line in site.ask("n1", "status").splitlines() if line.startswith("group counter:"))
        return line.split("leader ")[1].split(",")[0]

    before = eventually("somebody leads", lambda: leader() != "unknown" and leader())
    site.ask(before, "group", "handover", "counter")
    eventually("another leads", lambda: leader() not in ("unknown", before))


def run(site):
    for name in ("n1", "n2", "n3"):
        site.start_founder(name)
    assert site.nodes["n1"].add(5) == 5
    assert "keeps no" not in site.ask("n1", "nodes") and "founder" in site.ask("n1", "nodes")

    change_the_group(site)

    # A node nobody knows waits to be named; then it takes part, while the others work.
    site.address["n4"] = f"127.0.0.1:{free_port()}"
    site.start_added("n4", site.address["n1"], site.address["n2"])
    eventually("n4 says what is missing", lambda: "is not known to the cluster" in site.log("n4"))
    load = Load(site.nodes["n2"])
    eventually("there is load", lambda: load.added > 20)
    assert "no name" in site.ask("n1", "add", "n 4", "127.0.0.1:1", good=False)
    assert "n1 is at" in site.ask("n1", "add", "n4", site.address["n1"], good=False)
    assert "n4 is node 3" in site.ask("n1", "add", "n4", site.address["n4"])
    assert "n4 is node 3" in site.ask("n3", "add", "n4", site.address["n4"])  # repeated: done
    site.voters_are("n2", ["n1", "n2", "n3", "n4"])
    before = load.added
    eventually("the load goes on", lambda: load.added > before + 20)
    total = 5 + load.finish()
    total += 7
    assert site.nodes["n4"].add(7) == total, "the new node holds what was before it"

    # A founder is removed for good. Whoever is told of it dies at once.
    site.kill("n1")
    eventually("n1 is away", lambda: any("n1" in line and "away" in line for line in site.ask("n2", "status").splitlines()), 20)
    assert "n1 is removed" in site.ask("n2", "remove", "n1")
    site.kill("n2")
    site.start_founder("n2")
    site.voters_are("n3", ["n2", "n3", "n4"])
    site.start_founder("n1")
    eventually("n1 is told", lambda: "removed" in site.log("n1").lower(), 20)
    site.kill("n1")
    # Three vote, one of whom no founder knew: two of them are enough.
    site.kill("n3")
    total += 1
    assert site.nodes["n4"].add(1, 30) == total
    # The fourth finds the cluster by what it wrote down: whom its hint names is no more.
    site.start_founder("n3")
    site.voters_are("n2", ["n2", "n3", "n4"])
    for name in ("n2", "n3", "n4"):
        site.nodes[name].end()
    site.start_added("n4", site.address["n1"])
    for name in ("n2", "n3"):
        site.start_founder(name)
    total += 2
    assert site.nodes["n4"].add(2, 40) == total, "all of it survives a restart of all"

    # A host is lost with its disk, and another one takes its place under another address.
    site.kill("n3")
    shutil.rmtree(site.folder / "n3")
    site.address["n3"] = f"127.0.0.1:{free_port()}"
    assert site.address["n3"] in site.ask("n4", "move", "n3", site.address["n3"])
    site.start_added("n3", site.address["n4"])
    total += 3
    assert site.nodes["n3"].add(3, 40) == total, "the new host holds everything"
    site.voters_are("n4", ["n2", "n3", "n4"])

    # A name that was removed comes back as another node: not with what it had.
    site.address["n1"] = f"127.0.0.1:{free_port()}"
    assert "n1 is node 4" in site.ask("n3", "add", "n1", site.address["n1"])
    site.start_added("n1", site.address["n2"])
    assert site.nodes["n1"].process.wait(20) == 1 and "former life" in site.log("n1"), site.log("n1")[-500:]
    shutil.rmtree(site.folder / "n1")
    site.start_added("n1", site.address["n2"])
    total += 4
    assert site.nodes["n1"].add(4, 40) == total
    site.voters_are("n3", ["n1", "n2", "n3", "n4"])
    for node in site.nodes.values():
        node.end()
    return total


def run_switched(site):
    """A cluster that kept no catalogue is given one; a founder is away while nodes come."""
    for name in ("n1", "n2", "n3"):
        site.nodes[name] = Counter([site.counter], name, site.folder, site.founders, dict(os.environ))
    assert site.nodes["n1"].add(4) == 4
    assert "keeps no catalogue" in site.ask("n1", "add", "n4", "127.0.0.1:9", good=False)
    for node in site.nodes.values():
        node.end()
    for name in ("n1", "n2", "n3"):
        site.start_founder(name)
    assert site.nodes["n1"].add(1) == 5, "what was before is there"
    site.voters_are("n1", ["n1", "n2", "n3"])
    site.address["n4"] = f"127.0.0.1:{free_port()}"
    site.ask("n1", "add", "n4", site.address["n4"])
    (site.folder / "hints.toml").write_text(f'[members]\nn1 = "{site.address["n1"]}"\n')
    site.start_added("n4", f"file:{site.folder}/hints.toml")
    assert site.nodes["n4"].add(1, 30) == 6
    site.kill("n3")
    site.address["n5"] = f"127.0.0.1:{free_port()}"
    site.ask("n2", "add", "n5", site.address["n5"])
    site.start_added("n5", site.address["n2"])
    assert site.nodes["n5"].add(1, 30) == 7
    site.start_founder("n3")
    assert site.nodes["n3"].add(1, 30) == 8, "it learns of whom it did not know"
    site.voters_are("n3", ["n1", "n2", "n3", "n4", "n5"])
    for node in site.nodes.values():
        node.end()
    return 8


def run_moved(site):
    """From disks to memory and back, under load; every process is killed as soon as the group is said to be on its disks."""
    names = ("n1", "n2", "n3")
    for name in names:
        site.start_founder(name)
    assert site.nodes["n1"].add(1) == 1
    load = Load(site.nodes["n2"])
    goes_on(load)
    to_memory(site, names)
    goes_on(load)
    # What its disk holds is of another time: it comes back as one that holds nothing, and is given the state and a vote.
    site.kill("n3")
    site.start_founder("n3")
    eventually("it has the state", lambda: "volatile" in site.rules("n3"))
    site.voters_are("n1", names)
    goes_on(load)
    site.ask("n3", "group", "change", "counter", 'durability = "journaled"')
    for name in names:
        site.kill(name)
    known = 1 + load.cut_off()
    for name in names:
        site.start_founder(name)
    total = site.nodes["n2"].add(2, 40)
    # The one that was under way may have been carried out.
    assert total - 2 in (known, known + 1), f"{known} were acknowledged, also before the change, and {total - 2} survived"
    site.voters_are("n1", names)

    to_memory(site, names)
    site.kill("n1")
    site.start_founder("n1")
    assert site.nodes["n1"].add(3, 40) == total + 3
    site.voters_are("n2", names)
    for name in names:
        site.nodes[name].end()
    return total + 3


def run_sought(site):
    """Nobody's address stands anywhere but in SRV records and a file: of those who found the cluster, and of those who come later."""
    hosts = {}
    file = site.folder / "where.toml"

    def publish():
        names.services["_cohort._tcp.test"] = [(10, 5, int(site.address[n].split(":")[1]), f"{n}.test") for n in hosts if n != "n5"]
        names.hosts.update({f"{n}.test": ["127.0.0.1"] for n in hosts})
        fresh = file.with_suffix(".new")
        fresh.write_text("[members]\n" + "".join(f'{n} = "{site.address[n]}"\n' for n in hosts if n == "n5"))
        fresh.replace(file)

    def start(name, founder):
        sources = ["--discover", "srv:_cohort._tcp.test", "--discover", f"file:{file}", "--cluster", "test",
                   "--name-servers", f"127.0.0.1:{names.port}", "--listen", site.address[name]]
        founders = [f"{n}=discover" for n in ("n1", "n2", "n3")] if founder else []
        site.nodes[name] = Counter([site.counter, *(["--catalogue", "yes"] if founder else []), *sources], name, site.folder, founders,
                                   dict(os.environ))

    with NameServer() as names:
        for name in ("n1", "n2", "n3"):
            hosts[name] = True
        publish()
        for name in hosts:
            start(name, True)
        total = 5
        assert site.nodes["n1"].add(5, 30) == total
        # Two are added, one found by records and one by the file; both find the cluster without a hint of their own.
        for name in ("n4", "n5"):
            site.address[name] = f"127.0.0.1:{free_port()}"
            start(name, False)
            eventually(f"{name} says what is missing", lambda n=name: "is not known to the cluster" in site.log(n))
            hosts[name] = True
            publish()
            site.ask("n1", "add", name, "discover")
            total += 1
            assert site.nodes[name].add(1, 40) == total
        site.voters_are("n2", hosts)
        # All are elsewhere at once: nothing that anybody wrote down or remembers leads to another one.
        for name in hosts:
            site.nodes[name].end()
            site.address[name] = f"127.0.0.1:{free_port()}"
        publish()
        for name in ("n1", "n2", "n3"):
            start(name, True)
        for name in ("n4", "n5"):
            start(name, False)
        total += 2
        assert site.nodes["n5"].add(2, 60) == total
        total += 2
        assert site.nodes["n4"].add(2, 60) == total
        site.voters_are("n3", hosts)
        # An added one alone is elsewhere, and the others look for it.
        site.nodes["n4"].end()
        site.address["n4"] = f"127.0.0.1:{free_port()}"
        publish()
        start("n4", False)
        total += 2
        assert site.nodes["n4"].add(2, 60) == total
        for node in site.nodes.values():
            node.end()
    return total


def to_memory(site, names):
    assert "weakens" in site.ask("n1", "group", "change", "counter", 'durability = "volatile"', good=False)

    def goes():
        asked = [site.tool, "group", "change", "counter", "weaker", 'durability = "volatile"', "--node", str(site.folder / "n1")]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=90)
        # Whoever was restarted is away until a view takes it in again.
        assert done.returncode == 0 or "away" in done.stderr, done
        return done.returncode == 0

    eventually("everybody is back, and the group goes", goes, 40, pause=0.1)
    for name in names:
        eventually("the group is in memory", lambda n=name: "volatile" in site.rules(n))


def goes_on(load):
    before = load.added
    eventually("there is load", lambda: load.added > before + 20)


if __name__ == "__main__":
    conclude(Site(*sys.argv[1:3]), {"grown": run, "switched": run_switched, "moved": run_moved, "sought": run_sought}[sys.argv[3]])
