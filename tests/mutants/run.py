#!/usr/bin/env python3
"""Plants the mistakes of mutants.toml, one at a time, in a copy of the sources, and runs the tests that must notice.

`run.py` runs all of them; exit code 1 if one survives, a sham is caught, or an entry is broken. See docs/testing.md."""
import argparse
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KEYS = {"slug", "numbers", "breaks", "file", "find", "replace", "build", "run", "limit"}
BUILD_LIMIT = 3600


class Wrong(Exception):
    """An entry, the copy or the build is not as it must be: neither caught nor survived."""


def load(path):
    with open(path, "rb") as f:
        mutants = tomllib.load(f)["mutant"]
    for m in mutants:
        m.setdefault("limit", 120)
        if m.keys() != KEYS or not m["build"] or not m["run"]:
            raise Wrong(f"{m.get('slug', 'an entry without a slug')}: these keys are missing, unknown or empty: "
                        f"{sorted(m.keys() ^ KEYS) or ['build or run']}")
    slugs = [m["slug"] for m in mutants]
    if len(set(slugs)) != len(slugs):
        raise Wrong(f"a slug occurs twice: {sorted(s for s in set(slugs) if slugs.count(s) > 1)}")
    return mutants


def is_sham(m):
    return m["numbers"] == "sham"


def select(mutants, only, part):
    if only:
        unknown = set(only) - {m["slug"] for m in mutants}
        if unknown:
            raise Wrong(f"no such mutant: {', '.join(sorted(unknown))}")
        return [m for m in mutants if m["slug"] in only]
    if not part:
        return mutants
    today = re.fullmatch(r"today/([1-9]\d*)", part)
    fixed = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", part)
    if today:
        n = int(today[1])
        k = int(time.time()) // 86400 % n + 1
    elif fixed and int(fixed[1]) <= int(fixed[2]):
        k, n = int(fixed[1]), int(fixed[2])
    else:
        raise Wrong(f"--part {part}: expected K/N with K from 1 to N, or today/N")
    return [m for i, m in enumerate(mutants) if i % n == k - 1]


def mutate(m, text):
    found = text.count(m["find"])
    if found != 1:
        raise Wrong(f"its text occurs {found} times in {m['file']}, not once: bring the entry up to date")
    if m["find"] == m["replace"]:
        raise Wrong("it changes nothing")
    return text.replace(m["find"], m["replace"])


def run(command, folder, limit):
    """Exit code (None: out of time) and output. The command has a process group of its own, which ends with it."""
    with tempfile.TemporaryFile() as out:
        p = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                             start_new_session=True)
        try:
            code = p.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            try:
                os.killpg(p.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            p.wait()
        out.seek(0)
        return code, out.read().decode(errors="replace")


def noticed(command, folder, limit):
    """None if the command passes, otherwise in a few words how it failed."""
    code, out = run(shlex.split(command), folder, limit)
    if code == 0:
        if re.search(r"test cases:\s+0 ", out):
            raise Wrong(f"`{command}` runs no test")
        return None
    suite = re.search(r"--test-suite=(\"?)([^\"]+?)\1(?: --|$)", command)
    where = suite[2] if suite else command.split()[0].rsplit("/", 1)[-1]
    if code is None:
        return f"{where}: does not end within {limit} s"
    # A block for each case that says something; only some of them fail.
    failed = [b for b in re.split(r"^={20,}$", out, flags=re.M) if re.search(r"ERROR:|CRASHED", b)]
    case = re.search(r"TEST CASE:\s+(.+)", failed[0]) if failed else None
    how = case[1].strip() if case else f"ends with code {code}"
    if code < 0 or "test case CRASHED" in out:
        how += " (crash)"
    return f"{where}: {how}"


class Copy:
    """The sources as they are in the work tree, without what git ignores, and a build of them."""

    def __init__(self, folder, jobs):
        self.tree, self.build, self.jobs = folder / "tree", folder / "build", jobs

    def sync(self):
        listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                check=True, capture_output=True).stdout
        wanted = {name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()}
        for old in self.tree.rglob("*"):
            if old.is_file() and str(old.relative_to(self.tree)) not in wanted:
                old.unlink()
        for name in wanted:
            source, target = ROOT / name, self.tree / name
            data = source.read_bytes()
            if not target.exists() or target.read_bytes() != data:  # else its time would have it built again
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
                shutil.copymode(source, target)

    def configure(self):
        if (self.build / "build.ninja").exists():
            return
        code, out = run(["meson", "setup", str(self.build), str(self.tree), "-Doptimization=1", "-Ddebug=false"],
                        self.tree, BUILD_LIMIT)
        if code != 0:
            raise Wrong("the sources cannot be configured:\n" + out[-3000:])

    def compile(self, targets):
        code, out = run(["ninja", "-C", str(self.build), "-j", str(self.jobs), *targets], self.tree, BUILD_LIMIT)
        if code != 0:
            error = re.search(r".*error: .*", out)
            raise Wrong("it cannot be built: " + (error[0] if error and "ninja:" not in error[0] else out[-1000:]))

    def try_out(self, m):
        path = self.tree / m["file"]
        sound = path.read_text()
        path.write_text(mutate(m, sound))
        try:
            self.compile(m["build"])
            for command in m["run"]:
                how = noticed(command, self.build, m["limit"])
                if how:
                    return how
            return None
        finally:
            path.write_text(sound)


