"""Puts faults into an image, each with a line of its own to be found by, and lets `image/build --verify` look for them: see image_test.py."""

import contextlib
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "image"))
# pylint: disable=wrong-import-position
import debian
import oci
import verify


def one(root: pathlib.Path, pattern: str) -> pathlib.Path:
    return next(path for path in sorted(root.rglob(pattern)) if not path.is_symlink())


def add_shell(root: pathlib.Path, _config: dict) -> None:
    shutil.copy("/bin/dash", root / "usr" / "lib" / "sh")


def add_program(root: pathlib.Path, _config: dict) -> None:
    shutil.copy("/bin/true", root / "usr" / "lib" / "harmless")


def set_user(root: pathlib.Path, _config: dict) -> None:
    (root / "detection-api").chmod(0o4755)


def open_file(root: pathlib.Path, _config: dict) -> None:
    (root / "etc" / "passwd").chmod(0o666)


def add_library(root: pathlib.Path, _config: dict) -> None:
    shutil.copy(one(root, "libz.so.1*"), root / "usr" / "lib" / "libunknown.so.1")


def change_library(root: pathlib.Path, _config: dict) -> None:
    with open(one(root, "libz.so.1*"), "ab") as file:
        file.write(b"x")


def lose_library(root: pathlib.Path, _config: dict) -> None:
    one(root, "libz.so.1*").unlink()


def lose_plugin_library(root: pathlib.Path, _config: dict) -> None:
    one(root, "libffi.so.*").unlink()


def lose_text(root: pathlib.Path, _config: dict) -> None:
    (root / "etc" / "passwd").unlink()


def be_root(_root: pathlib.Path, config: dict) -> None:
    config["User"] = "0:0"


def lie(_root: pathlib.Path, config: dict) -> None:
    config["Labels"] = config["Labels"] | {"org.opencontainers.image.revision": "000000000000"}


def grow(root: pathlib.Path, _config: dict) -> None:
    (root / "etc" / "large").write_bytes(os.urandom(verify.BYTES_MOST))


# Each group is one image: none of its faults shows in the line that another one is found by.
FAULTS = (
    (
        (add_shell, "no shell or interpreter"),
        (set_user, "no setuid, setgid or sticky bits"),
        (open_file, "nothing others may write"),
        (change_library, "ELF files is in the bill of materials"),
        (be_root, "user 10001:10001"),
        (grow, "MB compressed"),
    ),
    ((add_program, "no program but /detection-api"), (lose_text, "so is every other file")),
    ((add_library, "ELF files is in the bill of materials"),),
    ((lose_library, "--version, as uid 10001"),),
    ((lose_plugin_library, "has all of its libraries"), (lie, "--version, as uid 10001")),
)
# Found by nothing but starting it; the others are looked for without, which is faster.
STARTED = {"--version, as uid 10001", "has all of its libraries"}


def found_faults(folder: pathlib.Path, start: bool) -> tuple[int, str]:
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            status = verify.image(folder, start)
    except debian.Problem:  # image/build says it and ends with 1
        status = 1
    return status, "\n".join(line for line in said.getvalue().splitlines() if not line.startswith("ok "))


def refuses(image: pathlib.Path) -> int:
    permitted = subprocess.run([verify.SANDBOX, "/", "--check"], capture_output=True, text=True)
    checks = verify.Checks()
    for group in FAULTS:
        start = any(what in STARTED for _, what in group)
        if permitted.returncode != 0 and start:
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            config = verify.extract(image, folder / "root")
            settings = config["config"]
            for change, _ in group:
                change(folder / "root", settings)
            made = oci.Settings("localhost/faulty:1", config["architecture"], 1, settings, compression=1)
            oci.write(folder / "root", folder / "oci", folder / "image.tar", made)
            shutil.copy(image / "sbom.spdx.json", folder)
            status, failed = found_faults(folder, start)
            for change, what in group:
                checks.that(status == 1 and what in failed, f"refused: {change.__name__.replace('_', ' ')}", status, failed)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name) / "image"
        shutil.copytree(image, folder, ignore=shutil.ignore_patterns("rootfs"))
        layer = max((folder / "oci" / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
        layer.write_bytes(layer.read_bytes()[:-1] + b"x")
        status, failed = found_faults(folder, start=False)
        checks.that(status == 1 and "is what its digest and size say" in failed, "refused: a damaged blob", status, failed)
    if checks.failed == 0 and permitted.returncode != 0:
        print(f"faults that only starting it finds were left out: {permitted.stderr.strip()}")
        return 77
    return 1 if checks.failed else 0
