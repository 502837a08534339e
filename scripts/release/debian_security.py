"""What Debian's security suite has that is newer, by apt's own lists (fetched into a folder of ours, signatures checked by apt)."""

import os
import pathlib
import re
import subprocess

from release import ROOT, Problem

SECURITY = re.compile(r"-security$")
LISTS = ("build.txt", "image.txt")


def settings(cache: pathlib.Path) -> list[str]:
    """apt with our own lists; sources and keys are the machine's."""
    (cache / "lists/partial").mkdir(parents=True, exist_ok=True)
    (cache / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
    return ["-o", f"Dir::State::lists={cache}/lists", "-o", f"Dir::Cache={cache}/cache", "-o", "APT::Sandbox::User=",
            "-o", "Debug::NoLocking=1", "-o", "Acquire::Languages=none", "-o", "Acquire::Retries=3"]


def apt(cache: pathlib.Path, *command: str) -> str:
    done = subprocess.run([*command[:1], *settings(cache), *command[1:]], capture_output=True, text=True, timeout=300, check=False,
                          env={**os.environ, "LC_ALL": "C"})
    if done.returncode != 0:
        raise Problem(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
    return done.stdout


def update(cache: pathlib.Path) -> None:
    done = subprocess.run(["apt-get", *settings(cache), "update", "-q"], capture_output=True, text=True, timeout=300, check=False)
    # A third party's list that fails does not matter; that Debian's is there is seen below.
    if done.returncode != 0 and not index_files(cache):
        raise Problem(f"the lists of the security suite cannot be fetched: {done.stderr.strip()[-500:]}")


def index_files(cache: pathlib.Path) -> list[str]:
    said = apt(cache, "apt-get", "indextargets", "--format", "$(CODENAME)|$(FILENAME)", "Created-By: Packages", "Origin: Debian")
    return [name for codename, _, name in (line.partition("|") for line in said.splitlines()) if SECURITY.search(codename) and list_there(name)]


def list_there(name: str) -> bool:
    path = pathlib.Path(name)
    return any(path.parent.glob(path.name + "*"))


def age(cache: pathlib.Path) -> str:
    dates = set()
    for path in (cache / "lists").glob("*security*InRelease"):
        dates.update(re.findall(r"(?m)^Date: (.*)$", path.read_text(encoding="utf-8", errors="replace")))
    return "of " + ", ".join(sorted(dates)) if dates else "of an unknown date"


def newest(cache: pathlib.Path) -> dict[str, tuple[str, str]]:
    """Package -> version in the security suite, its source."""
    update(cache)
    files = index_files(cache)
    if not files:
        raise Problem("apt's sources have no security suite of Debian")
    found: dict[str, tuple[str, str]] = {}
    for name in files:
        for block in apt(cache, "/usr/lib/apt/apt-helper", "cat-file", name).split("\n\n"):
            fields = dict(re.findall(r"(?m)^(Package|Version|Source): (.*)$", block))
            if "Package" not in fields:
                continue
            package, version = fields["Package"], fields["Version"]
            if package not in found or newer(version, found[package][0]):
                found[package] = (version, fields.get("Source", package).split(" ")[0])
    return found


def newer(one: str, other: str) -> bool:
    return subprocess.run(["dpkg", "--compare-versions", one, "gt", other], check=False).returncode == 0


def packages_of(bill: dict) -> dict[str, str]:
    """Debian packages of a bill of materials, also those whose headers were compiled in -> version."""
    found = {package["name"]: package["versionInfo"] for package in bill["packages"] if package.get("sourceInfo", "").startswith("Debian source package")}
    if not found:
        raise Problem("the bill of materials names no Debian package")
    return found


def named_packages() -> dict[str, str]:
    """Of scripts/packages: what is installed here -> version."""
    names = [line for file in LISTS for line in (ROOT / "scripts/packages" / file).read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n", *names], capture_output=True, text=True, check=False)
    found = {name: version for status, name, version in (line.split(" ") for line in done.stdout.splitlines() if line.count(" ") == 2) if status == "installed"}
    if not found:
        raise Problem("none of the packages of scripts/packages is installed: scripts/setup.sh build image")
    return found


def compare(packages: dict[str, str], cache: pathlib.Path) -> list[dict]:
    known = newest(cache)
    return [{"id": f"security update of {known[name][1]}", "package": name, "installed": version, "fixed": known[name][0], "severity": "UNKNOWN"}
            for name, version in sorted(packages.items()) if name in known and newer(known[name][0], version)]
