"""What Debian's package database on this machine says of a file: its package, version, checksum and licences."""

import dataclasses
import functools
import hashlib
import pathlib
import re
import subprocess

INFO = pathlib.Path("/var/lib/dpkg/info")
FIELDS = ("binary:Package", "Package", "Version", "Architecture", "source:Package", "source:Version", "Maintainer")


class Problem(Exception):
    """Ends the program with this message."""


def output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
    if done.returncode != 0:
        raise Problem(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


@dataclasses.dataclass(frozen=True)
class Package:
    name: str
    version: str
    architecture: str
    source: str
    source_version: str
    maintainer: str
    distribution: str

    def url(self) -> str:
        version = self.version.replace(":", "%3A").replace("+", "%2B").replace("~", "~")
        return (
            f"pkg:deb/debian/{self.name.replace('+', '%2B')}@{version}?arch={self.architecture}&distro={self.distribution}"
        )


def merged(path: str) -> str:
    """The one name of a path in a merged /usr, whichever of the two its package uses."""
    return re.sub(r"^/(bin|sbin|lib|lib64)(?=/)", r"/usr/\1", path)


@functools.lru_cache(None)
def owners() -> dict[str, str]:
    found = {}
    for listing in INFO.glob("*.list"):
        for line in listing.read_text(encoding="utf-8").splitlines():
            found.setdefault(merged(line), listing.stem)
    return found


@functools.lru_cache(None)
def distribution() -> str:
    release = dict(re.findall(r'(?m)^(\w+)="?([^"\n]*)', pathlib.Path("/etc/os-release").read_text(encoding="utf-8")))
    return f"{release['ID']}-{release['VERSION_ID']}"


def owner(path: str) -> str | None:
    """The package of a file, as the database names it (libc6:amd64)."""
    return owners().get(merged(path))


@functools.lru_cache(None)
def package(name: str) -> Package:
    line = output("dpkg-query", "-W", "-f", "\\t".join(f"${{{field}}}" for field in FIELDS), name)
    _, short, version, architecture, source, source_version, maintainer = line.split("\t")
    return Package(short, version, architecture, source, source_version, maintainer, distribution())


@functools.lru_cache(None)
def checksums(name: str) -> dict[str, str]:
    listing = INFO / f"{name}.md5sums"
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    return {merged("/" + path): value for value, _, path in (line.partition("  ") for line in lines)}


def must_be_unchanged(path: str) -> None:
    """A file that differs from its package must not get into an image under that package's name and version."""
    name = owner(path)
    if name is None:
        raise Problem(f"{path} belongs to no Debian package")
    expected = checksums(name).get(merged(path))
    if expected and hashlib.md5(pathlib.Path(path).read_bytes(), usedforsecurity=False).hexdigest() != expected:
        raise Problem(f"{path} is not as package {name} ships it (dpkg --verify {name})")


def status(name: str) -> str:
    """What vulnerability scanners read from var/lib/dpkg/status.d. Other fields may differ between machines that have
    the same package: the priority is the archive's, not the package's."""
    this = package(name)
    source = this.source if this.source_version == this.version else f"{this.source} ({this.source_version})"
    return (
        f"Package: {this.name}\nStatus: install ok installed\nMaintainer: {this.maintainer}\n"
        f"Architecture: {this.architecture}\nSource: {source}\nVersion: {this.version}\n"
    )


def copyright_file(name: str) -> pathlib.Path | None:
    file = pathlib.Path("/usr/share/doc") / package(name).name / "copyright"
    return file.resolve() if file.exists() else None


def copyright_text(name: str) -> str:
    file = copyright_file(name)
    return file.read_text(encoding="utf-8", errors="replace") if file else ""


def paragraphs(text: str) -> list[dict[str, str]]:
    found = []
    for block in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            if match := re.match(r"^([A-Za-z][\w-]*):\s*(.*)$", line):
                key = match[1].lower()
                fields[key] = match[2]
            elif key:
                fields[key] += "\n" + line.strip()
        if fields:
            found.append(fields)
    return found


def licences(name: str) -> dict[str, str]:
    """Short names of the licences of a package, with the text where it is there; none: not machine-readable."""
    text = copyright_text(name)
    if not re.match(r"(?i)^\s*format(-specification)?:", text):
        return {}
    used: dict[str, str] = {}
    texts: dict[str, str] = {}
    for fields in paragraphs(text):
        if "license" not in fields:
            continue
        short, _, body = fields["license"].partition("\n")
        short = short.strip()
        if body.strip():
            texts.setdefault(short, body.strip())
        # What is only in Debian's packaging or build system is in no file of an image.
        if short and fields.get("files", "debian/*").split() != ["debian/*"]:
            used.setdefault(short, "")
    return {short: texts.get(short, "") for short in sorted(used)}
