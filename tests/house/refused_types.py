"""Holds that wrong contracts do not compile: `refused_types.py SOURCE COMPILER FLAG...`."""
import pathlib
import re
import subprocess
import sys

CASE = re.compile(r"^#(?:el)?if REFUSED == (\d+)  // (.+)$", re.M)


def compile_case(number, source, command):
    done = subprocess.run([*command, "-std=c++20", "-fsyntax-only", f"-DREFUSED={number}", source], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stderr


def main():
    source, command = sys.argv[1], sys.argv[2:]
    code, text = compile_case(0, source, command)
    if code:
        sys.exit(f"what is right does not compile:\n{text}")
    cases = CASE.findall(pathlib.Path(source).read_text())
    wrong = 0
    for number, expected in cases:
        code, text = compile_case(number, source, command)
        if code == 0:
            print(f"case {number} compiles, and should be refused with: {expected}")
        elif expected not in text:
            print(f"case {number} is refused, but not with: {expected}\n{text}")
        else:
            continue
        wrong += 1
    print(f"{len(cases)} cases, {wrong} wrong")
    return 1 if wrong or len(cases) < 5 else 0


sys.exit(main())
