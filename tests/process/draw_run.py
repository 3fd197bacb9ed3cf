"""Runs the sample of docs/primary-backup.md: three nodes, the primary is killed, every number that was read stays.

`draw_run.py PROGRAM [COHORT]`: with COHORT also what clients outside the group are told."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from cluster import end_all, free_port
from counter_run import Counter


def strangers(cohort, gateway):
    """There are no sessions, and nothing to watch; who asks for it hears so, and why."""
    for words, why in ((["call", "--group", "draw", "b1"], "have no sessions"), (["watch", "--group", "draw"], "one of primary and backups"),
                       (["call", "--all", "all", "--group", "draw", "b1"], "have no sessions"),
                       (["watch", "--group", "drawn"], 'hosts no group "drawn"')):
        done = subprocess.run([cohort, *words, "--gateway", gateway], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
        assert done.returncode == 1 and done.stderr.startswith("refused: ") and why in done.stderr, (words, done)


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cohort-draw-"))
    names = ("n1", "n2", "n3")
    members = [f"{n}=127.0.0.1:{free_port()}" for n in names]
    gateway = f"127.0.0.1:{free_port()}"

    def start(name):
        return Counter([sys.argv[1], "--gateway", f"n1={gateway}"], name, folder, members, dict(os.environ))

    try:
        nodes = {n: start(n) for n in names}
        drawn = {f"b{i}": nodes[names[i % 3]].add(f"b{i}") for i in range(12)}
        assert len(set(drawn.values())) > 6, f"these numbers are not by chance: {drawn}"
        if len(sys.argv) > 2:
            strangers(sys.argv[2], gateway)
        assert "this node: executes" in nodes["n1"].log.read_text(), "the first member is the first primary"
        nodes["n1"].process.kill()
        nodes["n1"].process.wait()
        for name in drawn:
            assert nodes["n2"].add(name) == drawn[name], "the backup has other numbers"
        drawn["after"] = nodes["n3"].add("after")
        nodes["n1"] = start("n1")
        for name in drawn:
            assert nodes["n1"].add(name) == drawn[name], "the restarted one has other numbers"
        for node in nodes.values():
            node.end()
        nodes = {n: start(n) for n in names}
        for name in drawn:
            assert nodes["n3"].add(name) == drawn[name], "numbers are lost by a restart of all"
        for node in nodes.values():
            node.end()
        print(f"{len(drawn)} numbers kept")
    finally:
        end_all()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
