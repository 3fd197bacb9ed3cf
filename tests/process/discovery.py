"""Members found by a file and by a name server, while they move and while the sources say nonsense.

`discovery.py --server COHORT-KV NAME...`, as scenarios.py. No table of these nodes holds an address: what links them is
what the source says.
"""
import os
import sys

import scenarios
from cluster import Cluster, eventually, free_port
from load import Load
from names import NameServer
from scenarios import judge, progress, say

SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


def discovered(source, **settings):
    """A cluster whose members know of each other nothing but the names."""
    cluster = Cluster(scenarios.server)
    cluster.head = {"discover": source(cluster) if callable(source) else source, "cluster": "test", **settings}
    for node in cluster.nodes:
        node.listen = node.address
        configure(node)
    return cluster


def configure(node):
    node.write_config(members={n.name: "discover" for n in node.cluster.nodes})
    lines = "".join(f'{key} = "{value}"\n' for key, value in node.cluster.head.items())
    node.config.write_text(node.config.read_text().replace("[node]\n", f"[node]\n{lines}", 1))


def move(node):
    """Another port, as after a move to another machine with its disk."""
    node.stop()
    node.listen = node.address = f"127.0.0.1:{free_port()}"
    configure(node)


def publish(file, text):
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(file)


def table(cluster, **others):
    return "[members]\n" + "".join(f'{n.name} = "{others.get(n.name, n.address)}"\n' for n in cluster.nodes)


def said(node, text):
    return text in node.log.read_text(errors="replace")


@scenario
def file_of_members():
    """A watched file: absent, half written, wrong and right; every member moves in turn, then all do, under load."""
    with discovered(lambda c: "file:where.toml") as cluster:
        file = cluster.folder / "where.toml"
        cluster.start()
        for node in cluster.nodes:
            eventually(f"{node.name} says that the file is missing", lambda n=node: said(n, "where.toml cannot be read"))
            eventually(f"{node.name} misses the others", lambda n=node: said(n, "no address of it is known yet"))
        publish(file, table(cluster))
        cluster.ready()
        say("found once the file was there")
        with Load(cluster.nodes) as load:
            for victim in [cluster.leader(), *(n for n in cluster.nodes if n is not cluster.leader())]:
                progress(load)
                move(victim)
                # First a lie: another member's address and nobody's. It costs refusals, not the service.
                other = next(n for n in cluster.nodes if n is not victim)
                publish(file, table(cluster, **{victim.name: other.address}))
                victim.start()
                progress(load, what="service while the file says where a member is not")
                # Then half of a file, written in place; what was known stays.
                file.write_text(table(cluster)[:-9])
                eventually("half a file is told with its line",
                           lambda: all(said(n, f"{file}:4: ") for n in cluster.nodes if n is not victim))
                publish(file, table(cluster))
                eventually(f"{victim.name} is active again", lambda v=victim: v.info().get("role") == "follower", 15)
                progress(load)
            say("all members have moved, one after the other")
            # Nobody is where anybody remembers: only the file brings them together.
            progress(load)
            for node in cluster.nodes:
                move(node)
            publish(file, table(cluster))
            cluster.start()
            progress(load, seconds=20, what="service after the move of all")
            say("all have moved at once")
            publish(file, table(cluster) + f'n9 = "127.0.0.1:{free_port()}"\n')
            eventually("a stranger in the file is told", lambda: all(said(n, "names n9, no member") for n in cluster.nodes))
            publish(file, table(cluster, n2="nonsense"))
            eventually("a wrong entry is told", lambda: said(cluster.nodes[0], f"{file}:3: member n2: 'nonsense'"))
            file.write_bytes(os.urandom(4000))
            eventually("garbage is told", lambda: said(cluster.nodes[0], f"{file}:1: "))
            leader = cluster.leader()
            leader.kill()
            progress(load, what="service with garbage in the file")
            leader.start()  # it knows nobody, but what the others knew stays
            eventually(f"{leader.name} is active again", lambda: leader.info().get("role") == "follower", 15)
            publish(file, table(cluster))
            judge(load, cluster)
        # What it learned in between it forgot with its process; the file is there again.
        for node in cluster.nodes:
            assert node.stop() == 0, f"{node.name} did not end cleanly on SIGTERM\n{node.tail()}"


@scenario
def names_and_services():
    """SRV and A records of a name server that lies, is silent and corrects itself, while members move under load."""
    with NameServer() as names, discovered("srv:_cohort._tcp.test", name_servers=f"127.0.0.1:{names.port}") as cluster:
        def record(node, port=None):
            return (10, 5, port or int(node.address.split(":")[1]), f"{node.name}.test")

        def announce(**others):
            names.services["_cohort._tcp.test"] = [record(n, others.get(n.name)) for n in cluster.nodes]

        cluster.start()
        eventually("n1 says whom it asked", lambda: said(cluster.nodes[0], "srv:_cohort._tcp.test: Domain name not found"))
        for node in cluster.nodes:
            # The first address of each is nobody's.
            names.hosts[f"{node.name}.test"] = ["127.0.0.77", "127.0.0.1"]
        announce()
        cluster.ready()
        say("found by SRV records, each of two addresses in turn")
        with Load(cluster.nodes) as load:
            for victim in cluster.nodes:
                progress(load)
                move(victim)
                other = next(n for n in cluster.nodes if n is not victim)
                announce(**{victim.name: int(other.address.split(":")[1])})
                victim.start()
                progress(load, what="service while the name server says where a member is not")
                announce()
                eventually(f"{victim.name} is active again", lambda v=victim: v.info().get("role") == "follower", 15)
            for node in cluster.nodes:
                move(node)
            announce()
            cluster.start()
            progress(load, seconds=20, what="service after the move of all")
            say("all have moved, one after the other, then at once")
            names.services.clear()
            names.hosts.clear()
            leader = cluster.leader()
            leader.kill()
            progress(load, what="service without any record")
            announce()
            leader.start()
            for node in cluster.nodes:
                names.hosts[f"{node.name}.test"] = ["127.0.0.1"]
            eventually(f"{leader.name} is active again", lambda: leader.info().get("role") == "follower", 15)
            judge(load, cluster)
        say(f"{sum(names.asked.values())} questions to the name server")


@scenario
def another_cluster():
    """Two clusters with the same names of members, one file that leads into the other: refused and told, both unharmed."""
    with discovered(lambda c: "file:where.toml") as cluster, discovered(lambda c: "file:where.toml") as other:
        other.head["cluster"] = "other"
        for each in (cluster, other):
            for node in each.nodes:
                configure(node)
            publish(each.folder / "where.toml", table(each))
            each.start().ready()
        with Load(cluster.nodes) as load:
            progress(load)
            victim = next(n for n in cluster.nodes if n is not cluster.leader())
            victim.kill()
            publish(cluster.folder / "where.toml", table(cluster, **{victim.name: other.node(victim.name).address}))
            asker = cluster.leader()
            eventually("the wrong way is told", lambda: said(asker, f"node {victim.name} is of another cluster"))
            progress(load, count=120, what="service while a file leads into another cluster")
            assert other.nodes[0].call("DBSIZE") <= 3, "the other cluster was written to"
            victim.start()
            publish(cluster.folder / "where.toml", table(cluster))
            judge(load, cluster)
        other.settled()


if __name__ == "__main__":
    sys.exit(scenarios.main(SCENARIOS))
