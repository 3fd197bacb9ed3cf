"""Five nodes in network namespaces of their own, under clients' load: loss, delay, cuts in one direction, a bridge, join and loss.

`namespaces.py --server COHORT-KV NAME...`, as scenarios.py. What this kernel cannot do is made by `relay.py`, and said.
"""
import shutil
import signal
import statistics
import sys
import time

import scenarios
from cluster import Cluster, eventually
from load import Load
from network import Network, Unable, enter
from scenarios import Skip, judge, not_serving, progress, say

SCENARIOS = {}
SIZE = 5


def scenario(function):
    def run():
        try:
            function()
        except Unable as why:
            raise Skip(str(why)) from None
    run.__doc__ = function.__doc__
    SCENARIOS[function.__name__] = run
    return function


class Field:
    """Cluster, network and load, and how faults are told."""

    def __init__(self, delays=False, **load):
        self.network = self.cluster = self.load = None
        self.worst = {}
        self.options = load
        self.delays = delays

    def __enter__(self):
        try:
            self.network = Network(SIZE, self.delays, say)
            self.cluster = Cluster(scenarios.server, size=SIZE)
            for i, node in enumerate(self.cluster.nodes, 1):
                node.address, node.host, node.redis_port = f"10.77.1.{i}:7100", f"10.77.0.{i}", 6379
                node.prefix = self.network.inside(i)
            for node in self.cluster.nodes:
                node.write_config()
            self.cluster.start().ready()
            self.load = Load(self.cluster.nodes, **self.options).__enter__()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, *_):
        if self.load:
            self.load.ended.set()
        if kind and self.cluster:
            self.cluster.dump()
        if self.cluster:
            self.cluster.close()
        if self.network:
            self.network.close()

    def number(self, node):
        return self.cluster.nodes.index(node) + 1

    def numbers(self, nodes):
        return [self.number(n) for n in nodes]

    def others(self, *nodes):
        return [n for n in self.cluster.nodes if n not in nodes]

    def between(self, ones, others):
        """All pairs of the two sides, both ways."""
        return {pair for a in self.numbers(ones) for b in self.numbers(others) for pair in ((a, b), (b, a))}

    def newest(self, what, among=None):
        return max(int(n.info()[what]) for n in among or self.cluster.running())

    def together(self):
        """All that run follow one leader in one view, and none is behind (under load no two are asked at the same point)."""
        infos = [n.info() for n in self.cluster.running()]
        newest = max(int(i["commit_index"]) for i in infos)
        return len({(i["leader"], i["view"]) for i in infos}) == 1 and infos[0]["leader"] and \
            all(i["role"] in ("leader", "follower") and newest - int(i["applied_index"]) < 200 for i in infos)

    def fault(self, what, begin, seconds=3.0, during=None, among=None):
        """Begins it, waits until writes are acknowledged again, holds it for `seconds`, ends it, and tells the longest gap."""
        progress(self.load)
        term, view = self.newest("term"), self.newest("view")
        at = time.monotonic()
        begin()
        time.sleep(0.3)
        progress(self.load, seconds=15, what=f"service with {what}")
        if during:
            during()
        time.sleep(max(0.0, seconds - (time.monotonic() - at)))
        progress(self.load, seconds=15, what=f"service goes on with {what}")
        gap = self.load.longest_gap(at, time.monotonic())
        dropped = self.network.dropped()
        if self.network.cuts and dropped is not None:
            assert dropped > 0, f"no packet was dropped by {what}"
        changes = f"{self.newest('term', among) - term} elections, {self.newest('view', among) - view} views"
        self.network.heal()
        healed = time.monotonic()
        eventually("all are in one view again", self.together, 20)
        self.worst[what] = gap
        say(f"{what}: {gap * 1000:.0f} ms without an acknowledged write, {changes}" +
            (f", {dropped} packets dropped" if dropped else "") +
            f"; all together again {time.monotonic() - healed:.1f} s after its end")

    def judge(self):
        judge(self.load, self.cluster)
        what, gap = max(self.worst.items(), key=lambda w: w[1])
        say(f"longest gap: {gap * 1000:.0f} ms, {what}")


