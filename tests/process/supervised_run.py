"""Runs the program of docs/supervision.md, and asks it as an operator would. `supervised_run.py PROGRAM COHORT`."""
import pathlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from cluster import _child_setup, _running, eventually, free_port

with tempfile.TemporaryDirectory(prefix="cohort-shop-") as folder:
    log = pathlib.Path(folder) / "log"
    metrics = f"127.0.0.1:{free_port()}"
    node = subprocess.Popen([sys.argv[1], "--name", "n1", "--data", f"{folder}/n1", "--member", f"n1=127.0.0.1:{free_port()}",
                             "--metrics", metrics],
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

    def ask(*words, good=True):
        done = subprocess.run([sys.argv[2], *words, "--node", f"{folder}/n1"], capture_output=True, text=True, timeout=30)
        assert (done.returncode == 0) == good, (words, done)
        return done.stdout if good else done.stderr

    def page(path="/metrics"):
        with urllib.request.urlopen(f"http://{metrics}{path}", timeout=10) as answer:
            return dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#"))

    assert "shop/till" in ask("letters", "list") and "ended 2 lives  who pays -1?" in ask("letters", "list")
    shown = ask("letters", "show", "1")
    assert "for shop/till" in shown and "cause who pays -1?" in shown and "replayable yes" in shown, shown
    assert "there is no dead letter 7" in ask("letters", "drop", "7", good=False)
    figures = page()
    assert figures['cohort_up{node="n1"}'] == "1" and figures["cohort_dead_letters"] == "1", figures
    assert figures['cohort_process_restarts_total{child="shop/till"}'] == "2" and figures["cohort_poison_messages_total"] == "1", figures
    assert figures['cohort_group_leads{group="idle"}'] == "1" and float(figures['cohort_group_view{group="idle"}']) >= 0, figures
    try:
        page("/secrets")
        raise AssertionError("there is more than metrics")
    except urllib.error.HTTPError as problem:
        assert problem.code == 404, problem
    # Given again it breaks the till twice more, and is put aside under another number.
    assert "given to shop/till" in ask("letters", "replay", "1")
    eventually("the letter comes back", lambda: ask("letters", "list").startswith("2  "))
    eventually("the second life more is told", lambda: page()["cohort_process_restarts_total{child=\"shop/till\"}"] == "4")
    assert "dropped" in ask("letters", "drop", "2") and ask("letters", "list") == ""
    assert "shop/till  " in ask("processes") and "group idle: leader" in ask("status")
    node.terminate()
    assert node.wait(20) == 0, log.read_text()
    said = log.read_text()
    for words in ("child=shop/till event=restarts", "child=shop/till event=poison letter=1", "a message that ended 2 lives"):
        assert words in said, f"{words} is not in {said}"
    assert "no node answers" in ask("status", good=False)
print("the shop goes on")
