"""Inputs on which the whole process ends: each is given as often as a throwing one, over restarts of the process and, in a group,
over all nodes together, then put aside; the start behind each says what it was.

Inputs that throw are refused alike, also those of a resilient sender, which goes on without them. A journal, or a checkpoint, that
ends the process when it is redone, or read, keeps its own resilient process down, and nothing else.

`deadly_run.py PROGRAM COHORT alone|outbox|journal|together`."""
import pathlib
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

from cluster import eventually, free_port, launch

LIVES = 3  # mailbox_options::poison_after


class Shop:
    def __init__(self, name, folder, members):
        self.name, self.folder, self.members = name, folder, members
        self.log = folder / f"{name}.log"
        self.starts = 0
        self.process = None

    def begin(self, *options):
        arguments = [sys.argv[1], *options, "--name", self.name, "--data", str(self.folder / self.name)]
        for member in self.members:
            arguments += ["--member", member]
        with open(self.log, "ab") as log:
            self.process = launch(arguments, piped=True, stderr=log, text=True)
        self.starts += 1
        self.answers = queue.Queue()
        threading.Thread(target=self.read, args=(self.process.stdout, self.answers), daemon=True).start()
        return self

    def start(self, *options):
        self.begin(*options)
        assert self.line(20) == "up", self.log.read_text()[-3000:]
        return self

    def start_until_it_lives(self, *options):
        """Its own resilient processes may end it as soon as it has started. Returns how often they did."""
        for ends in range(20):
            self.begin(*options)
            if self.line(20) == "up":
                time.sleep(2)
                if self.process.poll() is None and self.ask("letters", 5) is not None:
                    return ends
            self.ends(-signal.SIGABRT)
        raise AssertionError(self.log.read_text()[-3000:])

    def cohort(self, *words, good=True):
        done = subprocess.run([sys.argv[2], *words, "--node", str(self.folder / self.name)], capture_output=True, text=True, timeout=20)
        assert (done.returncode == 0) == good, (words, done)
        return done.stdout + done.stderr

    def metric(self, name):
        lines = [line for line in self.cohort("metrics").splitlines() if line.startswith(name + " ")]
        assert len(lines) == 1, (name, lines)
        return float(lines[0].split()[-1])

    @staticmethod
    def read(lines, into):
        for line in lines:
            into.put(line.strip())
        into.put(None)

    def line(self, seconds):
        """The next line, nothing if the process has ended or takes too long."""
        try:
            return self.answers.get(timeout=seconds)
        except queue.Empty:
            return None

    def say(self, text):
        try:
            self.process.stdin.write(text + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def ask(self, text, seconds=30):
        self.say(text)
        return self.line(seconds)

    def ends(self, by):
        assert self.process.wait(20) == by, (self.process.returncode, self.log.read_text()[-3000:])

    def kill(self):
        self.process.kill()
        self.process.wait(20)

    def stop(self):
        self.process.stdin.close()
        self.process.terminate()
        assert self.process.wait(20) == 0, self.log.read_text()[-3000:]

    def said(self, words):
        return self.log.read_text().count(words)

    def deaths(self):
        return self.said(" while resilient process till, ") + self.said(" while it executed, as the primary of group till ")

    def has_said(self, words, times=1):
        eventually(f"{self.name} says {times} times: {words}\n{self.log.read_text()[-4000:]}", lambda: self.said(words) >= times)


def alone(folder):
    shop = Shop("n1", folder, [f"n1=127.0.0.1:{free_port()}"]).start()
    assert shop.ask("pay customer 1 5") == "1 taken 5"

    for life in range(1, LIVES + 1):
        assert shop.ask("pay customer 2 abort") is None, "it lives"
        shop.ends(-signal.SIGABRT)
        shop.start()
        shop.has_said("executed an input of customer, number 2, 5 bytes: \"abort\"", life)
        shop.has_said(f"ended the whole process {life} time")
        shop.has_said("ended by signal 6 (Aborted) while resilient process till", life)
        restarts = shop.ask("restarts")
        assert "till: the process before this one ended" in restarts and "customer, number 2" in restarts, restarts
    began = time.monotonic()
    refused = shop.ask("pay customer 2 abort")
    assert refused and "error" in refused and f"ended the whole process {LIVES} times" in refused, refused
    print(f"refused within {time.monotonic() - began:.3f} s: {refused}")
    letters = eventually("the letter is there", lambda: (l := shop.ask("letters")) and l)
    assert letters.startswith(f"1 shop/till {LIVES} 1 it ended the whole process"), letters
    assert "customer" in letters and "abort" in letters, letters
    shop.has_said("event=poison letter=1")
    assert shop.ask("pay - 0 7") == "0 taken 12", "others are served"

    # Neither a kill of an idle process, nor a stop, is held against anybody; and the letter is there once.
    shop.kill()
    shop.start()
    assert shop.deaths() == LIVES
    assert "error" in shop.ask("pay customer 2 abort")
    assert shop.ask("letters") == letters
    assert "error" in shop.ask("pay customer 3 1"), "number 2 is missing"
    assert shop.ask("pay customer 2 4") == "2 taken 16", "it is another input under this number"

    # Every way to end; a plain request has no number, and is known again by what it says.
    for body, ended in (("crash", -signal.SIGSEGV), ("recurse", -signal.SIGSEGV), ("exit", 3)):
        before = shop.deaths()
        assert shop.ask(f"pay - 0 {body}") is None
        shop.ends(ended)
        shop.start()
        eventually("it is told", lambda: shop.deaths() == before + 1)
        shop.has_said(f"of an ordinary sender, {len(body)} bytes: \"{body}\"")
        shop.has_said("by signal 11 (Segmentation fault)", {"crash": 1, "recurse": 3}.get(body, 0))
    # One that never comes back is ended by whoever watches over the process.
    shop.say("pay - 0 hang")
    eventually("it hangs", lambda: b"hang" in (folder / "n1" / "last_words").read_bytes())
    shop.kill()
    shop.start()
    shop.has_said("of an ordinary sender, 4 bytes: \"hang\"")
    for _ in range(LIVES - 1):
        assert shop.ask("pay - 0 exit") is None
        shop.ends(3)
        shop.start()
    assert f"ended the whole process {LIVES} times" in shop.ask("pay - 0 exit")

    # A state machine, which all members execute alike: the start behind it says by what the process ended.
    eventually("the group takes it", lambda: shop.say("tell abort") or shop.process.poll() is not None, 20)
    shop.ends(-signal.SIGABRT)

    # A newer program digests all of it.
    shop.start("--sound")
    shop.has_said("by signal 6 (Aborted) while group ear applied the message of member n1 at position")
    shop.has_said(': "abort"; all members apply it alike')
    assert len(shop.ask("letters").split(" | ")) >= 2
    assert shop.ask("pay customer 3 abort") == "3 taken 16"
    assert "ended the whole process" in shop.ask("pay - 0 exit"), "refused until somebody says otherwise"
    assert shop.ask("replay 2") == ""
    eventually("it is executed", lambda: shop.ask("pay - 0 exit") == "0 taken 16")
    shop.stop()


def outbox(folder):
    """What a resilient sender sent is refused for good, too: it is put aside once, and what is behind it arrives."""
    shop = Shop("n1", folder, [f"n1=127.0.0.1:{free_port()}"]).start()

    def restarts():
        return shop.said("child=shop/till event=restarts")

    def taken(amount):
        eventually(f"the till has {amount}\n{shop.log.read_text()[-3000:]}", lambda: shop.ask("pay - 0 0") == f"0 taken {amount}", 30)

    shop.ask("send 5")
    taken(5)
    shop.ask("send throw9")
    shop.ask("send 7")
    taken(12)
    assert restarts() == LIVES
    shop.has_said("courier: its message 2 to till is refused for good")
    eventually("the outbox is empty", lambda: "courier active 1 outbox 0 undelivered 1 " in shop.ask("status"))
    letters = shop.ask("letters")
    assert letters.startswith(f"1 shop/till {LIVES} 1 no throw9") and letters.count("|") == 1, letters

    # A numbered sender of any kind; another start of the node knows of it, and who drops the letter does not change it.
    answer = shop.ask("pay customer 1 throw")
    assert "error" in answer, answer
    assert restarts() == 2 * LIVES
    eventually("refused", lambda: "threw each time it was executed, and was put aside: no throw" in shop.ask("pay customer 1 throw"))
    assert shop.metric('cohort_inputs_put_aside_total{cause="threw"}') == 2
    assert shop.metric("cohort_inputs_refused_total") >= 2
    assert shop.metric('cohort_resilient_undelivered_total{process="courier"}') == 1
    shop.kill()
    shop.start()
    assert shop.ask("drop 2") == "1"
    assert "was put aside: no throw" in shop.ask("pay customer 1 throw")
    assert shop.ask("pay customer 1 3") == "1 taken 15", "another input under the number"
    assert "error" in shop.ask("pay - 0 throw") and "error" in shop.ask("pay - 0 throw")
    assert restarts() == 4 * LIVES, "what has no number is another input each time"

    # One that ends the whole process: the outbox brings it again at each start.
    shop.ask("send abort")
    shop.ends(-signal.SIGABRT)
    assert shop.start_until_it_lives() == LIVES - 1
    shop.ask("send 1")
    taken(16)
    shop.has_said("courier: its message 4 to till is refused for good")
    assert shop.metric('cohort_inputs_put_aside_total{cause="ended_process"}') == 1
    assert shop.metric("cohort_process_ends_total") == LIVES

    # Replayed, it is applied once, though its sender has gone on without it; one that throws again is one letter again.
    number = next(l.split()[0] for l in shop.ask("letters").split(" | ") if "throw9" in l)
    assert shop.ask(f"replay {number}") == ""
    eventually("it is put aside again", lambda: restarts() == 5 * LIVES)

    def holding(body):
        return [letter.split()[0] for letter in shop.ask("letters").split(" | ") if body in letter and "courier" in letter]

    eventually("under another number", lambda: len(holding("throw9")) == 1 and holding("throw9") != [number])
    shop.stop()
    shop.start("--sound")
    for body, then in (("throw9", 25), ("abort", 25)):
        number, = holding(body)
        assert "given to shop/till" in shop.cohort("letters", "replay", number)
        taken(then)
        eventually("it is no letter any more", lambda: "there is no dead letter" in shop.ask(f"replay {number}"))
    taken(25)
    shop.ask("send 1")
    taken(26)
    shop.stop()


def journal(folder):
    """Redoing a journal, and reading a checkpoint, may end the process, too."""
    shop = Shop("n1", folder, [f"n1=127.0.0.1:{free_port()}"]).start()
    assert shop.ask("pay customer 1 5") == "1 taken 5"
    assert shop.ask("pay customer 2 late") == "2 taken 5"
    shop.ask("send 2")
    eventually("it arrives", lambda: shop.ask("pay - 0 0") == "0 taken 7")
    assert "error" in shop.ask("pay other 1 throw")
    eventually("it is put aside", lambda: "was put aside" in shop.ask("pay other 1 throw"))
    shop.kill()
    assert shop.start_until_it_lives("--forgetful") == LIVES
    shop.has_said("ended by signal 6 (Aborted) while resilient process till, in its life", LIVES)
    shop.has_said("redid event 2 of its journal; so far it ended the whole process 3 times")
    shop.has_said("resilient=till event=stays_down: redoing event 2 of its journal ended the whole process 3 times")
    for what in (shop.ask("children"), shop.cohort("processes")):
        assert "shop/till" in what and " down" in what, what
    assert "process till: stays down: redoing event 2" in shop.cohort("status")
    assert "till active 0" in shop.ask("status")
    assert shop.metric('cohort_resilient_down{process="till"}') == 1
    assert "stays down: redoing event 2" in shop.ask("pay customer 3 1")
    shop.ask("send 4")  # waits in the outbox
    assert shop.ask("replay 1") == "" and "stays down" in shop.ask("pay - 0 0")
    assert "no throw" in shop.ask("letters"), "a letter stays until it is applied"
    shop.stop()

    # By the same program it is the same; a sound one is asked to try again.
    shop.start("--forgetful")
    assert "stays down" in shop.ask("pay customer 3 1")
    shop.stop()
    shop.start("--sound")
    assert "stays down" in shop.ask("pay customer 3 1")
    assert "no resilient process courier stays down here" in shop.cohort("redo", "courier", good=False)
    assert "till redoes its journal" in shop.cohort("redo", "till")
    eventually("it is up", lambda: "shop/till up 0" in shop.ask("children"))
    assert shop.ask("pay customer 3 1") in ("3 taken 8", "3 taken 12")
    eventually("what waited arrives", lambda: shop.ask("pay - 0 0") == "0 taken 12")
    assert shop.metric('cohort_resilient_down{process="till"}') == 0
    assert shop.ask("redo till") == "no resilient process till stays down here"
    assert shop.ask("replay 1") == ""
    eventually("it is applied, and no letter any more", lambda: shop.ask("letters") == "")

    # A checkpoint that ends the process is passed over like one that cannot be read, as long as there is another one.
    for number in range(4, 24):
        assert shop.ask(f"pay customer {number} 1") == f"{number} taken {number + 9}"
    shop.kill()
    ends = shop.start_until_it_lives("--brittle")
    assert ends == 2 * LIVES, ends  # there are two checkpoints, and the journal begins behind the older one
    shop.has_said("read its checkpoint at position")
    assert "reading it ended the whole process 3 times" in shop.ask("status")
    assert "stays down" in shop.ask("pay customer 24 1")
    shop.stop()
    shop.start()
    assert shop.ask("redo till") == ""
    eventually("it is up", lambda: shop.ask("pay customer 24 1") == "24 taken 33")
    shop.stop()


def together(folder):
    names = ("n1", "n2", "n3")
    members = [f"{n}=127.0.0.1:{free_port()}" for n in names]
    shops = [Shop(n, folder, members).start() for n in names]

    def deaths():
        return sum(shop.deaths() for shop in shops)

    def paid(shop, what, answer):
        eventually(f"{what}: {answer}", lambda: answer in (shop.ask(f"pay {what}") or ""), 40)

    # Of a resilient sender, in a group of its own: refused once, at whatever node, and what is behind it arrives.
    serves = re.compile("group=courier .*has contact with a quorum")  # what is sent before is refused, and nobody is told
    eventually("the sender's group serves", lambda: serves.search(shops[1].log.read_text()))
    for body in ("throw9", "3", "throw8", "2"):
        assert shops[1].ask(f"send {body}") == "sent"
    eventually("what is behind them arrives", lambda: "0 taken 5" in (shops[2].ask("pay - 0 0") or ""), 40)
    threw = [shop for shop in shops if "no throw9" in shop.ask("letters")]
    assert len(threw) == 1, [shop.ask("letters") for shop in shops]
    threw[0].has_said("resilient process till: an input of courier, number 1 is put aside: it throws each time: no throw9")
    eventually("the sender is told", lambda: sum(shop.said("courier: its message 1 to till is refused for good") for shop in shops) == 1)
    assert shops[0].ask("pay - 0 0") == "0 taken 5"
    for shop in shops:
        for letter in shop.ask("letters").split("|")[:-1]:
            shop.ask(f"drop {letter.split()[0]}")

    paid(shops[2], "customer 1 0", "1 taken 5")

    # Whoever executes it dies; who has died is started again; who asked asks again.
    began, asked, answer = time.monotonic(), None, ""
    while "ended the whole process" not in answer:
        assert time.monotonic() < began + 90, (deaths(), answer, [shop.log.read_text()[-2000:] for shop in shops])
        for shop in shops:
            if shop.process.poll() is not None:
                shop.ends(-signal.SIGABRT)
                shop.start()
                asked = None if asked is shop else asked
        if not asked:
            asked = shops[2]
            asked.say("pay customer 2 abort")
        answer = asked.line(0.05) or ""
        if answer and "ended the whole process" not in answer:
            asked.say("pay customer 2 abort")
    print(f"{deaths()} deaths, then after {time.monotonic() - began:.1f} s: {answer}")
    assert deaths() == LIVES, [shop.log.read_text()[-3000:] for shop in shops]
    for shop in shops:
        assert shop.deaths() == shop.said("an input of customer, number 2, 5 bytes: \"abort\"; the group is told")

    # Asked again anywhere it is refused at once, nobody dies, and others are served.
    for shop in shops:
        paid(shop, "customer 2 abort", "not taken, it has ended the whole process before")
    paid(shops[0], "other 1 4", "1 taken 9")
    assert all(shop.process.poll() is None for shop in shops)
    letters = {shop.name: shop.ask("letters") for shop in shops}
    holders = [shop for shop in shops if letters[shop.name]]
    assert len(holders) == 1, letters
    number, letter = letters[holders[0].name].split(" ", 1)
    assert letter.startswith(f"till {LIVES} 1 it ended the whole process {LIVES} times"), letters

    # A newer program digests it, once somebody has said so.
    for shop in shops:
        shop.stop()
        shop.start("--sound")
    for shop in shops:
        paid(shop, "customer 2 abort", "not taken, it has ended the whole process before")
    assert holders[0].ask(f"replay {number}") == ""
    paid(shops[1], "customer 2 abort", "2 taken 9")
    assert deaths() == LIVES
    for shop in shops:
        shop.stop()


with tempfile.TemporaryDirectory(prefix="cohort-deadly-") as name:
    {"alone": alone, "outbox": outbox, "journal": journal, "together": together}[sys.argv[3]](pathlib.Path(name))
