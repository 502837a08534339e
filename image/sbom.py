"""The software bill of materials of an image: SPDX 2.3, of every file, its package, version and licence."""

import datetime
import hashlib
import pathlib
import re

import debian
import rootfs
import spdx_licences

NONE = "NOASSERTION"


def identifier(kind: str, text: str) -> str:
    # Ends in a part of the hash: two names may differ in nothing but signs that SPDX does not allow.
    return f"SPDXRef-{kind}-{re.sub(r'[^A-Za-z0-9.-]', '-', text)}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def compiled_in(build: pathlib.Path) -> set[str]:
    """Packages whose headers or archives are part of the binary and whose shared library is not: Boost, fmt, ..."""
    if not (build / "build.ninja").exists():
        return set()
    ninja = ["ninja", "-C", str(build), "-t"]
    paths = set(re.findall(r"(?m)^    (/usr/include/\S+)$", debian.output(*ninja, "deps")))
    link = debian.output(*ninja, "commands", "bin/detection-api").splitlines()[-1]
    paths.update(re.findall(r"(?<= )(/usr/lib/\S+\.a)(?= |$)", link))
    found = {debian.owner(str(pathlib.Path(path).resolve())) for path in paths} - {None}
    # The kernel's headers are declarations of the system's interface: nothing of them is in the binary.
    return {name for name in found if debian.package(name).source != "linux"}


class Document:
    def __init__(self, name: str, epoch: int) -> None:
        self.name = name
        self.created = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.licences = spdx_licences.Expressions()
        self.packages: list[dict] = []
        self.files: list[dict] = []
        self.relations: list[dict] = []

    def relate(self, one: str, kind: str, other: str) -> None:
        self.relations.append({"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other})

    def package(self, name: str, version: str, **more: object) -> dict:
        made = {
            "SPDXID": identifier("Package", name),
            "name": name,
            "versionInfo": version,
            "downloadLocation": NONE,
            "filesAnalyzed": False,
            "licenseConcluded": NONE,
            "licenseDeclared": NONE,
            "copyrightText": NONE,
            **more,
        }
        self.packages.append(made)
        return made

    def debian(self, database_name: str) -> dict:
        package = debian.package(database_name)
        names = debian.licences(database_name)
        more = {} if names else {"licenseComments": f"in words: /usr/share/doc/{package.name}/copyright"}
        return self.package(
            package.name,
            package.version,
            supplier="Person: " + package.maintainer.replace("<", "(").replace(">", ")"),
            licenseDeclared=self.licences.expression(package.name, names) if names else NONE,
            sourceInfo=f"Debian source package {package.source} {package.source_version}",
            externalRefs=[
                {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": package.url()}
            ],
            **more,
        )

    def file(self, path: str, content: bytes, elf: bool, holder: dict) -> None:
        one, two = hashlib.sha1(content, usedforsecurity=False).hexdigest(), hashlib.sha256(content).hexdigest()
        made = {
            "SPDXID": identifier("File", path),
            "fileName": "." + path,
            "fileTypes": ["BINARY" if elf else "OTHER"],
            "checksums": [
                {"algorithm": "SHA1", "checksumValue": one},
                {"algorithm": "SHA256", "checksumValue": two},
            ],
            "licenseConcluded": NONE,
            "licenseInfoInFiles": [NONE],
            "copyrightText": NONE,
        }
        self.files.append(made)
        holder.setdefault("files", []).append(one)
        self.relate(holder["SPDXID"], "CONTAINS", made["SPDXID"])

    def finish(self) -> dict:
        for package in self.packages:
            if sums := package.pop("files", None):
                package["filesAnalyzed"] = True
                code = hashlib.sha1("".join(sorted(sums)).encode(), usedforsecurity=False).hexdigest()
                package["packageVerificationCode"] = {"packageVerificationCodeValue": code}
                package["licenseInfoFromFiles"] = [NONE]
        content = hashlib.sha256("".join(f["SPDXID"] + f["checksums"][1]["checksumValue"] for f in self.files).encode())
        return {
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": self.name,
            # Not an address to look at: a name that belongs to these files alone.
            "documentNamespace": f"urn:spdx:detection-api:{content.hexdigest()}",
            "creationInfo": {"created": self.created, "creators": ["Tool: detection-system-image-build"]},
            "packages": self.packages,
            "files": self.files,
            "relationships": self.relations,
            "hasExtractedLicensingInfos": [self.licences.references[key] for key in sorted(self.licences.references)],
        }


def of(root: rootfs.Root, version: str, commit: str, epoch: int, build: pathlib.Path) -> dict:
    document = Document(f"detection-api-{version}-{commit}", epoch)
    image = document.package(
        "detection-api-image", f"{version}+{commit}", primaryPackagePurpose="CONTAINER", licenseDeclared=NONE
    )
    document.relate("SPDXRef-DOCUMENT", "DESCRIBES", image["SPDXID"])
    ours = document.package(
        "detection-api",
        f"{version}+{commit}",
        primaryPackagePurpose="APPLICATION",
        licenseDeclared="Apache-2.0",
        supplier="Organization: Detection System",
    )
    document.relate(image["SPDXID"], "CONTAINS", ours["SPDXID"])
    by_short = {}
    for name in sorted(root.packages):
        made = document.debian(name)
        by_short[made["name"]] = made
        document.relate(image["SPDXID"], "CONTAINS", made["SPDXID"])
    sources = {debian.package(name).source for name in root.packages}
    for name in sorted(compiled_in(build)):
        if debian.package(name).source not in sources:
            document.relate(ours["SPDXID"], "STATIC_LINK", document.debian(name)["SPDXID"])
    for path in sorted(root.folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        inside = "/" + path.relative_to(root.folder).as_posix()
        holder = by_short.get(root.holder(inside) or "", ours)
        document.file(inside, path.read_bytes(), rootfs.is_elf(path), holder)
    return document.finish()

