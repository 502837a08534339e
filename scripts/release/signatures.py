"""Signatures by a key of one's own, in cosign's format (simple signing, ECDSA P-256, SHA-256), made and checked with openssl alone.

No transparency log and no outside service: it works in an air gap. What it proves: who holds the key has signed that this digest is the
image REGISTRY/NAME. The bill of materials is signed beside it.
"""

import base64
import binascii
import json
import pathlib
import tempfile

from release import ROOT, Image, Problem, run, sha256

PUBLIC_KEY = ROOT / "scripts/release/release.pub"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
ANNOTATION = "dev.cosignproject.cosign/signature"
NO_TIME = "0001-01-01T00:00:00Z"


def payload(reference: str, digest: str) -> bytes:
    """What is signed."""
    return json.dumps({
        "critical": {"identity": {"docker-reference": reference}, "image": {"docker-manifest-digest": digest},
                     "type": "cosign container image signature"},
        "optional": None}, separators=(",", ":")).encode()


def sign_bytes(data: bytes, key: pathlib.Path, passphrase: list[str]) -> bytes:
    said = run("openssl", "pkey", "-in", key, *passphrase, "-noout", "-text_pub", what=f"reading {key}").decode()
    if "prime256v1" not in said:
        raise Problem(f"{key} is not an ECDSA key on P-256: scripts/release/signing-key makes one")
    return base64.b64encode(run("openssl", "dgst", "-sha256", "-sign", key, *passphrase, stdin=data, what="signing"))


def check_bytes(data: bytes, signature: bytes, key: pathlib.Path) -> bool:
    try:
        plain = base64.b64decode(signature.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    with tempfile.NamedTemporaryFile() as file:
        file.write(plain)
        file.flush()
        try:
            run("openssl", "dgst", "-sha256", "-verify", key, "-signature", file.name, stdin=data)
        except Problem:
            return False
    return True


def write_layout(folder: pathlib.Path, body: bytes, signature: str) -> None:
    """The signature as an image of its own, as a registry keeps it."""
    blobs = {}

    def blob(kind: str, data: bytes, **more: object) -> dict:
        blobs[sha256(data)] = data
        return {"mediaType": kind, "size": len(data), "digest": sha256(data), **more}

    def text(value: object) -> bytes:
        return json.dumps(value, separators=(",", ":")).encode()

    config = blob("application/vnd.oci.image.config.v1+json", text({
        "architecture": "", "created": NO_TIME, "history": [{"created": NO_TIME}], "os": "",
        "rootfs": {"type": "layers", "diff_ids": [sha256(body)]}, "config": {}}))
    layer = blob(SIMPLE_SIGNING, body, annotations={ANNOTATION: signature})
    manifest = blob("application/vnd.oci.image.manifest.v1+json", text({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [layer]}))
    place = folder / "blobs/sha256"
    place.mkdir(parents=True, exist_ok=True)
    for digest, data in blobs.items():
        (place / digest.removeprefix("sha256:")).write_bytes(data)
    (folder / "oci-layout").write_bytes(text({"imageLayoutVersion": "1.0.0"}))
    (folder / "index.json").write_bytes(text({"schemaVersion": 2, "manifests": [manifest]}))


def sign(image: Image, reference: str, key: pathlib.Path, passphrase: list[str]) -> None:
    body = payload(reference, image.digest)
    signature = sign_bytes(body, key, passphrase)
    bill = sign_bytes(image.bill, key, passphrase)
    write_layout(image.signature / "oci", body, signature.decode())
    (image.signature / "payload.json").write_bytes(body)
    (image.signature / "payload.sig").write_bytes(signature + b"\n")
    (image.signature / "sbom.sig").write_bytes(bill + b"\n")


def check_claim(body: bytes, signature: bytes, key: pathlib.Path, reference: str, digest: str) -> None:
    """The signature is good, and says just this of just this image."""
    if not check_bytes(body, signature, key):
        raise Problem(f"the signature of {digest} is not by {key}")
    try:
        critical = json.loads(body)["critical"]
        said, named = critical["image"]["docker-manifest-digest"], critical["identity"]["docker-reference"]
    except (ValueError, KeyError, TypeError):
        raise Problem(f"what is signed of {digest} is no simple signing payload") from None
    if said != digest:
        raise Problem(f"the signature is of another image: {said}, not {digest}")
    if named != reference:
        raise Problem(f"the signature is for {named}, not for {reference}")


def verify_folder(image: Image, reference: str, key: pathlib.Path) -> None:
    try:
        body, signature = (image.signature / "payload.json").read_bytes(), (image.signature / "payload.sig").read_bytes()
        bill = (image.signature / "sbom.sig").read_bytes()
    except OSError:
        raise Problem(f"{image.folder} is not signed") from None
    check_claim(body, signature, key, reference, image.digest)
    if not check_bytes(image.bill, bill, key):
        raise Problem(f"the bill of materials of {image.folder} is not the one that was signed by {key}")


def from_layout(folder: pathlib.Path) -> list[tuple[bytes, bytes]]:
    """Every (payload, signature) of a signature's image in skopeo's dir: layout. What is not well-formed is left out."""
    found = []
    for layer in json.loads((folder / "manifest.json").read_text(encoding="utf-8")).get("layers", []):
        body = (folder / layer["digest"].removeprefix("sha256:")).read_bytes()
        signature = layer.get("annotations", {}).get(ANNOTATION, "")
        if layer["mediaType"] == SIMPLE_SIGNING and sha256(body) == layer["digest"] and signature:
            found.append((body, signature.encode()))
    return found
