"""One node asks all what they hold, also while one of them is paused and dies: who answered and who failed is told.

`shelf_run.py PROGRAM`."""
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from cluster import end_all, free_port
from rpc_run import Lines

NAMES = ("n1", "n2", "n3")


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cohort-shelf-"))
    places = [word for n in NAMES for word in ("--member", f"{n}=127.0.0.1:{free_port()}")]
    try:
        nodes = {n: Lines([sys.argv[1], "--name", n, "--data", folder / n, *places], folder / f"{n}.log") for n in NAMES}

        def say(name, text):
            nodes[name].send(text)
            return nodes[name].next()

        for name, word in (("n1", "ash"), ("n2", "birch"), ("n3", "birch")):
            assert say(name, word) == "kept"
        deadline = time.monotonic() + 20
        while True:  # until all are in one view
            answer = say("n1", "?birch")
            if answer.endswith(": n1 no n2 yes n3 yes"):
                break
            assert time.monotonic() < deadline, answer
            time.sleep(0.05)
        assert answer.startswith("all that are left, view "), answer
        assert say("n3", "?ash").endswith(": n1 yes n2 no n3 no")

        nodes["n3"].process.send_signal(signal.SIGSTOP)
        nodes["n1"].send("?birch")
        nodes["n3"].process.kill()
        nodes["n3"].process.wait()
        answer = nodes["n1"].next()
        assert answer.startswith("all that are left, view ") and answer.endswith(": n1 no n2 yes n3 failed"), answer
        assert say("n2", "?birch").endswith(": n1 no n2 yes"), "the next view asks those who are left"
        for name in ("n1", "n2"):
            nodes[name].process.stdin.close()
            nodes[name].process.terminate()
            assert nodes[name].process.wait(15) == 0, name
        print("all that were left answered")
    except BaseException:
        for log in sorted(folder.glob("*.log")):
            print(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}")
        raise
    finally:
        end_all()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
