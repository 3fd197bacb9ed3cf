"""Replicas that part because their program tosses coins, as an operator meets them: who is odd is told, leads no more and gives its
state to nobody, and is repaired by one command while its node runs, also if it is killed in the midst of that.

`coins_run.py COINS COHORT`."""
import os
import shutil
import subprocess
import sys
import time

from cluster import conclude, eventually, launch
from counter_run import Counter
from nodes_run import Site


class Coins(Counter):
    def tell(self, line, seconds=20):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.lines.get(timeout=seconds)

    def sum(self):
        return self.tell("?")


class Table(Site):
    def start(self, name):
        self.nodes[name] = Coins([self.counter], name, self.folder, self.founders, dict(os.environ))

    def status(self, at):
        done = subprocess.run([self.tool, "status", "--node", str(self.folder / at)], capture_output=True, text=True, timeout=30)
        if done.returncode != 0:
            raise OSError(done.stderr)
        return next(line for line in done.stdout.splitlines() if line.startswith("group coins:"))

    def odd(self, at):
        return self.status(at).partition("states differ: ")[2].partition(", trouble")[0].split(", ")[0]

    def leader(self, at):
        return self.status(at).partition("leader ")[2].partition(",")[0]

    def serves(self, name):
        """It answers a message as soon as it takes one."""
        said = self.nodes[name].tell("same", 60)
        assert said.isdigit(), (name, said)

    def part(self):
        """Somebody's coin falls as no other's, and all are told whose."""
        def parted():
            """Only coins make a sum odd, and all had the same before."""
            self.nodes["n1"].tell("coin")
            sides = {}
            for name, node in self.nodes.items():
                node.tell("same")
                sides.setdefault(int(node.sum()) % 2, []).append(name)
            return len(sides) == 2 and min(sides.values(), key=len)[0]

        odd = eventually("coins fall differently", parted, 40)
        for _ in range(12):
            self.nodes["n1"].tell("same")
        for name in self.nodes:
            eventually(f"{name} knows that {odd} is odd", lambda n=name: self.odd(n) == odd, 10)
        eventually(f"{odd} does not lead", lambda: self.leader("n1") not in (odd, "unknown"), 10)
        return odd

    def repair(self, odd):
        """Refused while the others are no quorum; who came back may not vote yet."""
        eventually(f"{odd} sees all vote", lambda: voters(self, odd) == len(self.nodes), 40, pause=0.1)
        assert "was given the others' state" in self.ask(odd, "group", "repair", "coins")

    def agree(self):
        def equal():
            self.nodes["n1"].tell("same")
            return len({node.sum() for node in self.nodes.values()}) == 1

        eventually("all have one sum", equal, 20)
        for name in self.nodes:
            eventually(f"{name} knows of nobody that is odd", lambda n=name: self.nodes["n1"].tell("same") and not self.odd(n), 20, pause=0.05)


def run(site):
    for name in site.address:
        site.start(name)
    for name in site.address:
        site.serves(name)
    odd = site.part()
    sound = [name for name in site.nodes if name != odd]
    # The disk of a sound member is gone: it is given the other sound one's state, whoever led before.
    lost = sound[0]
    site.kill(lost)
    shutil.rmtree(site.folder / lost)
    site.start(lost)
    site.serves(lost)
    eventually("the replaced host has the sound state", lambda: site.nodes[lost].sum() == site.nodes[sound[1]].sum(), 20)
    assert site.nodes[lost].sum() != site.nodes[odd].sum()
    # It is odd after a restart, too, and then repaired.
    site.kill(odd)
    site.start(odd)
    eventually(f"{odd} knows that it is odd", lambda: site.odd(odd) == odd, 20)
    site.serves(odd)
    process = site.nodes[odd].process.pid
    site.repair(odd)
    assert site.nodes[odd].process.pid == process and site.nodes[odd].process.poll() is None
    site.agree()
    assert "no group" in site.ask(odd, "group", "repair", "cellar", good=False)
    # Killed in the midst of a repair.
    for delay in (0.02, 0.2):
        odd = site.part()
        eventually("all vote", lambda o=odd: voters(site, o) == 3, 40, pause=0.1)
        asking = launch([site.tool, "group", "repair", "coins", "--node", str(site.folder / odd)], stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
        time.sleep(delay)
        site.kill(odd)
        asking.wait(60)
        site.start(odd)
        site.serves(odd)
        if site.nodes[odd].sum() != site.nodes[next(n for n in site.nodes if n != odd)].sum():
            site.repair(odd)  # it had not begun
        site.agree()
    # Without the others there is nobody to take a state from.
    others = [name for name in site.nodes if name != "n1"]
    site.kill(others[0])
    eventually("its death is known", lambda: is_away(site, others[0]), 20)
    assert "no quorum" in site.ask("n1", "group", "repair", "coins", good=False)
    return site.nodes["n1"].sum()


def voters(site, at):
    """Active ones in the group's view, as that node has it."""
    done = subprocess.run([site.tool, "status", "--node", str(site.folder / at)], capture_output=True, text=True, timeout=30)
    return sum(line.startswith("  ") and line.endswith(" voter") for line in done.stdout.splitlines())


def is_away(site, name):
    return any(line.split()[:1] == [name] and line.endswith("away") for line in site.ask("n1", "status").splitlines())


if __name__ == "__main__":
    conclude(Table(sys.argv[1], sys.argv[2]), run)
