"""Holds the layering against the sources: who may include what. `layers.py ROOT`; exits 1 and names each offence."""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)

# Headers that are none of the standard library's and none of ours, by the folders that may see them.
FOREIGN = {
    "caf/": ("actors/", "samples/", "tests/actor/", "bench/", "tests/install/"),
    "capnp/": ("transport/", "tests/capnp_state/"),  # its test is an application with a schema of its own
    "kj/": ("transport/",),
    "ares.h": ("transport/",),
    "lmdb.h": ("persistence/", "tests/unit/persistence_"),  # its tests damage files behind its back
    "zstd.h": ("transport/",),
    "xxhash.h": ("transport/", "persistence/", "tests/"),
    "spdlog/": ("actors/", "samples/", "tools/", "bench/"),
    "fmt/": ("actors/", "samples/", "tools/", "bench/"),
    "toml++/": ("actors/", "samples/", "tools/", "bench/"),
    "CLI/": ("actors/", "samples/", "tools/", "bench/", "tests/"),
    "doctest/": ("tests/",),
}
# Our own folders, by what each may include.
OURS = {
    "framework/": ("framework/",),
    "persistence/": ("persistence/", "framework/"),
    "transport/": ("transport/", "framework/"),
    "actors/": ("actors/", "transport/", "persistence/", "framework/"),
}
# Headers of one library's own .cpp files, that nobody else includes.
WIRE_HEADERS = ("transport/client/wires.hpp", "transport/gateway/writing.hpp")
# Never in the core: it has neither clock nor thread nor chance of its own.
NOT_IN_FRAMEWORK = ("thread", "mutex", "shared_mutex", "condition_variable", "future", "atomic", "fstream", "filesystem",
                    "random", "iostream", "ctime")
FRAMEWORK_IO = ("framework/simulation/",)  # drawn from seeds, reports to whoever asks: may use streams and generators


def offences(path, text):
    in_header = path.endswith(".hpp")
    for kind, name in INCLUDE.findall(text):
        for foreign, homes in FOREIGN.items():
            if (name == foreign or (foreign.endswith("/") and name.startswith(foreign))) and not path.startswith(homes):
                yield f"includes <{name}>, which only {', '.join(homes)} may"
        if in_header and name in ("lmdb.h",) or (in_header and ".capnp.h" in name and path not in WIRE_HEADERS):
            yield f"is a header and includes {name}: keep it in a .cpp file"
        if ".capnp.h" in name and not path.startswith(("transport/", "tests/capnp_state/")):
            yield f"includes {name}, which only transport/ may"
        if name == "cohort/capnp_state.hpp" and not path.startswith(("samples/", "tests/")):
            yield f"includes {name}, which is for applications"
        if path.startswith("framework/"):
            if name in NOT_IN_FRAMEWORK and not path.startswith(FRAMEWORK_IO):
                yield f"includes <{name}>: the framework has no clock, thread, file or chance of its own"
            if "/" in name and not name.startswith(("framework/", "cohort/", "protocol/", "simulation/", "supervision/", "resilience/")):
                yield f"includes {name}: the framework knows the standard library only"
            if name.startswith("sys/") or name in ("unistd.h", "time.h", "fcntl.h"):
                yield f"includes <{name}>: the framework does no I/O"
        if kind == '"':
            for folder, allowed in OURS.items():
                first = name.split("/")[0] + "/"
                if path.startswith(folder) and first in ("framework/", "persistence/", "transport/", "actors/", "samples/",
                                                         "tests/", "bench/") and first not in allowed:
                    yield f'includes "{name}": {folder} may see {", ".join(allowed)} only'


def main():
    root = pathlib.Path(sys.argv[1])
    bad = 0
    seen = 0
    for folder in ("framework", "persistence", "transport", "actors", "samples", "tests", "bench"):
        for file in sorted((root / folder).rglob("*")):
            if file.suffix not in (".hpp", ".cpp", ".h"):
                continue
            seen += 1
            path = file.relative_to(root).as_posix()
            for what in offences(path, file.read_text(errors="replace")):
                print(f"{path} {what}")
                bad += 1
    if seen < 10:
        print(f"only {seen} sources found below {root}: is that the project's root?")
        bad += 1
    print(f"{seen} sources, {bad} offences")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
