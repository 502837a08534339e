"""The images of the tests: the service as its own build makes it, one of it that ends at once, and those of the peers."""

import sys

from harness.cluster import HERE, ROOT, run

WORK = ROOT / "build" / "e2e"
sys.path.append(str(ROOT / "image"))


def build(service=None):
    """-> archives to load. service: a folder that image/build has made as localhost/detection-api:e2e; else it is built.
    The peers are built when their scripts have changed."""
    # pylint: disable=import-outside-toplevel
    import oci
    if service is None:
        service = WORK / "service"
        run(ROOT / "image" / "build", "--name", "localhost/detection-api:e2e", "--output", service, timeout=3600)
    exits = WORK / "exits"
    exits.mkdir(parents=True, exist_ok=True)
    oci.write(service / "rootfs", exits / "oci", exits / "image.tar", oci.Settings(
        name="localhost/detection-api:exits", architecture=run("dpkg", "--print-architecture").strip(), epoch=0,
        config={"User": "10001:10001", "Entrypoint": ["/detection-api", "there-is-no-such-command"], "Labels": {}}))
    return [service / "image.tar", exits / "image.tar", *peers()]


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
