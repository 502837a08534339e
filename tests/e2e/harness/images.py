"""The images of the tests: the service as its own build makes it, one of it that ends at once, and those of the peers."""

import shutil
import sys

from harness.cluster import HERE, HOME, ROOT, run

WORK = ROOT / "build" / "e2e"
sys.path.append(str(ROOT / "image"))


def build(service=None):
    """-> archives to load. service: a folder that image/build has made as localhost/detection-api:e2e; else it is built.
    The peers are built when their scripts have changed."""
    if service is None:
        service = WORK / "service"
        run(ROOT / "image" / "build", "--name", "localhost/detection-api:e2e", "--output", service, timeout=3600)
    exits = packed("exits", service / "rootfs", "localhost/detection-api:exits", ["/detection-api", "there-is-no-such-command"])
    return [service / "image.tar", exits, *peers()]


def packed(name, root, tag, entrypoint):
    """-> archive of a root file system that is there"""
    # pylint: disable=import-outside-toplevel
    import oci
    folder = WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    oci.write(root, folder / "oci", folder / "image.tar", oci.Settings(
        name=tag, architecture=run("dpkg", "--print-architecture").strip(), epoch=0,
        config={"User": "10001:10001", "Entrypoint": entrypoint, "Labels": {}}))
    return folder / "image.tar"


def sealed_secrets_controller(tag):
    """-> archive of the controller that `cluster install` has made; it is one file"""
    root = WORK / "sealed-secrets" / "rootfs"
    shutil.rmtree(root, ignore_errors=True)
    (root / "tmp").mkdir(parents=True)
    shutil.copy(HOME / "bin" / "sealed-secrets-controller", root / "sealed-secrets-controller")
    return packed("sealed-secrets", root, tag, ["/sealed-secrets-controller"])


def made(*names):
    """-> archives of the test images, made again when the scripts that make them have changed."""
    scripts = [file.stat().st_mtime for folder in (HERE / "images", ROOT / "image") for file in folder.iterdir() if file.is_file()]
    archives = [WORK / f"{name}.tar" for name in names]
    for archive in archives:
        if not archive.exists() or archive.stat().st_mtime < max(scripts):
            run(HERE / "images" / "build", "--output", WORK, archive.stem, timeout=1800)
    return archives


def peers():
    return made("postgres", "taky", "load")


def monitoring(loki):
    """-> archives of the monitoring stack, without Grafana, and without Loki where that is not here."""
    return made("alertmanager", "node-exporter", "prometheus", "otelcol", *["loki"] * loki)