def table(rows, summary):
    text = ("# Mistakes outside the core\n\nGenerated by `tests/mutants/run.py --write docs/mutants.md`; do not edit. Each "
            "is planted in a copy of the sources; numbers are\nthose of [mutations.md](mutations.md).\n\n"
            "| mutant | number | what it breaks | file | noticed by |\n|---|---|---|---|---|\n")
    for m, verdict in rows:
        cells = [m["slug"], m["numbers"], m["breaks"], m["file"], verdict]
        text += "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |\n"
    return text + f"\n{summary}.\n"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--only", action="append", metavar="SLUG", help="only this one; may be repeated")
    p.add_argument("--part", metavar="K/N", help="every N-th from the K-th on; today/N: another part each day")
    p.add_argument("--write", metavar="FILE", type=pathlib.Path, help="where the table goes; needs all mutants")
    p.add_argument("--work", metavar="DIR", type=pathlib.Path, help="kept for the next run, which builds faster")
    p.add_argument("--jobs", type=int, default=1, help="of the compiler, default 1")
    p.add_argument("--check", action="store_true", help="only see whether every entry's text occurs exactly once")
    o = p.parse_args()
    if o.write and (o.only or o.part):
        p.error("--write needs all mutants: without --only and --part")
    try:
        mutants = select(load(HERE / "mutants.toml"), o.only, o.part)
        errors = 0
        for m in mutants:
            try:
                mutate(m, (ROOT / m["file"]).read_text())
            except (Wrong, OSError) as e:
                errors += 1
                print(f"ERROR {m['slug']}: {e}")
        if errors or o.check:
            print(f"{len(mutants)} entries, {errors} errors")
            return 1 if errors else 0
        work = o.work or pathlib.Path(tempfile.mkdtemp(prefix="cohort-mutants-"))
        try:
            return try_all(mutants, Copy(work.resolve(), o.jobs), o.write)
        finally:
            if not o.work:
                shutil.rmtree(work, ignore_errors=True)
    except Wrong as e:
        print(f"ERROR {e}")
        return 1


def try_all(mutants, copy, write):
    copy.sync()
    copy.configure()
    copy.compile(sorted({t for m in mutants for t in m["build"]}))
    for command, limit in {c: m["limit"] for m in mutants for c in m["run"]}.items():
        if how := noticed(command, copy.build, limit):
            raise Wrong(f"without any mistake planted, `{command}` fails: {how}")
    count = {"caught": 0, "survived": 0, "errors": 0, "shams": 0, "false_alarms": 0}
    rows = []
    for m in mutants:
        began = time.monotonic()
        try:
            how = copy.try_out(m)
            if is_sham(m):
                count["false_alarms" if how else "shams"] += 1
                verdict = f"FALSE ALARM: {how}" if how else "survives, as it must"
            else:
                count["caught" if how else "survived"] += 1
                verdict = how or "NOT NOTICED"
        except Wrong as e:
            count["errors"] += 1
            verdict = f"ERROR: {e}"
        rows.append((m, verdict))
        print(f"{m['slug']:36} {time.monotonic() - began:5.0f} s  {verdict}", flush=True)
    summary = (f"{count['caught']} caught, {count['survived']} survived, {count['errors']} errors; "
               f"{count['shams']} shams survived, {count['false_alarms']} false alarms")
    if write:
        write.write_text(table(rows, summary))
    print(json.dumps({**count, "survivors": [m["slug"] for m, v in rows if v == "NOT NOTICED"]}))
    print(f"{count['caught']} caught, {count['survived']} survived, {count['errors']} errors")
    return 1 if count["survived"] or count["errors"] or count["false_alarms"] else 0


if __name__ == "__main__":
    sys.exit(main())
