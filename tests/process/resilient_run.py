"""Kills the program of docs/resilience.md in a loop; the payments count once each, and so do the receipts.
`resilient_run.py PROGRAM`."""
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

from cluster import _child_setup, _running, free_port

ROUNDS = 8
chance = random.Random(4)

with tempfile.TemporaryDirectory(prefix="cohort-till-") as folder:
    log = open(pathlib.Path(folder) / "log", "w+")
    port = free_port()

    def start():
        node = subprocess.Popen([sys.argv[1], "--name", "n1", "--data", f"{folder}/n1", "--member", f"n1=127.0.0.1:{port}"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                                start_new_session=True, preexec_fn=_child_setup)
        _running.add(node)
        return node

    def ask(node, number):
        try:
            node.stdin.write(f"{number} {number * 3}\n")
            node.stdin.flush()
            return node.stdout.readline().strip()
        except BrokenPipeError:
            return ""

    taken = 0  # payments that were answered
    totals = {}
    for life in range(ROUNDS):
        node = start()
        until = taken + chance.randrange(20, 120)
        while taken < until:
            answer = ask(node, taken + 1)
            assert " taken: " in answer, (answer, (log.seek(0), log.read())[1])
            taken += 1
            total = int(answer.split()[-1])
            assert total == sum(3 * n for n in range(1, taken + 1)), answer
            totals[taken] = total
        # The next one is under way when it dies; it is paid again by the next life.
        node.stdin.write(f"{taken + 1} {(taken + 1) * 3}\n")
        node.stdin.flush()
        time.sleep(chance.random() * 0.02)
        node.send_signal(signal.SIGKILL)
        node.wait(20)
        _running.discard(node)
    node = start()
    taken += 1
    totals[taken] = totals[taken - 1] + 3 * taken
    for _ in range(3):  # asked again: the same answer, and no second payment
        assert ask(node, taken).endswith(f"taken: {totals[taken]}")
    assert ask(node, taken - 1).endswith("try again")  # its answer is not kept any more
    receipts = pathlib.Path(folder) / "n1" / "receipts"
    deadline = time.monotonic() + 20
    while True:
        printed = {}
        lines = receipts.read_text().splitlines()
        for line in lines:
            number, body, _ = line.split()
            assert printed.setdefault(int(number), body) == body, f"receipt {number} was printed with {body} and {printed[int(number)]}"
        if len(printed) >= taken or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    assert printed == {n: str(t) for n, t in totals.items()}, (len(printed), taken)
    node.terminate()
    node.stdin.close()
    assert node.wait(20) == 0, (log.seek(0), log.read())[1]
print(f"{ROUNDS} lives killed, {taken} payments, {len(lines)} receipts of which {len(lines) - taken} came twice")
