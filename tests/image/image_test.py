#!/usr/bin/python3
"""Tests of the image that image/build makes.

usage: image_test.py same BINARY | refuses FOLDER | runs FOLDER
  same BINARY  two builds in different folders give one digest and one archive; Dockerfile says what image/build says
  refuses FOLDER  `image/build --verify` finds each fault that is put into the image in FOLDER
  runs FOLDER  starts the image in FOLDER as a restricted pod does: SQLite and a TAK server over TLS, PostgreSQL over TLS
Exit 0: good, 1: not, 77: cannot be tested here (the reason is the last line).
"""

import hashlib
import importlib.machinery
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "image"))
# pylint: disable=wrong-import-position
import image_faults
import image_pod
import verify


def build_module():
    loader = importlib.machinery.SourceFileLoader("image_build", str(ROOT / "image" / "build"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("image_build", loader))
    loader.exec_module(module)
    return module


def same(binary: pathlib.Path) -> int:
    checks = verify.Checks()
    with tempfile.TemporaryDirectory() as name:
        found = []
        for number, folder in enumerate((f"{name}/a", f"{name}/b/with a space")):
            os.makedirs(folder)
            # Another place, another user's mask, another zone, another order of the machine's own making.
            command = ["bash", "-c", f'umask 0{number}77; exec "$@"', "-", ROOT / "image" / "build", "--binary", binary]
            subprocess.run(
                [*command, "--output", f"{folder}/out"],
                cwd=folder,
                check=True,
                env=os.environ | {"TZ": ("UTC", "Asia/Kathmandu")[number]},
            )
            whole = pathlib.Path(folder) / "out"
            found.append(
                [(whole / "digest").read_text(encoding="ascii").strip()]
                + [hashlib.sha256((whole / file).read_bytes()).hexdigest() for file in ("image.tar", "sbom.spdx.json")]
            )
    for what, one, two in zip(("manifest", "image.tar", "sbom.spdx.json"), *found):
        checks.that(one == two, f"two builds, one {what}: {one}", two)
    dockerfile(checks)
    return 1 if checks.failed else 0


def dockerfile(checks: verify.Checks) -> None:
    """The last stage of Dockerfile against the configuration that image/build writes."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    last = text[text.rindex("\nFROM ") :]
    expected = build_module().configuration("${VERSION}", "${COMMIT}")
    said = {
        "User": re.search(r"(?m)^USER (\S+)$", last)[1],
        "Entrypoint": re.findall(r'"([^"]*)"', re.search(r"(?m)^ENTRYPOINT \[(.*)\]$", last)[1]),
        "WorkingDir": re.search(r"(?m)^WORKDIR (\S+)$", last)[1],
        "StopSignal": re.search(r"(?m)^STOPSIGNAL (\S+)$", last)[1],
        "ExposedPorts": {f"{port}/tcp": {} for port in re.search(r"(?m)^EXPOSE (.*)$", last)[1].split()},
        "Env": re.findall(r"(?m)^ENV (\S+)$", last),
        "Labels": dict(re.findall(r'(org\.opencontainers\.image\.\w+)="([^"]*)"', last)),
    }
    for name, value in expected.items():
        checks.that(said[name] == value, f"Dockerfile and image/build agree on {name}", said[name], value)


def main() -> int:
    if sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    steps = {"same": same, "refuses": image_faults.refuses, "runs": image_pod.runs}
    if len(sys.argv) != 3 or sys.argv[1] not in steps:
        print(__doc__, file=sys.stderr)
        return 2
    return steps[sys.argv[1]](pathlib.Path(sys.argv[2]).resolve())


if __name__ == "__main__":
    sys.exit(main())
