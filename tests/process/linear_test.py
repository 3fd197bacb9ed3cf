"""The checker must tell right from wrong before it judges a cluster."""
import math
import random
import unittest

from linear import ILLEGAL, LEGAL, UNKNOWN, Op, check, check_key


def op(kind, argument, result, start, end, client=0, key="k"):
    return Op(client, key, kind, argument, result, start, end)


class checker(unittest.TestCase):
    def verdict(self, *ops):
        return check_key(list(ops))[0]

    def test_sequential(self):
        self.assertEqual(self.verdict(op("set", b"1", "OK", 0, 1), op("get", None, b"1", 2, 3)), LEGAL)

    def test_stale_read(self):
        self.assertEqual(self.verdict(op("set", b"1", "OK", 0, 1), op("set", b"2", "OK", 2, 3),
                                      op("get", None, b"1", 4, 5)), ILLEGAL)

    def test_lost_write(self):
        self.assertEqual(self.verdict(op("set", b"1", "OK", 0, 1), op("get", None, None, 2, 3)), ILLEGAL)

    def test_concurrent_reads_may_differ_once(self):
        write = op("set", b"1", "OK", 0, 10)
        self.assertEqual(self.verdict(write, op("get", None, None, 1, 2), op("get", None, b"1", 3, 4)), LEGAL)
        self.assertEqual(self.verdict(write, op("get", None, b"1", 1, 2), op("get", None, None, 3, 4)), ILLEGAL)

    def test_unknown_write_may_happen_late_or_never(self):
        write = op("set", b"1", None, 0, math.inf)
        self.assertEqual(self.verdict(write, op("get", None, None, 1, 2)), LEGAL)
        self.assertEqual(self.verdict(write, op("get", None, None, 1, 2), op("get", None, b"1", 3, 4)), LEGAL)
        self.assertEqual(self.verdict(write, op("get", None, b"1", 1, 2), op("get", None, None, 3, 4)), ILLEGAL)

    def test_write_from_nowhere(self):
        self.assertEqual(self.verdict(op("get", None, b"9", 0, 1)), ILLEGAL)

    def test_increments(self):
        self.assertEqual(self.verdict(op("incr", None, 1, 0, 5), op("incr", None, 2, 0, 5)), LEGAL)
        self.assertEqual(self.verdict(op("incr", None, 1, 0, 5), op("incr", None, 1, 0, 5)), ILLEGAL)
        self.assertEqual(self.verdict(op("incr", None, 1, 0, 1), op("incr", None, 3, 2, 3)), ILLEGAL)
        self.assertEqual(self.verdict(op("incr", None, 1, 0, 1), op("incr", None, None, 0, math.inf),
                                      op("incr", None, 3, 2, 3)), LEGAL)

    def test_compare_and_set(self):
        first = op("set", b"a", "OK", 0, 1)
        self.assertEqual(self.verdict(first, op("cas", (b"a", b"b"), True, 2, 9), op("cas", (b"a", b"c"), False, 2, 9)),
                         LEGAL)
        self.assertEqual(self.verdict(first, op("cas", (b"a", b"b"), True, 2, 9), op("cas", (b"a", b"c"), True, 2, 9)),
                         ILLEGAL)

    def test_out_of_steps_is_no_pass(self):
        ops = [op("append", bytes([65 + i]), None, 0, math.inf) for i in range(14)]
        ops.append(op("get", None, b"zz", 1, 2))
        self.assertEqual(check_key(ops, steps_max=2000)[0], UNKNOWN)

    def test_random_histories(self):
        """A true register never fails; the same histories with one read falsified always do."""
        for seed in range(60):
            chance = random.Random(seed)
            state, now, ops = None, 0.0, []
            for i in range(120):
                now += 1
                start, end = now - chance.random() * 4, now + chance.random() * 4
                if chance.random() < 0.5:
                    state = b"%d" % i
                    ops.append(op("set", state, "OK", start, end, key=f"k{seed}"))
                else:
                    ops.append(op("get", None, state, start, end, key=f"k{seed}"))
            self.assertEqual(check(ops)[0], LEGAL, seed)
            reads = [o for o in ops if o.kind == "get"]
            chance.choice(reads).result = b"never written"
            self.assertEqual(check(ops)[0], ILLEGAL, seed)


if __name__ == "__main__":
    unittest.main()
