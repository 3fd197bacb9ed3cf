"""Holds the README against the truth: its counter is the sample's file, the sample is short, its links lead somewhere.

`readme.py ROOT` checks, `readme.py ROOT --write` puts the sample into the README."""
import pathlib
import re
import sys

BLOCK = re.compile(r"(<!-- samples/counter/counter\.cpp;[^\n]*-->\n```cpp\n)(.*?)(```\n)", re.S)
LINK = re.compile(r"\]\(([^)#]+)\)")
LINES_MAX = 40


def main():
    root = pathlib.Path(sys.argv[1])
    readme = root / "README.md"
    text = readme.read_text()
    sample = (root / "samples/counter/counter.cpp").read_text()
    if "--write" in sys.argv:
        readme.write_text(BLOCK.sub(lambda m: m[1] + sample + m[3], text))
        return 0
    wrong = []
    block = BLOCK.search(text)
    if not block:
        wrong.append("README.md has no block for samples/counter/counter.cpp")
    elif block[2] != sample:
        wrong.append("README.md's counter differs from samples/counter/counter.cpp: tests/house/readme.py . --write")
    if len(sample.splitlines()) >= LINES_MAX:
        wrong.append(f"the counter has {len(sample.splitlines())} lines; fewer than {LINES_MAX} are promised")
    pages = [readme, *sorted((root / "docs").glob("*.md"))]
    for page in pages:
        for target in LINK.findall(page.read_text()):
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
