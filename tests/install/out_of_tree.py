"""Builds the counter out of tree against an installed Cohort: pkg-config and CMake, shared and static, each run.

`out_of_tree.py BUILD_DIR SOURCE_ROOT [pkg-config|cmake]-[shared|static]`. Installs into a temporary folder that stands at
another place than the configured prefix, so what is installed is shown to be movable.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "process"))
import counter_run  # noqa: E402

CMAKE = """cmake_minimum_required(VERSION 3.20)
project(counter CXX)
find_package(cohort 0.1 REQUIRED)
add_executable(counter counter.cpp)
target_link_libraries(counter {target})
"""


def run(command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}\nexit {done.returncode}")
    return done.stdout


def main():
    build, source, way = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    tool, kind = way.rsplit("-", 1)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cohort-install-"))
    try:
        run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", folder / "root"])
        package = next((folder / "root").rglob("cohort.pc"))
        libraries = package.parent.parent
        if kind == "static":  # the linker prefers the shared one where it finds both
            for shared in libraries.glob("libcohort.so*"):
                shared.unlink()
        where = folder / "out-of-tree"
        where.mkdir()
        shutil.copy(source / "samples/counter/counter.cpp", where)
        program = where / "counter"
        if tool == "pkg-config":
            environment = {**os.environ, "PKG_CONFIG_PATH": str(package.parent)}
            flags = run(["pkg-config", "--cflags", "--libs", *(["--static"] if kind == "static" else []), "cohort"],
                        env=environment).split()
            run(["g++", "-O1", "counter.cpp", "-o", program, *flags], cwd=where)
        else:
            (where / "CMakeLists.txt").write_text(CMAKE.format(target="cohort::static" if kind == "static" else "cohort::cohort"))
            run(["cmake", "-S", where, "-B", where / "build", f"-DCMAKE_PREFIX_PATH={next((folder / 'root').rglob('include')).parent}"])
            run(["cmake", "--build", where / "build"])
            program = where / "build" / "counter"
        needed = run(["objdump", "-p", program])
        assert ("libcohort.so" in needed) == (kind == "shared"), f"linked against the wrong kind:\n{needed}"
        counter_run.run([str(program)], environment={**os.environ, "LD_LIBRARY_PATH": str(libraries)})
        print(f"{way}: built and ran")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
