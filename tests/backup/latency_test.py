#!/usr/bin/env python3
"""What backups do to acceptance: p99 of single durable posts at 2,000/s, in pairs of runs with and without backups one after another.

usage: latency_test.py DETECTION_API LOAD_CLIENT   (DETECTION_BACKUP_PAIRS: 5; DETECTION_BACKUP_HELD: detections that are there before, 200,000)
Fails when the median of the pairs' ratios is over 1.2.
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
HELD = int(os.environ.get("DETECTION_BACKUP_HELD", 200_000))
RATE, SECONDS, RATIO_MOST, BATCH = 2_000, 15, 1.2, 5_000


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


def load(client, service, body):
    done = subprocess.run([client, "--port", service.api.rsplit(":", 1)[1], "--path", "/api/v1/detections", "--body", str(body), "--token", service.token,
                           "--connections", "64", "--rate", str(RATE), "--seconds", str(SECONDS)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the load client: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def main():
    binary, client = sys.argv[1:]
    home = pathlib.Path(tempfile.mkdtemp(prefix="detection-latency."))
    service = LimitlessService(binary, home)
    service.start()
    try:
        fill(service)
        body = home / "body"
        body.write_text(json.dumps(DETECTION), encoding="utf-8")
        load(client, service, body)  # the first one pays for what is not there yet
        ratios, made = [], 0
        for pair in range(PAIRS):
            figures = {}
            for with_backups in ((False, True), (True, False))[pair % 2]:
                backups = Backups(binary, home / "data", home / "backup") if with_backups else None
                if backups:
                    backups.start()
                result = load(client, service, body)
                if backups:
                    backups.stop()
                    made += backups.made
                    if backups.failure:
                        print(f"FAILED: a backup: {backups.failure}")
                        return 1
                figures[with_backups] = result
            ratios.append(figures[True]["p99_ms"] / figures[False]["p99_ms"])
            print(f"  pair {pair + 1}: p99 {figures[False]['p99_ms']:.2f} ms without, {figures[True]['p99_ms']:.2f} ms beside backups, ratio {ratios[-1]:.2f} "
                  f"({figures[False]['per_second']:.0f} and {figures[True]['per_second']:.0f}/s; p50 {figures[False]['p50_ms']:.2f} and {figures[True]['p50_ms']:.2f} ms)")
        median = statistics.median(ratios)
        print(f"  median of {PAIRS}: {median:.2f} (at most {RATIO_MOST}); {made} backups, at least {HELD} detections in each")
        if made < PAIRS:
            print("FAILED: there were too few backups")
            return 1
        return 0 if median <= RATIO_MOST else 1
    finally:
        service.process.terminate()
        service.process.wait(60)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main())
