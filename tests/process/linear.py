"""Linearizability of client histories, key by key (Wing and Gong 1993, with the memory of seen states of Lowe 2017).

A history is a list of `Op`. The model is one Redis string: `set`, `get`, `incr`, `append`, `del`, `cas`. An operation
whose outcome is unknown may take effect at any moment after its start, or never. The search is bounded: a search that
runs out of steps gives `unknown`, which is never a pass.
"""
import dataclasses
import math
import typing

LEGAL, ILLEGAL, UNKNOWN = "linearizable", "not linearizable", "unknown"


@dataclasses.dataclass
class Op:
    client: int
    key: str
    kind: str
    argument: typing.Any
    result: typing.Any = None
    start: float = 0.0
    end: float = math.inf  # infinity: nobody knows whether it happened
    where: str = ""        # the node asked, for the report

    @property
    def known(self):
        return self.end != math.inf


def step(op, state):
    """(legal, next state) of `op` on a string `state` (None: no such key). Results of unknown operations do not count."""
    kind = op.kind
    if kind == "get":
        return op.result == state, state
    if kind == "set":
        return True, op.argument
    if kind == "incr":
        value = int(state or 0) + 1
        return not op.known or op.result == value, str(value).encode()
    if kind == "append":
        value = (state or b"") + op.argument
        return not op.known or op.result == len(value), value
    if kind == "del":
        return not op.known or op.result == (0 if state is None else 1), None
    if kind == "cas":  # argument (expected, new); result True if exchanged
        expected, new = op.argument
        if state == expected:
            return not op.known or op.result is True, new
        return not op.known or op.result is False, state
    raise ValueError(kind)


def prune(ops):
    """Leaves out unknown operations that cannot matter: reads, and `set`s of a value that nobody can have met."""
    seen = {op.result for op in ops if op.kind == "get" and op.known}
    derived = any(op.kind in ("append", "incr", "cas", "del") for op in ops)
    return [op for op in ops
            if op.known or (op.kind != "get" and (op.kind != "set" or derived or op.argument in seen))]


def check_key(ops, steps_max=400_000):
    """LEGAL, ILLEGAL or UNKNOWN, and the number of steps taken."""
    ops = sorted(prune(ops), key=lambda op: op.start)
    count = len(ops)
    must = 0
    for i, op in enumerate(ops):
        if op.known:
            must |= 1 << i
    # Depth first: `done` is the set of linearized operations as bits.
    stack = [(0, None)]
    seen = {(0, None)}
    steps = 0
    while stack:
        done, state = stack.pop()
        if done & must == must:
            return LEGAL, steps
        # An operation may come next if it started before every pending one ended.
        first = 0
        while first < count and done >> first & 1:
            first += 1
        horizon = math.inf
        candidates = []
        for i in range(first, count):
            op = ops[i]
            if op.start > horizon:
                break
            if not done >> i & 1:
                candidates.append(i)
                horizon = min(horizon, op.end)
        # Tried last goes on the stack first: what ended earliest is tried first.
        for i in sorted((c for c in candidates if ops[c].start <= horizon), key=lambda c: -ops[c].end):
            steps += 1
            legal, after = step(ops[i], state)
            if not legal:
                continue
            reached = (done | 1 << i, after)
            if reached not in seen:
                seen.add(reached)
                stack.append(reached)
        if steps > steps_max:
            return UNKNOWN, steps
    return ILLEGAL, steps


def check(history, steps_max=400_000):
    """(verdict, text): the worst verdict over all keys, and what it rests on."""
    keys = {}
    for op in history:
        keys.setdefault(op.key, []).append(op)
    bad, open_ones, steps = [], [], 0
    for key, ops in sorted(keys.items()):
        verdict, taken = check_key(ops, steps_max)
        steps += taken
        if verdict == ILLEGAL:
            bad.append(key)
        elif verdict == UNKNOWN:
            open_ones.append(key)
    text = f"{len(history)} operations on {len(keys)} keys, {steps} steps"
    if bad:
        lines = [f"{text}; not linearizable: {', '.join(bad[:5])}"]
        for op in sorted(keys[bad[0]], key=lambda o: o.start)[:400]:
            end = f"{op.end:.6f}" if op.known else "?"
            lines.append(f"  {op.start:.6f}..{end} client {op.client} {op.where} {op.kind} {op.argument!r} -> {op.result!r}")
        return ILLEGAL, "\n".join(lines)
    if open_ones:
        return UNKNOWN, f"{text}; search ran out of steps on {', '.join(open_ones[:5])}"
    return LEGAL, text
