"""A client in another language, made of the published schema: `javascript_run.py TILL SOURCE_ROOT`. Skipped, visibly, where node,
npm or the registry of packages are not there."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

from cluster import end_all
from rpc_run import Group, Lines

SKIPPED = 77


def made(root, folder):
    """The client's program with its packages, or why it cannot be had."""
    for tool in ("node", "npm", "capnp"):
        if not shutil.which(tool):
            return f"{tool} is not installed"
    shutil.copytree(root / "samples" / "javascript", folder)
    shutil.copy(root / "transport" / "gateway" / "gateway.capnp", folder)
    try:
        got = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, capture_output=True, text=True,
                             timeout=90, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return "npm did not get the packages within 90 s"
    if got.returncode != 0:
        return "npm did not get the packages: " + got.stderr[-500:]
    subprocess.run(["capnp", "compile", "-I/usr/include", "-o./node_modules/.bin/capnpc-js:.", "gateway.capnp"], cwd=folder, check=True,
                   timeout=60, stdin=subprocess.DEVNULL)
    return None


def pays_each_once(group, folder):
    customer = Lines(["node", folder / "customer.mjs", *group.gateways.values()], group.folder / "customer.log")
    total = 0
    for amount, killed in ((5, None), (7, "n1"), (30, None), (100, "n2"), (1, None)):
        if killed:
            group.kill(killed)
        customer.send(amount)
        total += amount
        answer = customer.next(40)
        assert answer == str(total), f"{amount} paid, {answer} told, {total} expected"
        if killed:
            group.start(killed)
    customer.process.stdin.close()
    assert customer.next(40) == f"the till holds {total}"
    assert customer.process.wait(20) == 0
    print(f"paid {total} in five parts, two nodes were killed meanwhile")


def main():
    till, root = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cohort-javascript-"))
    try:
        why_not = made(root, folder / "client")
        if why_not:
            print("skipped: " + why_not)
            return SKIPPED
        group = Group(till, None, folder)
        try:
            pays_each_once(group, folder / "client")
        except BaseException:
            print(group.logs(), file=sys.stderr)
            raise
        return 0
    finally:
        end_all()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
