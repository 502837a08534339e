"""What the scripts of a release share: problems, programs, an image as image/build leaves it."""

import hashlib
import json
import pathlib
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
REFERENCE = re.compile(r"[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)+")  # REGISTRY/NAME, without tag or digest
COMMIT = re.compile(r"[0-9a-f]{12,40}")


class Problem(Exception):
    """What is wrong, in words for the person who called."""


def run(*command: object, stdin: bytes = b"", what: str = "", timeout: float = 900) -> bytes:
    """-> standard output. Arguments are seen by everyone on the machine: never a secret among them."""
    words = [str(part) for part in command]
    if not shutil.which(words[0]):
        raise Problem(f"{words[0]} is not there")
    done = subprocess.run(words, input=stdin, capture_output=True, timeout=timeout)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise Problem(f"{what or ' '.join(words[:2])}: {said[-700:]}")
    return done.stdout


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Image:
    """A folder of image/build: oci/, image.tar, sbom.spdx.json, digest; and signature/ once it is signed."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.signature = folder, folder / "signature"
        try:
            self.digest = (folder / "digest").read_text(encoding="ascii").strip()
            self.bill = (folder / "sbom.spdx.json").read_bytes()
            index = json.loads((folder / "oci/index.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise Problem(f"{folder} is no image of image/build: {problem}") from None
        if [entry["digest"] for entry in index["manifests"]] != [self.digest]:
            raise Problem(f"{folder}/oci is not the image that {folder}/digest names")
        self.manifest = (folder / "oci/blobs/sha256" / self.digest.removeprefix("sha256:")).read_bytes()
        if sha256(self.manifest) != self.digest:
            raise Problem(f"the manifest of {folder} is not what its digest says")


def signature_tag(digest: str) -> str:
    """Where a registry has the signature of an image: the tag that cosign made common."""
    return digest.replace(":", "-") + ".sig"
