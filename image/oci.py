"""Writes one root file system as an OCI image: a layout, and an archive that containerd, skopeo, crane and Docker take."""

import dataclasses
import datetime
import gzip
import hashlib
import io
import json
import os
import pathlib
import tarfile

MEDIA = "application/vnd.oci.image."


@dataclasses.dataclass(frozen=True)
class Settings:
    name: str  # NAME:TAG
    architecture: str
    epoch: int
    config: dict
    compression: int = 6


def plain(info: tarfile.TarInfo, epoch: int) -> tarfile.TarInfo:
    """Nothing of the machine or the person that packs it."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = epoch
    return info


def tar_of(root: pathlib.Path, epoch: int) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(root.rglob("*"), key=lambda path: path.relative_to(root).as_posix()):
            info = plain(tar.gettarinfo(path, path.relative_to(root).as_posix()), epoch)
            if info.islnk():  # the same file twice on disk is no link in the image
                info.type, info.linkname, info.size = tarfile.REGTYPE, "", os.stat(path).st_size
            if info.isreg():
                with open(path, "rb") as content:
                    tar.addfile(info, content)
            else:
                tar.addfile(info)
    return data.getvalue()


def as_json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("utf-8")


class Layout:
    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.blobs: dict[str, bytes] = {}

    def blob(self, kind: str, data: bytes) -> dict:
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": MEDIA + kind, "digest": f"sha256:{digest}", "size": len(data)}


def write(root: pathlib.Path, layout: pathlib.Path, archive: pathlib.Path, settings: Settings) -> tuple[str, int]:
    """Gives the digest of the manifest and the size of all blobs."""
    image = Layout(layout)
    created = datetime.datetime.fromtimestamp(settings.epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    tar = tar_of(root, settings.epoch)
    layer = image.blob("layer.v1.tar+gzip", gzip.compress(tar, settings.compression, mtime=0))
    config = image.blob(
        "config.v1+json",
        as_json(
            {
                "architecture": settings.architecture,
                "os": "linux",
                "created": created,
                "config": settings.config,
                "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]},
                "history": [{"created": created, "created_by": "image/build"}],
            }
        ),
    )
    manifest = {"schemaVersion": 2, "mediaType": MEDIA + "manifest.v1+json", "config": config, "layers": [layer]}
    manifest["annotations"] = settings.config["Labels"]
    entry = image.blob("manifest.v1+json", as_json(manifest))
    tag = settings.name.rpartition(":")[2]
    entry["annotations"] = {"io.containerd.image.name": settings.name, "org.opencontainers.image.ref.name": tag}
    entry["platform"] = {"architecture": settings.architecture, "os": "linux"}
    path = {part["digest"]: f"blobs/sha256/{part['digest'][7:]}" for part in (config, layer)}
    files = dict(image.blobs)
    files["oci-layout"] = as_json({"imageLayoutVersion": "1.0.0"})
    files["index.json"] = as_json(
        {"schemaVersion": 2, "mediaType": MEDIA + "index.v1+json", "manifests": [entry]}
    )
    # For `docker load` and `crane push` of a file: the older description of the same blobs.
    files["manifest.json"] = as_json(
        [{"Config": path[config["digest"]], "RepoTags": [settings.name], "Layers": [path[layer["digest"]]]}]
    )
    for name, data in files.items():
        if name != "manifest.json":
            (layout / name).parent.mkdir(parents=True, exist_ok=True)
            (layout / name).write_bytes(data)
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar_file:
        for name, data in sorted(files.items()):
            info = plain(tarfile.TarInfo(name), settings.epoch)
            info.size = len(data)
            tar_file.addfile(info, io.BytesIO(data))
    return entry["digest"], sum(len(data) for data in image.blobs.values())
