"""Looks at a finished image as a stranger does: by its archive's blobs alone, and by running it."""

import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import stat
import subprocess
import tarfile
import tempfile

import debian

SANDBOX = pathlib.Path(__file__).resolve().parent / "sandbox"
BYTES_MOST = 40_000_000
SHELLS = re.compile(r"(^|/)((ba|da|a|z|k|c|tc|fi)?sh|busybox|toybox|perl[0-9.]*|python[0-9.]*|env|xargs)$")
LOADER = re.compile(r"^usr/lib(/[^/]+)?/ld-linux[^/]*\.so\.[0-9]+$")
LIBRARY = re.compile(r"\.so(\.[0-9]+)*$")


class Checks:
    """Prints each check; counts those that failed."""

    def __init__(self) -> None:
        self.failed = 0

    def that(self, good: bool, what: str, *faults: object) -> bool:
        print(f"{'ok    ' if good else 'FAILED'} {what}")
        for fault in faults if not good else ():
            print(f"         {fault}")
        self.failed += not good
        return good


def blob(folder: pathlib.Path, checks: Checks, entry: dict) -> bytes:
    data = (folder / "oci" / "blobs" / "sha256" / entry["digest"].removeprefix("sha256:")).read_bytes()
    good = f"sha256:{hashlib.sha256(data).hexdigest()}" == entry["digest"] and len(data) == entry["size"]
    if not checks.that(good, f"the blob {entry['digest'][7:19]} is what its digest and size say"):
        raise debian.Problem("a damaged image is not looked at any further")
    return data


def look_at_entries(checks: Checks, layer: tarfile.TarFile) -> None:
    entries = layer.getmembers()
    checks.that(
        not (odd := [e.name for e in entries if not (e.isreg() or e.isdir() or e.issym())]),
        "only files, folders and links (no devices, no sockets)",
        *odd,
    )
    checks.that(
        not (odd := [e.name for e in entries if (e.uid, e.gid, e.uname, e.gname) != (0, 0, "", "")]),
        "all is root's: uid 10001 owns nothing",
        *odd,
    )
    special = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX
    checks.that(not (odd := [e.name for e in entries if e.mode & special]), "no setuid, setgid or sticky bits", *odd)
    checks.that(
        not (odd := [e.name for e in entries if not e.issym() and e.mode & 0o022]), "nothing others may write", *odd
    )
    checks.that(not (odd := [e.name for e in entries if SHELLS.search(e.name)]), "no shell or interpreter", *odd)
    programs = [e.name for e in entries if e.isreg() and e.mode & 0o111]
    odd = [n for n in programs if n != "detection-api" and not LOADER.match(n) and not LIBRARY.search(n)]
    checks.that(not odd and "detection-api" in programs, "no program but /detection-api (and glibc's loader)", *odd)
    checks.that(len({e.mtime for e in entries}) == 1, "one time for all entries")


def look_at_elf(checks: Checks, layer: tarfile.TarFile, bill: dict) -> None:
    known = {
        file["fileName"]: next(c["checksumValue"] for c in file["checksums"] if c["algorithm"] == "SHA256")
        for file in bill["files"]
    }
    files = {e.name: layer.extractfile(e).read() for e in layer.getmembers() if e.isreg()}
    elf = {name: data for name, data in files.items() if data[:4] == b"\x7fELF"}
    odd = [name for name, data in elf.items() if known.get(f"./{name}") != hashlib.sha256(data).hexdigest()]
    checks.that(
        len(elf) > 1 and not odd, f"each of the {len(elf)} ELF files is in the bill of materials, by its SHA-256", *odd
    )
    odd = sorted({f"./{name}" for name in files} ^ set(known))
    checks.that(not odd, f"so is every other file ({len(files)} in all), and nothing that is not there", *odd)
    held = {relation["relatedSpdxElement"] for relation in bill["relationships"] if relation["relationshipType"] == "CONTAINS"}
    odd = [file["fileName"] for file in bill["files"] if file["SPDXID"] not in held]
    checks.that(not odd, "each file of the bill belongs to a package with a version", *odd)
    odd = [name for name, data in elf.items() if b".symtab\0" in data and name == "detection-api"]
    checks.that(not odd, "the binary is stripped")
    places = (pathlib.Path(__file__).resolve().parents[1], pathlib.Path.home())
    odd = [str(place) for place in places if str(place).encode() + b"/" in elf.get("detection-api", b"")]
    checks.that(not odd, "the binary names no folder of the machine that built it", *odd)


