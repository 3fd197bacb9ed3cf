"""Prints what the build with the second compiler has to make: the simulator for `second`, the fuzz targets for `fuzz`."""
import json
import os
import subprocess
import sys

folder, suites = sys.argv[1], sys.argv[2:]
targets = json.loads(subprocess.run(["meson", "introspect", "--targets", folder], check=True, capture_output=True,
                                    text=True).stdout)
for target in targets:
    if target["type"] != "executable":
        continue
    where = os.path.relpath(target["filename"][0], os.path.abspath(folder))
    if ("second" in suites and target["name"] == "cohort-sim") or ("fuzz" in suites and where.startswith("tests/fuzz/")):
        print(where)
