"""Runs the program of docs/supervision.md. `supervised_run.py PROGRAM`."""
import pathlib
import subprocess
import sys
import tempfile

from cluster import _child_setup, _running, free_port

with tempfile.TemporaryDirectory(prefix="cohort-shop-") as folder:
    log = pathlib.Path(folder) / "log"
    node = subprocess.Popen([sys.argv[1], "--name", "n1", "--data", f"{folder}/n1", "--member", f"n1=127.0.0.1:{free_port()}"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(log, "w"), text=True,
                            start_new_session=True, preexec_fn=_child_setup)
    _running.add(node)

    def pay(price):
        node.stdin.write(f"{price}\n")
        node.stdin.flush()
        return node.stdout.readline().strip()

    assert pay(5) == "taken today: 5"
    assert pay(7) == "taken today: 12"
    assert pay(-1) == "the till broke"
    while (answer := pay(3)) == "the till broke":  # the clerk, who is started again with the till, was between two lives
        pass
    assert answer == "taken today: 3", answer  # a till that has forgotten its day
    assert pay(4) == "taken today: 7"
    node.stdin.close()
    lines = [node.stdout.readline().strip() for _ in range(5)]
    text = "\n".join(lines)
    # That it is up the supervisor hears a moment after it has answered us.
    states = [f"shop/till: {state}, restarts 2, last cause: who pays -1?" for state in ("up", "starting")]
    assert any(line.startswith(tuple(states)) for line in lines), text
    assert any(line.startswith("put aside: ") and "for shop/till: who pays -1?" in line for line in lines), text
    node.terminate()
    assert node.wait(20) == 0, log.read_text()
    said = log.read_text()
    for words in ("child=shop/till event=restarts", "child=shop/till event=poison letter=1", "a message that ended 2 lives"):
        assert words in said, f"{words} is not in {said}"
print("the shop goes on")
