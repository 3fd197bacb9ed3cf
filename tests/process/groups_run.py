"""Groups that are created, changed and deleted while the nodes run, as an operator meets them: under load of another group, with
kill -9 of the node that was told, at moments all through what it does, and with a node that was down meanwhile.

`groups_run.py COUNTERS COHORT`."""
import os
import subprocess
import sys
import time

from cluster import conclude, eventually
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


class Place(Site):
    def start(self, name):
        self.nodes[name] = Counters([self.counter, "--catalogue", "yes"], name, self.folder, self.founders, dict(os.environ))

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


if __name__ == "__main__":
    conclude(Place(*sys.argv[1:3]), run)
