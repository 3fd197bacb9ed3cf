"""Runs the chat as its users would: five people, a network cut in two, everybody killed, and everybody's words afterwards.

`chat_run.py PROGRAM`. The cut is that of `mesh.py`: bytes vanish, nothing is closed.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

from cluster import _child_setup, _running, eventually, free_port
from mesh import Mesh

NAMES = ("anna", "bert", "carl", "dora", "emil")


class Person:
    def __init__(self, program, name, folder, port, members):
        arguments = [program, "--name", name, "--data", str(folder / name), "--listen", f"0.0.0.0:{port}"]
        for member in members:
            arguments += ["--member", member]
        self.name = name
        self.log = folder / f"{name}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                                            env=dict(os.environ), start_new_session=True, preexec_fn=_child_setup)
        _running.add(self.process)
        self.seen = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.seen.append(line.rstrip("\n"))

    def type(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def sees(self, line, seconds=20):
        eventually(f"{self.name} sees {line!r} among {self.seen[-12:]}", lambda: line in self.seen, seconds)

    def together(self):
        said = [line for line in list(self.seen) if line.startswith("* together: ")]
        return said[-1][len("* together: "):].replace(" and ", ", ").split(", ") if said else []

    def history(self):
        before = len(self.seen)
        self.type("/history")
        lines = []

        def ended():
            lines[:] = self.seen[before:]
            return any(line.strip().endswith(" lines") and line.startswith("  ") for line in lines)

        eventually(f"history of {self.name}", ended)
        return [line for line in lines if line.startswith("  ")]


def meet(people, seconds=25):
    names = sorted(p.name for p in people)
    for p in people:
        eventually(f"{p.name} with {names}, now {p.together()}", lambda p=p: sorted(p.together()) == names, seconds)


def main(program):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cohort-chat-"))
    mesh = Mesh()
    people = {}
    try:
        ports = {name: free_port() for name in NAMES}
        members = [f"{name}=127.0.0.1:{mesh.listen_for(name, ports[name])}" for name in NAMES]
        mesh.pids = lambda: {p.process.pid: p.name for p in people.values()}
        mesh.start()
        for name in NAMES:
            people[name] = Person(program, name, folder, ports[name], members)
        everybody = list(people.values())
        meet(everybody)
        people["anna"].type("good morning")
        for p in everybody:
            p.sees("<anna> good morning")

        left, right = [people[n] for n in NAMES[:2]], [people[n] for n in NAMES[2:]]
        for a in left:
            for b in right:
                mesh.cut(a.name, b.name)
        meet(left)
        meet(right)
        assert any(line.startswith("* out of reach: ") for line in people["anna"].seen), people["anna"].seen
        people["anna"].type("where are the others?")
        people["bert"].sees("<anna> where are the others?")
        people["bert"].type("no idea")
        people["anna"].sees("<bert> no idea")
        people["dora"].type("this side works")
        for p in right:
            p.sees("<dora> this side works")
        assert "<dora> this side works" not in people["anna"].seen
        assert len(people["anna"].history()) == 4 and len(people["dora"].history()) == 3

        mesh.heal()
        meet(everybody)
        for p in left:
            p.sees("~ <dora> this side works")
        for p in right:
            p.sees("~ <anna> where are the others?")
            p.sees("~ <bert> no idea")
        people["emil"].type("welcome back")
        for p in everybody:
            p.sees("<emil> welcome back")
        histories = [p.history() for p in everybody]
        assert len(histories[0]) == 6, histories[0]  # five lines and their number
        assert all(h == histories[0] for h in histories), histories

        def kill(names):
            for name in names:
                people[name].process.kill()
                people[name].process.wait()

        def start(names):
            for name in names:
                people[name] = Person(program, name, folder, ports[name], members)
            return [people[name] for name in names]

        kill(["bert"])  # comes back with nothing, and is given everything
        meet([p for p in everybody if p.name != "bert"])
        shutil.rmtree(folder / "bert")
        start(["bert"])
        meet(list(people.values()))
        people["bert"].sees("~ <emil> welcome back")
        eventually("bert's history", lambda: people["bert"].history() == histories[0])

        # Power fails on both sides of a cut: each side has its own words again, and all have all of them afterwards.
        for a in NAMES[:2]:
            for b in NAMES[2:]:
                mesh.cut(a, b)
        meet([people[n] for n in NAMES[:2]])
        meet([people[n] for n in NAMES[2:]])
        people["bert"].type("only anna hears this")
        people["anna"].sees("<bert> only anna hears this")
        people["carl"].type("and this not")
        people["emil"].sees("<carl> and this not")
        before = {n: people[n].history() for n in NAMES}
        assert before["anna"] == before["bert"] != before["carl"] == before["dora"] == before["emil"], before
        kill(NAMES)
        start(NAMES)
        meet([people[n] for n in NAMES[:2]])
        meet([people[n] for n in NAMES[2:]])
        for n in NAMES:
            eventually(f"{n}'s own side", lambda n=n: people[n].history() == before[n])
        mesh.heal()
        meet(list(people.values()))
        people["anna"].sees("~ <carl> and this not")
        people["dora"].sees("~ <bert> only anna hears this")
        histories = []

        def all_know_all():
            histories[:] = [people[n].history() for n in NAMES]
            return len(histories[0]) == 8 and all(h == histories[0] for h in histories)  # seven lines and their number

        eventually("everybody's history", all_know_all)
        kill(NAMES)
        everybody = start(NAMES)
        meet(everybody)
        for p in everybody:
            eventually(f"{p.name}'s history", lambda p=p: p.history() == histories[0])
        for p in everybody:
            p.type("/quit")
        for p in everybody:
            assert p.process.wait(20) == 0, p.log.read_text()[-2000:]
        print("all five know what was said:", *histories[0], sep="\n")
    except BaseException:
        for p in people.values():
            print(f"--- {p.name}", *p.seen[-20:], p.log.read_text()[-1500:], sep="\n", file=sys.stderr)
        raise
    finally:
        for p in people.values():
            if p.process.poll() is None:
                p.process.kill()
                p.process.wait()
        mesh.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