def run(root: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([SANDBOX, root, "--", *arguments], capture_output=True, text=True, timeout=60)


def start_it(checks: Checks, layer: tarfile.TarFile, config: dict) -> int:
    permitted = subprocess.run([SANDBOX, "/", "--check"], capture_output=True, text=True)
    if permitted.returncode == 77:
        print(f"SKIPPED: the image was not started: {permitted.stderr.strip()}")
        return 77
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        os.chmod(folder, 0o755)
        layer.extractall(folder / "root")
        done = run(folder / "root", *config["Entrypoint"], "--version")
        version = config["Labels"]["org.opencontainers.image.version"]
        revision = config["Labels"]["org.opencontainers.image.revision"]
        checks.that(
            done.returncode == 0 and done.stdout.strip() == f"{version} ({revision})",
            f"{' '.join(config['Entrypoint'])} --version, as uid 10001 on a read-only root, says {version} ({revision})",
            done.stdout + done.stderr,
        )
        for entry in layer.getmembers():  # each library finds all of its own inside
            if entry.isreg() and LIBRARY.search(entry.name) and not LOADER.match(entry.name):
                loader = next(e.name for e in layer.getmembers() if LOADER.match(e.name))
                done = run(folder / "root", f"/{loader}", "--list", f"/{entry.name}")
                if done.returncode != 0 or "not found" in done.stdout:
                    checks.that(False, f"/{entry.name} has all of its libraries", done.stdout + done.stderr)
    return 0


def extract(folder: pathlib.Path, target: pathlib.Path) -> dict:
    """The root file system out of the layout in a folder; gives the image's configuration."""
    blobs = folder / "oci" / "blobs" / "sha256"
    entry = json.loads((folder / "oci" / "index.json").read_bytes())["manifests"][0]
    manifest = json.loads((blobs / entry["digest"][7:]).read_bytes())
    with tarfile.open(blobs / manifest["layers"][0]["digest"][7:]) as layer:
        layer.extractall(target)
    return json.loads((blobs / manifest["config"]["digest"][7:]).read_bytes())


def image(folder: pathlib.Path, start: bool = True) -> int:
    """Exit code: 0 good, 1 not, 77 good as far as it could be looked at."""
    checks = Checks()
    index = json.loads((folder / "oci" / "index.json").read_bytes())
    manifest = json.loads(blob(folder, checks, index["manifests"][0]))
    config = json.loads(blob(folder, checks, manifest["config"]))
    data = blob(folder, checks, manifest["layers"][0])
    total = len(data) + manifest["config"]["size"] + index["manifests"][0]["size"]
    checks.that(total <= BYTES_MOST, f"{total / 1e6:.2f} MB compressed, of at most {BYTES_MOST / 1e6:.0f} MB")
    tar = gzip.decompress(data)
    said = config["rootfs"]["diff_ids"]
    checks.that(said == [f"sha256:{hashlib.sha256(tar).hexdigest()}"], "the layer is the one of the configuration")
    settings = config["config"]
    checks.that(
        settings["User"] == "10001:10001" and settings["Entrypoint"] == ["/detection-api"],
        "entrypoint /detection-api, user 10001:10001",
        settings,
    )
    bill = json.loads((folder / "sbom.spdx.json").read_bytes())
    with tarfile.open(fileobj=io.BytesIO(tar)) as layer:
        look_at_entries(checks, layer)
        look_at_elf(checks, layer, bill)
        skipped = start_it(checks, layer, settings) if start else 0
    print(f"{index['manifests'][0]['digest']}: {'good' if checks.failed == 0 else f'{checks.failed} checks failed'}")
    return 1 if checks.failed else skipped
