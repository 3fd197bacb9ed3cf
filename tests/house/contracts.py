"""`cohort check` and `cohort explain` from outside, and docs/contracts.md held against them.

`contracts.py ROOT COHORT` checks, `contracts.py ROOT COHORT --write` puts tables into the page."""
import pathlib
import re
import subprocess
import sys
import tempfile

root, program = pathlib.Path(sys.argv[1]), sys.argv[2]
page = root / "docs/contracts.md"
RULES = re.compile(r"(<!-- [^\n]*--write puts it here -->\n\| rule \| \|\n\| --- \| --- \|\n)((?:\|[^\n]*\n)*)")
FIELDS = re.compile(r"(## Fields\n\n<!-- [^\n]*-->\n)(.*)\Z", re.S)
EXAMPLE = re.compile(r"```toml\n(.*?)```", re.S)


def cohort(*words):
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def rules_table():
    code, text = cohort("check", "--rules")
    assert code == 0, text
    return "".join(f"| {number} | {rule} |\n" for number, rule in (line.split(None, 1) for line in text.splitlines()))


def words_of_enums(header):
    """The words of each enumeration, as files have them."""
    enums = {}
    for name, body in re.findall(r"enum class (\w+) : std::uint8_t \{\n(.*?)\n\};", header, re.S):
        words = re.findall(r"^  (\w+),", body, re.M)
        enums[name] = ["volatile" if word == "in_memory" else word for word in words]
    return enums


def default_text(kind, value):
    value = value.split("::")[-1]
    if size := re.fullmatch(r"(\d+)u << (\d+)", value):
        return f"{size[1]} {({'10': 'KiB', '20': 'MiB', '30': 'GiB'})[size[2]]}"
    return f"{value} ms" if kind == "milliseconds" else f"[{value}]" if kind == "order_set" else value


def fields_table():
    """Section, name, default and comment of each field, as the header has them."""
    header = (root / "framework/cohort/contract.hpp").read_text()
    enums = words_of_enums(header + (root / "framework/cohort/order.hpp").read_text())
    body = header[header.index("  // ---- order"):header.index("  /// Plain multicast in")]
    lines = []
    for line in body.splitlines():
        if section := re.match(r"  // ---- (.*?) ----", line):
            lines.append(f"\n**{section[1][0].upper()}{section[1][1:]}**\n\n| key | default | |\n| --- | --- | --- |")
        elif field := re.match(r"  (?:[\w:]+::)?(\w+) (\w+)(?:\{(.*?)\}| = (.*?));(?:\s+///<\s*(.*))?$", line):
            kind, name, inner, value, comment = field.groups()
            words = ", ".join(f"`{w}`" for w in enums.get(kind, []))
            about = "; ".join(part for part in (f"one of {words}" if words else "", comment) if part)
            lines.append(f"| `{name}` | `{default_text(kind, inner or value)}` | {about} |")
        elif more := re.match(r"\s+///< (.*)$", line):
            lines[-1] = f"{lines[-1][:-2].rstrip()} {more[1]} |"
    return "\n".join(lines).lstrip("\n") + "\n"


def write():
    text = RULES.sub(lambda m: m[1] + rules_table(), page.read_text())
    page.write_text(FIELDS.sub(lambda m: m[1] + "\n" + fields_table(), text))


def expect(code, parts, *words):
    got, text = cohort(*words)
    assert got == code, f"{words}: exit {got} instead of {code}\n{text}"
    for part in parts:
        assert part in text, f"{words}: '{part}' is not in\n{text}"
    return text


def page_tells_the_truth():
    text = page.read_text()
    assert RULES.search(text)[2] == rules_table(), f"the table of rules differs: {sys.argv[0]} . build/tools/cohort/cohort --write"
    assert FIELDS.search(text)[2].strip() == fields_table().strip(), f"the list of fields differs: {sys.argv[0]} ... --write"


def commands_work(folder):
    example = folder / "example.toml"
    example.write_text(EXAMPLE.search(page.read_text())[1])
    expect(0, ["[groups.ledger] can be started by 3 members", "[groups.catalogue] can be started"], "check", example)
    text = expect(0, ["[groups.ledger] can be started"], "check", example, "--group", "ledger")
    assert "catalogue" not in text, text
    text = expect(0, ["group ledger: total; journaled", "Q = 2", "within 1000 ms = 2 election_min", "survives", "memory of a member"],
                  "explain", example, "--group", "ledger")
    assert "group catalogue" not in text and "refused" not in text, text
    expect(0, ["group catalogue: total", "group ledger: total", "lease of 289 ms"], "explain", example)

    members = '[members]\na = "h:1"\nb = "h:2"\nc = "h:3"\n'
    wrong = folder / "wrong.toml"
    wrong.write_text(members + '[groups.x]\nreads = "lease"\nlease = "1 s"\n[groups.y]\nmodel = "fail_stop"\n[mine]\nz = 1\n')
    expect(1, [f"{wrong}:7: [groups.x] refused: G8: ", 'the nearest legal contract has lease = "0 ms"', f"{wrong}:9: [groups.y] refused: G3: ",
               "model: the fail_stop model is not built yet", "section [mine] is the application's"], "check", wrong)
    text = expect(1, ["[groups.y] refused"], "check", wrong, "--group", "y")
    assert "groups.x" not in text, text
    expect(0, ["fail_stop model", "FS12", "not built yet", "refused: G4"], "explain", wrong, "--group", "y")
    expect(2, ['no [groups.z]; did you mean "x"?'], "check", wrong, "--group", "z")

    bare = folder / "bare.toml"
    bare.write_text(members)
    expect(0, ["no [groups.NAME]", "the default contract"], "check", bare)
    expect(0, ["the default contract: total; journaled"], "explain", bare)
    bare.write_text('[members]\na = "h:1"\nb = "h:2"\n')
    expect(1, ["refused: G2: ", "single = true"], "check", bare)
    bare.write_text(members + "[group.x]\n")
    expect(2, [f"{bare}:5: unknown section [group]", 'did you mean "groups"?'], "check", bare)
    bare.write_text(members + "[groups.x]\nreed = 1\n")
    expect(2, [f"{bare}:6: unknown key \"reed\" in [groups.x]; did you mean \"reads\"?"], "explain", bare)
    expect(2, ["cannot be read"], "check", folder / "absent.toml")
    expect(2, ["file"], "check")
    expect(2, ["file"], "explain")


if "--write" in sys.argv:
    write()
else:
    page_tells_the_truth()
    with tempfile.TemporaryDirectory() as scratch:
        commands_work(pathlib.Path(scratch))
    print("contracts: the page and the program agree")
