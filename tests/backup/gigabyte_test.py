#!/usr/bin/env python3
"""A record of 1 GB: backed up, restored into SQLite, from there into PostgreSQL, and back; each in at most 5 minutes and the same at the end.

usage: gigabyte_test.py DETECTION_API     (DETECTION_BACKUP_BYTES: another size)
"""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "observability"))
sys.path.insert(0, str(HERE.parent / "observability/live"))
from harness.child import Skip  # noqa: E402
from harness.postgres import PostgresServer  # noqa: E402
from service import DETECTION, Service  # noqa: E402

WANTED = int(os.environ.get("DETECTION_BACKUP_BYTES", 1_000_000_000))
MOST_SECONDS = 300
BATCH = 5_000


def fill(service):
    """Posts batches until the file of the store is as large as is wanted."""
    body = json.dumps([DETECTION | {"pixel_x": n % 1024, "track_id": f"track-{n}"} for n in range(BATCH)]).encode()
    headers = {"Authorization": f"Bearer {service.token}", "Content-Type": "application/json"}
    file = service.folder / "data/detections.db"
    while file.stat().st_size < WANTED:
        request = urllib.request.Request(f"http://{service.api}/api/v1/detections/batch", body, headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            assert answer.status == 200, answer.status


def manifest(file):
    """What the snapshot says of itself (docs/backup.md, "The file")."""
    with open(file, "rb") as snapshot:
        snapshot.seek(-64, os.SEEK_END)
        magic, pages, size, _ = struct.unpack("<16sQQ32s", snapshot.read(64))
        assert magic == b"DETECTION-SNAP-1", magic
        snapshot.seek(pages)
        return json.loads(snapshot.read(size))


def content(file):
    said = manifest(file)
    return said["tables"], said["chains"]


class Failed(Exception):
    pass


def timed(what, command):
    began = time.monotonic()
    done = subprocess.run([*map(str, command), "--json"], capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    if done.returncode != 0:
        raise Failed(f"{what}: {done.stderr}")
    said = json.loads(done.stdout)
    print(f"  {what}: {took:.1f} s; {said['detections']} detections, {said['audit_records']} audit records, {said['bytes'] / 1e6:.0f} MB")
    if not said["audit_valid"]:
        raise Failed(f"{what}: an audit chain does not hold")
    if took > MOST_SECONDS:
        raise Failed(f"{what}: took over {MOST_SECONDS} s")
    return pathlib.Path(said["file"])


def main():
    binary = sys.argv[1]
    os.environ["DETECTION_BACKUP_SHARE"] = "100"  # nobody serves beside it
    home = pathlib.Path(tempfile.mkdtemp(prefix="detection-gigabyte."))
    home.chmod(0o755)  # PostgreSQL's user must come to its part of it
    postgres = None
    try:
        service = Service(binary, home)
        service.start()
        try:
            fill(service)
        finally:
            service.process.terminate()
            service.process.wait(60)
        first = timed("backup of SQLite", [binary, "backup", "--data-dir", home / "data", "--output", home / "first"])
        timed("verify", [binary, "verify", first])
        timed("restore into SQLite", [binary, "restore", first, "--data-dir", home / "second"])
        shutil.rmtree(home / "second")
        shutil.rmtree(home / "data")
        try:
            postgres = PostgresServer(home / "postgres")
        except Skip as why:
            print(f"SKIPPED: {why}: only SQLite was tried")
            return 77
        database = ["--database-url", postgres.url()]
        timed("restore into PostgreSQL", [binary, "restore", first, *database])
        second = timed("backup of PostgreSQL", [binary, "backup", *database, "--output", home / "of-postgres"])
        if content(second) != content(first):
            raise Failed("what came out of PostgreSQL is not what went into it")
        timed("restore into SQLite again", [binary, "restore", second, "--data-dir", home / "third"])
        third = timed("backup of that", [binary, "backup", "--data-dir", home / "third", "--output", home / "last"])
        if content(third) != content(first):
            raise Failed("what came back is not what went out")
        print("  all three hold the same")
        return 0
    except Failed as problem:
        print(f"FAILED: {problem}")
        return 1
    finally:
        if postgres:
            postgres.close()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main())
