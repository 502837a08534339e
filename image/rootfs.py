"""Fills a folder with the root file system of an image: programs, their shared libraries, and what those open by name."""

import os
import pathlib
import re
import shutil
import subprocess
import sysconfig

import debian

Problem = debian.Problem
USER = 10001
PASSWD = "root:x:0:0:root:/nonexistent:/nonexistent\ndetection:x:{0}:{0}::/nonexistent:/nonexistent\n"
GROUP = "root:x:0:\ndetection:x:{0}:\n"
AUTHORITIES = pathlib.Path("/usr/share/ca-certificates/mozilla")


def is_elf(path: pathlib.Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


class Root:
    """One root file system that is being filled. Paths are those of this machine, and the same inside."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.packages: set[str] = set()  # as the database names them
        folder.mkdir(parents=True)
        folder.chmod(0o755)

    def inside(self, path: str) -> pathlib.Path:
        return self.folder / path.lstrip("/")

    def holder(self, path: str) -> str | None:
        """The short name of the package that a file of the image is of; none: ours."""
        if match := re.match(r"^/(?:usr/share/doc|var/lib/dpkg/status\.d)/([^/]+)", path):
            return match[1]
        if path == "/etc/ssl/certs/ca-certificates.crt":
            return "ca-certificates"
        name = debian.owner(path)
        return debian.package(name).name if name in self.packages else None

    def directory(self, path: str) -> None:
        folder = self.folder
        for part in pathlib.PurePosixPath(path.lstrip("/")).parts:
            folder /= part
            if not folder.exists() and not folder.is_symlink():
                folder.mkdir()
                folder.chmod(0o755)

    def link(self, path: str, target: str) -> None:
        self.directory(os.path.dirname(path))
        if not self.inside(path).is_symlink():
            self.inside(path).symlink_to(target)

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        self.directory(os.path.dirname(path))
        data = content.encode("utf-8") if isinstance(content, str) else content
        self.inside(path).write_bytes(data)
        self.inside(path).chmod(mode)

    def file(self, path: str) -> str:
        """Copies a package's file; where a part of its path is a link, that is one in the image too. Gives its real path."""
        current = "/"
        parts = pathlib.PurePosixPath(path).parts[1:]
        for index, part in enumerate(parts):
            current = os.path.join(current, part)
            if os.path.islink(current):
                target = os.readlink(current)
                self.link(current, target)
                return self.file(os.path.normpath(os.path.join(os.path.dirname(current), target, *parts[index + 1 :])))
        if not self.inside(path).exists():
            debian.must_be_unchanged(path)
            self.packages.add(debian.owner(path))
            self.directory(os.path.dirname(path))
            shutil.copyfile(path, self.inside(path))
            self.inside(path).chmod(0o755 if os.access(path, os.X_OK) and is_elf(self.inside(path)) else 0o644)
        return path

    def program(self, *paths: str) -> None:
        """Programs or libraries, and the closure of their shared libraries."""
        real = [self.file(path) for path in paths]
        self.libraries(*real)
        for path in real:
            self.inside(path).chmod(0o755)

    def libraries(self, *paths: str, outside: str = "") -> None:
        """The closure of the shared libraries of files that need not be in the image; none of those below `outside`."""
        if not paths:
            return
        listing = subprocess.run(["ldd", *paths], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
        if "not found" in listing.stdout or not re.search(r"(?m)^\s.* \(0x|statically linked", listing.stdout):
            raise Problem(f"ldd {' '.join(paths)}: {listing.stdout}{listing.stderr}")
        for library in sorted(set(re.findall(r"(?m)^\s+(?:\S+ => )?(/\S+) \(0x", listing.stdout))):
            if not outside or not library.startswith(outside):
                self.file(library)

    def authorities(self) -> None:
        """The authorities of the package alone: those that this machine adds have no place in an image."""
        bundle = b""
        for certificate in sorted(AUTHORITIES.glob("*.crt")):
            debian.must_be_unchanged(str(certificate))
            bundle += certificate.read_bytes().rstrip() + b"\n"
        if not bundle:
            raise Problem("no authorities in /usr/share/ca-certificates/mozilla (Debian: ca-certificates)")
        self.packages.add("ca-certificates")
        self.write("/etc/ssl/certs/ca-certificates.crt", bundle)
        self.link("/usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt")  # where OpenSSL looks
        self.link("/usr/lib/ssl/certs", "/etc/ssl/certs")

    def names(self, passwd: str = PASSWD, group: str = GROUP) -> None:
        """Users and how names are resolved: `files` and `dns` are part of glibc itself."""
        self.write("/etc/passwd", passwd.format(USER))
        self.write("/etc/group", group.format(USER))
        self.write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n")

    def papers(self) -> None:
        """Licences and the package database: what the packages demand, and what scanners read."""
        self.file("/usr/lib/os-release")
        self.link("/etc/os-release", "../usr/lib/os-release")
        self.file("/etc/debian_version")  # without it trivy takes the packages of status.d for those of no distribution, and finds nothing
        for name in sorted(self.packages):
            text = debian.copyright_text(name)
            if not text:
                raise Problem(f"package {name} has no copyright file on this machine")
            short = debian.package(name).name
            self.write(f"/usr/share/doc/{short}/copyright", text)
            self.write(f"/var/lib/dpkg/status.d/{short}", debian.status(name))
            for common in re.findall(r"/usr/share/common-licenses/([A-Za-z0-9.-]*[A-Za-z0-9])", text):
                if os.path.exists(f"/usr/share/common-licenses/{common}"):
                    self.file(f"/usr/share/common-licenses/{common}")

    def settle(self, epoch: int) -> None:
        """One time for all."""
        for folder, folders, files in os.walk(self.folder, topdown=False):
            for name in files + folders:
                os.utime(os.path.join(folder, name), (epoch, epoch), follow_symlinks=False)
        os.utime(self.folder, (epoch, epoch))


def legacy_provider() -> str:
    """OpenSSL's legacy provider: TAK administrators hand out PKCS#12 files with RC2-40 (src/tak/certificate.cpp)."""
    modules = re.search(r'MODULESDIR: "([^"]*)"', debian.output("openssl", "version", "-m"))
    return f"{modules[1]}/legacy.so"


def service(folder: pathlib.Path, binary: pathlib.Path, licence: pathlib.Path, epoch: int) -> Root:
    """The root file system of the service."""
    root = Root(folder)
    root.file("/usr/share/proj/egm96_15.gtx")  # --geoid-file
    root.program(legacy_provider())
    root.libraries(str(binary))
    # Loaded by name, never linked: pthread_cancel and unwinding want it.
    root.program(f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}/libgcc_s.so.1")
    root.authorities()
    root.names()
    debian.output("strip", "--strip-all", "-o", str(root.inside("/detection-api")), str(binary))
    root.inside("/detection-api").chmod(0o755)
    root.write("/usr/share/doc/detection-api/copyright", licence.read_text(encoding="utf-8"))
    root.papers()
    root.settle(epoch)
    return root
