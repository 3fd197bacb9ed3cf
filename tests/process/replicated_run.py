"""A resilient process on three nodes: the one that executes it is killed, then another one is stopped and woken again. Payments
count once each, and whoever reads all receipts sees each number say one thing.

`replicated_run.py PROGRAM`."""
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

NAMES = ("n1", "n2", "n3")


class Shop:
    def __init__(self, name, folder, members):
        self.name, self.folder, self.members = name, folder, members
        self.log, self.receipts_file = folder / f"{name}.log", folder / name / "receipts"

    def start(self):
        arguments = [sys.argv[1], "--name", self.name, "--data", str(self.folder / self.name)]
        for member in self.members:
            arguments += ["--member", member]
        with open(self.log, "ab") as log:
            self.process = launch(arguments, piped=True, stderr=log, text=True)
        self.answers = queue.Queue()
        threading.Thread(target=self.read, args=(self.process.stdout, self.answers), daemon=True).start()
        return self

    @staticmethod
    def read(lines, into):
        for line in lines:
            into.put(line.strip())

    def ask(self, number, seconds=12):
        """What was taken so far, or nothing."""
        self.process.stdin.write(f"{number} {number * 3}\n")
        self.process.stdin.flush()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                answer = self.answers.get(timeout=0.2)
            except queue.Empty:
                continue
            if answer.split()[0] == str(number):  # else it is what was asked before
                return int(answer.split()[-1]) if " taken: " in answer else None
        return None

    def receipts(self):
        return [line.split() for line in self.receipts_file.read_text().splitlines()] if self.receipts_file.exists() else []


def executing(shops):
    """The newest activation of which a node's log says that it is there, and that node."""
    found = []
    for shop in shops:
        for since in re.findall(r"primary is \S+ since view (\d+), this node: executes", shop.log.read_text()):
            found.append((int(since) + 1, shop.name))
    return max(found) if found else None


with tempfile.TemporaryDirectory(prefix="cohort-shops-") as name:
    folder = pathlib.Path(name)
    members = [f"{n}=127.0.0.1:{free_port()}" for n in NAMES]
    shops = {n: Shop(n, folder, members).start() for n in NAMES}
    paid = 0

    def pay(at):
        """Until it is answered; the answer says how much all payments together are."""
        global paid
        paid += 1
        total = eventually(f"payment {paid} at {at.name}", lambda: at.ask(paid), seconds=40)
        assert total == sum(3 * n for n in range(1, paid + 1)), (paid, total)

    for i in range(60):
        pay(shops[NAMES[i % 3]])
    activation, first = eventually("somebody executes", lambda: executing(shops.values()))
    print(f"activation {activation} at {first}")

    def taken_over(from_whom, since, how):
        """Pays at the other two without a break; the activation and the node that go on."""
        others = [s for n, s in shops.items() if n != from_whom]
        began = time.monotonic()
        shops[from_whom].process.send_signal(how)
        pay(others[0])
        print(f"{how.name}: the next payment was answered after {time.monotonic() - began:.2f} s")
        for i in range(40):
            pay(others[i % 2])
        return eventually("another one executes", lambda: (e := executing(others)) and e[0] > since and e)

    second_activation, second = taken_over(first, activation, signal.SIGKILL)
    shops[first].process.wait(20)
    shops[first].start()
    eventually("the killed one is back", lambda: shops[first].ask(paid))

    # The next one is stopped while it has much to do, and wakes when another one executes.
    asleep = shops[second]
    for ahead in range(1, 6):
        asleep.process.stdin.write(f"{paid + ahead} {(paid + ahead) * 3}\n")
    asleep.process.stdin.flush()
    third_activation, third = taken_over(second, second_activation, signal.SIGSTOP)
    asleep.process.send_signal(signal.SIGCONT)
    for i in range(20):
        pay(shops[third])
    eventually("the one that slept is back", lambda: asleep.ask(paid), seconds=30)

    # Whoever reads the receipts of all nodes, and leaves out numbers that were seen.
    total, expected = 0, {}
    for n in range(1, paid + 1):
        total += 3 * n
        expected[n] = str(total)

    def seen():
        by_number = {}
        for shop in shops.values():
            for number, body, _ in shop.receipts():
                assert by_number.setdefault(int(number), body) == body, f"receipt {number} says {body} and {by_number[int(number)]}"
        return by_number

    eventually("all receipts are printed", lambda: len(seen()) >= paid, seconds=20)
    assert seen() == expected, (len(seen()), paid)
    lines = [line for shop in shops.values() for line in shop.receipts()]
    activations = sorted({int(a) for _, _, a in lines})
    assert activations == [activation, second_activation, third_activation], activations
    for shop in shops.values():
        newest = 0
        for number, _, token in shop.receipts():
            assert int(token) >= newest, f"{shop.name} prints for activation {token} after {newest}"
            newest = int(token)
    for shop in shops.values():
        shop.process.stdin.close()
        shop.process.send_signal(signal.SIGTERM)
    for shop in shops.values():
        try:
            assert shop.process.wait(20) == 0, shop.log.read_text()[-4000:]
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{shop.name} does not end\n{shop.log.read_text()[-4000:]}") from None
print(f"{paid} payments, {len(lines)} receipts of activations {activations}, {len(lines) - paid} of them twice")
