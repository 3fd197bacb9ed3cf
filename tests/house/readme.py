"""Holds the pages against the truth: their programs are the samples' files, the first is short, links lead somewhere.

`readme.py ROOT` checks, `readme.py ROOT --write` puts the samples into the pages."""
import pathlib
import re
import sys

BLOCK = re.compile(r"(<!-- (samples/[a-z_/.]+);[^\n]*-->\n```cpp\n)(.*?)(```\n)", re.S)
LINK = re.compile(r"\]\(([^)#]+)\)")
CODE = re.compile(r"^```.*?^```", re.S | re.M)
LINES_MAX = 40


def main():
    root = pathlib.Path(sys.argv[1])
    readme = root / "README.md"
    pages = [readme, *sorted((root / "docs").glob("*.md"))]
    sample = (root / "samples/counter/counter.cpp").read_text()
    if "--write" in sys.argv:
        for page in pages:
            page.write_text(BLOCK.sub(lambda m: m[1] + (root / m[2]).read_text() + m[4], page.read_text()))
        return 0
    wrong = []
    held = []
    for page in pages:
        for block in BLOCK.finditer(page.read_text()):
            held.append(block[2])
            if block[3] != (root / block[2]).read_text():
                wrong.append(f"{page.relative_to(root)}'s program differs from {block[2]}: tests/house/readme.py . --write")
    for name in ("samples/counter/counter.cpp", "samples/draw/draw.cpp", "samples/hand/hand.cpp", "samples/hand/hand_actor.cpp", "samples/lease/lease.cpp", "samples/supervised/supervised.cpp",
                 "samples/resilient/resilient.cpp", "samples/shelf/shelf.cpp", "samples/till/till.cpp", "samples/till/customer.cpp"):
        if name not in held:
            wrong.append(f"no page has a block for {name}")
    if len(sample.splitlines()) >= LINES_MAX:
        wrong.append(f"the counter has {len(sample.splitlines())} lines; fewer than {LINES_MAX} are promised")
    for page in pages:
        for target in LINK.findall(CODE.sub("", page.read_text())):
            if "://" not in target and not (page.parent / target).exists():
                wrong.append(f"{page.relative_to(root)} links to {target}, which is not there")
    index = (root / "docs/README.md").read_text()
    for page in (root / "docs").glob("*.md"):
        if page.name != "README.md" and f"({page.name})" not in index:
            wrong.append(f"docs/README.md does not name {page.name}")
    for line in wrong:
        print(line)
    print(f"{len(pages)} pages, {len(wrong)} wrong")
    return 1 if wrong else 0


sys.exit(main())
