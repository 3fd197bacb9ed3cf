"""The same seeds must give the same traces with either compiler. `same_trace.py COHORT-SIM`; the other one is
tests/cohort-sim below $COHORT_SECOND_BUILD (skipped without)."""
import json
import os
import pathlib
import subprocess
import sys

SEEDS = "1..25"


def summary(program):
    done = subprocess.run([str(program), "--seeds", SEEDS], capture_output=True, text=True, timeout=110, stdin=subprocess.DEVNULL)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        sys.exit(f"{program}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return json.loads(lines[-1])


def main():
    folder = os.environ.get("COHORT_SECOND_BUILD")
    if not folder:
        print("COHORT_SECOND_BUILD names no build with another compiler")
        return 77
    first, second = summary(sys.argv[1]), summary(pathlib.Path(folder) / "tests/cohort-sim")
    same = all(first[key] == second[key] for key in ("trace_hash", "events", "seeds"))
    print(f"seeds {SEEDS}: {first['trace_hash']} and {second['trace_hash']}, {first['events']} and {second['events']} events")
    return 0 if same and first["events"] > 0 else 1


sys.exit(main())
