"""Concurrent clients that write down what they asked and what they were told, for `linear.check`."""
import random
import threading
import time

from linear import Op
from resp import Disconnected, ServerError, encode

# Answers which promise that nothing happened; anything else than these and UNKNOWN is an error of the server.
REFUSED = ("NOQUORUM", "BUSY", "TRYAGAIN", "LOADING")


class Load:
    """`clients` threads, each at one node at a time, moving on when it answers nothing.

    Keys are changed after some operations, so that the search per key stays small. `refused`, `unknown` and `errors`
    count; `successes` holds the moments of acknowledged writes per client.
    """

    def __init__(self, nodes, clients=6, pause=0.004, keys=6, operations_per_key=90, seed=1, timeout=3.0, mix=None):
        self.nodes = list(nodes)
        self.pause, self.keys, self.per_key, self.timeout = pause, keys, operations_per_key, timeout
        self.mix = mix or {"set": 40, "get": 40, "incr": 10, "cas": 6, "append": 4}
        self.history = []
        self.successes = {}
        self.refused = self.unknown = 0
        self.errors = []
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.issued = 0
        self.threads = [threading.Thread(target=self._client, args=(i, random.Random(seed * 1000 + i)), daemon=True)
                        for i in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(30)
        if any(t.is_alive() for t in self.threads):
            raise AssertionError("a client hangs: a command was not answered within its time-out")

    def acknowledged(self):
        with self.lock:
            return sum(len(s) for s in self.successes.values())

    def longest_gap(self, after, before=None):
        """Seconds: the longest time within [after, before] in which no write at all was acknowledged."""
        with self.lock:
            moments = sorted(t for s in self.successes.values() for t in s if t >= after and (before is None or t <= before))
        moments = [after, *moments, *([before] if before else [])]
        return max((b - a for a, b in zip(moments, moments[1:])), default=float("inf"))

    def _key(self, kind):
        with self.lock:
            self.issued += 1
            generation = self.issued // (self.keys * self.per_key)
        shared = random.randrange(self.keys)
        family = {"incr": "count", "append": "text"}.get(kind, "key")
        return f"{family}:{generation}:{shared if family == 'key' else shared % 2}"

    def _client(self, number, chance):
        self.successes[number] = []
        at = number % len(self.nodes)
        connection = None
        serial = 0
        kinds, weights = zip(*self.mix.items())
        while not self.ended.is_set():
            if connection is None:
                try:
                    connection = self.nodes[at].client(timeout=self.timeout)
                except Disconnected:
                    at = (at + 1) % len(self.nodes)
                    time.sleep(0.01)
                    continue
            kind = chance.choices(kinds, weights)[0]
            key = self._key(kind)
            serial += 1
            op = Op(number, key, kind, None, where=self.nodes[at].name)
            if kind in ("set", "cas", "append"):
                op.argument = f"{number}.{serial};".encode()
            if kind == "get" and chance.random() < 0.3:
                op.key = f"{chance.choice(('count', 'text'))}:{key.split(':')[1]}:{chance.randrange(2)}"
            try:
                self._perform(connection, op)
            except Disconnected:
                self._record(op, known=False)
                connection.close()
                connection = None
                at = (at + 1) % len(self.nodes)
            except ServerError as answer:
                if answer.code == "UNKNOWN":
                    self._record(op, known=False)
                elif answer.code in REFUSED:
                    with self.lock:
                        self.refused += 1
                    time.sleep(0.02)
                else:
                    with self.lock:
                        self.errors.append(f"{op.where} answered {op.kind}: {answer}")
                if answer.code != "UNKNOWN" and chance.random() < 0.2:
                    connection.close()
                    connection = None
                    at = (at + 1) % len(self.nodes)
            if self.pause:
                time.sleep(self.pause * 2 * chance.random())
        if connection:
            connection.close()

    def _perform(self, connection, op):
        op.start = time.monotonic()
        if op.kind == "set":
            op.result = connection.call("SET", op.key, op.argument)
        elif op.kind == "get":
            op.result = connection.call("GET", op.key)
        elif op.kind == "incr":
            op.result = connection.call("INCR", op.key)
        elif op.kind == "append":
            op.result = connection.call("APPEND", op.key, op.argument)
        elif op.kind == "cas":
            self._exchange(connection, op)
            return
        self._record(op)

    def _exchange(self, connection, op):
        """WATCH, GET, MULTI, SET, EXEC: an atomic exchange if EXEC answers, else only the read counts."""
        new = op.argument
        op.kind, op.argument = "get", None  # until EXEC is on its way there is nothing but a read
        connection.call("WATCH", op.key)
        before = connection.call("GET", op.key)
        seen = time.monotonic()
        connection.call("MULTI")
        connection.call("SET", op.key, new)
        read = Op(op.client, op.key, "get", None, before, op.start, seen, op.where)
        op.kind, op.argument = "cas", (before, new)
        with self.lock:
            self.history.append(read)
        answer = connection.call("EXEC")
        if answer is not None:
            if answer != ["OK"]:
                raise ServerError(f"ERR EXEC answered {answer!r}")
            op.result = True
            self._record(op)

    def _record(self, op, known=True):
        if known:
            op.end = time.monotonic()
        with self.lock:
            if not known:
                self.unknown += 1
                if op.kind == "get":
                    return
            self.history.append(op)
            if known and op.kind != "get":
                self.successes[op.client].append(op.end)

    def read_all(self, node, timeout=10.0):
        """Adds a read of every key at `node` to the history, as one more client."""
        keys = sorted({op.key for op in self.history})
        with node.client(timeout=timeout) as client:
            for first in range(0, len(keys), 200):
                part = keys[first:first + 200]
                start = time.monotonic()
                replies = client.pipeline([("GET", k) for k in part])
                end = time.monotonic()
                for key, reply in zip(part, replies):
                    if isinstance(reply, ServerError):
                        raise reply
                    self.history.append(Op(1000, key, "get", None, reply, start, end, node.name))
