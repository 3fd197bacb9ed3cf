"""Inputs on which the whole process ends: each is given as often as a throwing one, over restarts of the process and, in a group,
over all nodes together, then put aside; the start behind each says what it was.

`deadly_run.py PROGRAM alone|together`."""
import pathlib
import queue
import signal
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

    def start(self, *options):
        arguments = [sys.argv[1], *options, "--name", self.name, "--data", str(self.folder / self.name)]
        for member in self.members:
            arguments += ["--member", member]
        with open(self.log, "ab") as log:
            self.process = launch(arguments, piped=True, stderr=log, text=True)
        self.starts += 1
        self.answers = queue.Queue()
        threading.Thread(target=self.read, args=(self.process.stdout, self.answers), daemon=True).start()
        assert self.line(20) == "up", self.log.read_text()[-3000:]
        return self

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


def together(folder):
    names = ("n1", "n2", "n3")
    members = [f"{n}=127.0.0.1:{free_port()}" for n in names]
    shops = [Shop(n, folder, members).start() for n in names]

    def deaths():
        return sum(shop.deaths() for shop in shops)

    def paid(shop, what, answer):
        eventually(f"{what}: {answer}", lambda: answer in (shop.ask(f"pay {what}") or ""), 40)

    paid(shops[2], "customer 1 5", "1 taken 5")

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
    assert letters[holders[0].name].startswith(f"1 till {LIVES} 1 it ended the whole process {LIVES} times"), letters

    # A newer program digests it, once somebody has said so.
    for shop in shops:
        shop.stop()
        shop.start("--sound")
    for shop in shops:
        paid(shop, "customer 2 abort", "not taken, it has ended the whole process before")
    assert holders[0].ask("replay 1") == ""
    paid(shops[1], "customer 2 abort", "2 taken 9")
    assert deaths() == LIVES
    for shop in shops:
        shop.stop()


with tempfile.TemporaryDirectory(prefix="cohort-deadly-") as name:
    {"alone": alone, "together": together}[sys.argv[2]](pathlib.Path(name))
