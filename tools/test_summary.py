"""Adds up meson's test logs and prints `N passed, N failed, N skipped` as the last line.

A test whose output closes with doctest's own count (`test cases: 12 | 12 passed | 0 failed | 0 skipped`) counts with its
cases, any other as one. Exits 1 if anything failed, or if nothing ran at all.
"""
import argparse
import json
import pathlib
import re
import sys

DOCTEST = re.compile(r"test cases:\s*\d+\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed\s*\|\s*(\d+) skipped")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--broken", action="append", default=[], help="something that failed outside of a test")
    parser.add_argument("logs", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    passed = skipped = 0
    bad = list(options.broken)
    failed = len(bad)
    slow = []
    for log in options.logs:
        if not log.exists():
            continue
        for line in log.read_text(errors="replace").splitlines():
            test = json.loads(line)
            slow.append((test["duration"], test["name"]))
            counts = DOCTEST.findall(COLOUR.sub("", test.get("stdout") or ""))
            ok = sum(int(c[0]) for c in counts)
            wrong = sum(int(c[1]) for c in counts)
            # Cases filtered away by a suite selection are counted as skipped by doctest; they run in another test.
            if test["result"] in ("SKIP", "EXPECTEDFAIL"):
                skipped += 1
            elif test["result"] in ("OK", "UNEXPECTEDPASS"):
                passed += max(ok, 1)
            else:
                passed += ok
                failed += max(wrong, 1)
                bad.append(f"{test['name']} ({test['result'].lower()})")
    for seconds, name in sorted(slow, reverse=True)[:5]:
        print(f"   {seconds:7.1f} s  {name}")
    for name in bad:
        print(f"FAILED: {name}")
    if not passed and not failed:
        print("FAILED: no test ran")
        failed = 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


sys.exit(main())
