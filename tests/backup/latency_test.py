#!/usr/bin/env python3
"""What backups do to acceptance: p99 of single durable posts at 2,000/s, in pairs of runs with and without backups one after another.

usage: latency_test.py DETECTION_API LOAD_CLIENT   (DETECTION_BACKUP_PAIRS: 5; DETECTION_BACKUP_HELD: detections that are there before, 10,000)
A run with backups sees at least one from its begin to its end. Fails when the median of the pairs' ratios is over 1.2.
Exit 77 where the runs without backups differ among themselves by more than twice: a disk that others use cannot show a fifth.
"""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "observability"))
from service import DETECTION, Service  # noqa: E402

PAIRS = int(os.environ.get("DETECTION_BACKUP_PAIRS", 5))
HELD = int(os.environ.get("DETECTION_BACKUP_HELD", 10_000))
RATE, SECONDS, WARM_SECONDS, RATIO_MOST, BATCH = 2_000, 40, 3, 1.2, 5_000
UNEVEN_MOST, NOT_MEASURED = 2, 77


class Failed(Exception):
    """What it says is printed."""


class LimitlessService(Service):
    """Its limiters are for others than the load client."""

    def start(self):
        os.environ["DETECTION_RATE_LIMIT"] = "off"
        super().start()


class Backups(threading.Thread):
    """One after another until it is told to stop."""

    def __init__(self, binary, data, folder):
        super().__init__()
        self.command = [binary, "backup", "--data-dir", str(data), "--output", str(folder), "--keep", "0s", "--json"]
        self.over, self.made, self.failure = threading.Event(), 0, ""

    def run(self):
        while not self.over.is_set() and not self.failure:
            done = subprocess.run(self.command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                self.made += 1
            else:
                self.failure = done.stderr

    def stop(self):
        self.over.set()
        self.join()


def fill(service):
    body = json.dumps([DETECTION | {"pixel_x": n % 1024} for n in range(BATCH)]).encode()
    headers = {"Authorization": f"Bearer {service.token}", "Content-Type": "application/json"}
    for _ in range(HELD // BATCH):
        with urllib.request.urlopen(urllib.request.Request(f"http://{service.api}/api/v1/detections/batch", body, headers), timeout=120) as answer:
            assert answer.status == 200


def load(client, service, body, seconds):
    done = subprocess.run([client, "--port", service.api.rsplit(":", 1)[1], "--path", "/api/v1/detections", "--body", str(body), "--token", service.token,
                           "--connections", "64", "--rate", str(RATE), "--seconds", str(seconds)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"the load client: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def one_run(binary, client, with_backups):
    """A record of its own for each: it grows by each run, and a backup takes longer with it. -> (what the load client says, whole backups)"""
    home = pathlib.Path(tempfile.mkdtemp(prefix="detection-latency."))
    service = LimitlessService(binary, home)
    service.start()
    try:
        fill(service)
        body = home / "body"
        body.write_text(json.dumps(DETECTION), encoding="utf-8")
        load(client, service, body, WARM_SECONDS)  # pays for what is not there yet
        os.sync()
        backups = Backups(binary, home / "data", home / "backup")
        if with_backups:
            backups.start()
        said, made = load(client, service, body, SECONDS), backups.made
        if with_backups:
            backups.stop()
            if backups.failure:
                raise Failed(f"a backup: {backups.failure}")
            if not made:
                raise Failed(f"no backup was done within {SECONDS} s: its last steps were not seen")
        return said, made
    finally:
        service.process.terminate()
        service.process.wait(60)
        shutil.rmtree(home, ignore_errors=True)


def main():
    binary, client = sys.argv[1:]
    ratios, without, made = [], [], 0
    try:
        for pair in range(PAIRS):
            figures = {}
            for with_backups in ((False, True), (True, False))[pair % 2]:
                figures[with_backups], whole = one_run(binary, client, with_backups)
                made += whole
            without.append(figures[False]["p99_ms"])
            ratios.append(figures[True]["p99_ms"] / without[-1])
            print(f"  pair {pair + 1}: p99 {figures[False]['p99_ms']:.2f} ms without, {figures[True]['p99_ms']:.2f} ms beside backups, ratio {ratios[-1]:.2f} "
                  f"({figures[False]['per_second']:.0f} and {figures[True]['per_second']:.0f}/s; p50 {figures[False]['p50_ms']:.2f} and {figures[True]['p50_ms']:.2f} ms)", flush=True)
    except Failed as problem:
        print(f"FAILED: {problem}")
        return 1
    median = statistics.median(ratios)
    print(f"  median of {PAIRS}: {median:.2f} (at most {RATIO_MOST}); {made} whole backups, at least {HELD} detections in each")
    if max(without) > UNEVEN_MOST * min(without):
        print(f"SKIPPED, NOT MEASURED: without backups the p99 was {min(without):.2f} to {max(without):.2f} ms on this machine; try again when its disk is quiet")
        return NOT_MEASURED
    return 0 if median <= RATIO_MOST else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main())
