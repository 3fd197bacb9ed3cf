"""A holder of a lock is paused; the lock is given to another one; what the old holder writes when it goes on is refused.

`lease_run.py PROGRAM`."""
import os
import pathlib
import shutil
import signal
import sys
import tempfile

from cluster import end_all, free_port
from counter_run import Counter


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cohort-lease-"))
    names = ("n1", "n2", "n3")
    members = [f"{n}=127.0.0.1:{free_port()}" for n in names]
    try:
        nodes = {n: Counter([sys.argv[1]], n, folder, members, dict(os.environ)) for n in names}
        n1, n2, n3 = (nodes[n] for n in names)
        assert n3.add("get") == 0
        old = n1.add("take")
        assert n1.add(f"put {old} 11") == 1, "the holder writes"
        assert n2.add(f"put {old + 1} 5") == 0, "a token nobody was given"
        n1.process.send_signal(signal.SIGSTOP)
        new = n2.add("take")  # waits until the lease is over, and for the group to do without n1
        assert new > old, f"token {new} is not above {old}"
        assert n2.add(f"put {new} 22") == 1, "the new holder writes"
        n1.process.send_signal(signal.SIGCONT)
        assert n1.add(f"put {old} 33") == 0, "the old holder's write is refused"
        assert n1.add("get") == 22 and n3.add("get") == 22, "nothing of it is there"
        n2.process.kill()
        n2.process.wait()
        newest = n3.add("take")
        assert newest > new, "the lease of a dead holder ends, too"
        assert n1.add(f"put {new} 44") == 0, "although the newest holder has not written yet"
        assert n3.add(f"drop {newest}") == 1 and n1.add("take") > newest
        for node in (n1, n3):
            node.end()
        print("old holders were refused")
    finally:
        end_all()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