@scenario
def namespace_cuts():
    """The leader alone; one direction of its links, of all links; two sides that only meet through one node."""
    with Field() as field:
        cluster, network = field.cluster, field.network

        leader = cluster.leader()
        rest = field.others(leader)
        field.fault(f"the leader {leader.name} alone", lambda: network.cut(field.between([leader], rest)), among=rest,
                    during=lambda: eventually("the isolated leader stops answering writes", lambda: not_serving(leader), 10))

        leader = cluster.leader()
        rest = field.others(leader)
        field.fault(f"a leader {leader.name} that is not heard",
                    lambda: network.cut({(field.number(leader), n) for n in field.numbers(rest)}), among=rest)

        leader = cluster.leader()
        rest = field.others(leader)
        field.fault(f"a leader {leader.name} that hears nobody",
                    lambda: network.cut({(n, field.number(leader)) for n in field.numbers(rest)}), among=rest)

        leader = cluster.leader()
        one, two = field.others(leader)[:2]
        field.fault(f"one direction cut, {leader.name} to {one.name} and {one.name} to {two.name}",
                    lambda: network.cut({(field.number(leader), field.number(one)), (field.number(one), field.number(two))}))

        leader = cluster.leader()
        a, b, c, d = field.others(leader)
        field.fault(f"{leader.name},{a.name} and {c.name},{d.name} that only meet through {b.name}",
                    lambda: network.cut(field.between([leader, a], [c, d])), seconds=5)

        leader = cluster.leader()
        a, b, c, d = field.others(leader)
        field.fault(f"{a.name},{b.name} and {c.name},{d.name} that only meet through the leader {leader.name}",
                    lambda: network.cut(field.between([a, b], [c, d])), seconds=4)
        field.judge()


@scenario
def namespace_weather():
    """Delay, then 5 % loss with 50 ms jitter, and in it what happens in such weather: kills, a leader alone."""
    with Field(delays=True, pause=0.01) as field:
        cluster, network = field.cluster, field.network

        def latency():
            with cluster.leader().client() as client:
                took = []
                for i in range(9):
                    at = time.monotonic()
                    client.call("SET", "probe", i)
                    took.append(time.monotonic() - at)
            return statistics.median(took)

        jitter = " and 50 ms of jitter" if network.can_delay else ""
        if network.can_delay:
            calm = latency()
            measured = []
            field.fault("20 ms of delay", lambda: network.weather(delay=0.020), during=lambda: measured.append(latency()))
            say(f"a write takes {calm * 1000:.1f} ms, with 20 ms of delay {measured[0] * 1000:.1f} ms")
            assert measured[0] > 0.040, "the delay was not there"

        stormy = {"jitter": 0.050, "loss": 0.05}
        field.fault(f"5 % loss{jitter}", lambda: network.weather(**stormy), seconds=10)
        if network.nft and not network.netem:
            network.weather(**stormy)
            eventually("packets are lost", lambda: network.dropped() > 20, 20)
        field.fault(f"20 % loss{jitter}", lambda: network.weather(jitter=0.050, loss=0.20), seconds=8)

        def killed():
            network.weather(**stormy)
            victim[0].kill()

        victim = [cluster.leader()]
        field.fault(f"the leader {victim[0].name} killed in 5 % loss{jitter}", killed, among=field.others(victim[0]),
                    during=victim[0].start, seconds=5)

        def alone():
            network.weather(**stormy)
            network.cut(field.between([victim[0]], field.others(victim[0])))

        victim = [cluster.leader()]
        field.fault(f"the leader {victim[0].name} alone in 5 % loss{jitter}", alone, among=field.others(victim[0]),
                    seconds=5)
        field.judge()


def comes_empty(field, node):
    """A member whose disk is gone comes back with an empty directory: it is taught what the others know, and counts again."""
    node.kill()
    shutil.rmtree(node.data)
    progress(field.load)
    assert not node.data.exists()
    node.start()
    eventually(f"{node.name} is a voter again", lambda: node.info().get("role") in ("follower", "leader"), 25)
    assert node.info()["applied_index"] != "0", f"{node.name} was taught nothing"


def goes(field, node):
    """A member that is stopped for good. It stays a member of the table; the group excludes it and works without it."""
    code = node.stop()
    assert code == 0, f"{node.name} ended with {code}\n{node.tail()}"
    view = field.newest("view")
    rest = field.cluster.running()
    eventually(f"a view has {node.name} away", lambda: all(f"{node.name}(away)" in n.tail(30) for n in rest) and
               all(int(n.info()["view"]) >= view for n in rest), 10)


@scenario
def namespace_churn():
    """In 1 % loss: a node comes back with an empty directory, then two are stopped for good, the leader among them."""
    with Field(delays=True, pause=0.01) as field:
        cluster, network = field.cluster, field.network
        weather = {"jitter": 0.010, "loss": 0.01}

        leader = cluster.leader()
        empty = field.others(leader)[0]

        def join():
            network.weather(**weather)
            comes_empty(field, empty)

        field.fault(f"{empty.name} that comes with an empty directory", join, seconds=1)
        for role in ("follower", "leader"):
            leader = cluster.leader()
            # The one that came empty stays: it is needed now.
            node = leader if role == "leader" else next(n for n in field.others(leader, empty) if n.running())
            if node is empty:
                node = next(n for n in field.others(empty) if n.running())

            def stop():
                network.weather(**weather)
                goes(field, node)

            field.fault(f"the {role} {node.name} stopped for good", stop, seconds=2)
        assert len(cluster.running()) == 3
        field.judge()


if __name__ == "__main__":
    # An interrupted harness ends what it started; so does a killed one, since its children die with it.
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    try:
        enter()
    except Unable as why:
        print(f"  skipped: {why}")
        sys.exit(77)
    sys.exit(scenarios.main(SCENARIOS))
