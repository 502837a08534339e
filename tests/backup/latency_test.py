#!/usr/bin/env python3
"""What backups do to acceptance: p99 of single durable posts at 2,000/s, in pairs of runs with and without backups one after another.

usage: latency_test.py DETECTION_API LOAD_CLIENT
Settings: DETECTION_BACKUP_PAIRS (5), DETECTION_BACKUP_HELD (detections that are there before, 10,000), DETECTION_BACKUP_SECONDS (of a run, 40).
A run with backups sees at least one from its begin to its end. Fails when the median of the pairs' ratios is over 1.2.
A pair does not count, and is run again, where the disk stood still in one of its runs: it had work and finished none of it, as one does that
others use too. Exit 77 where too few pairs count, or where runs without backups differ by more than twice: that cannot show a fifth.
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
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "observability"))
from service import DETECTION, Service  # noqa: E402

PAIRS = int(os.environ.get("DETECTION_BACKUP_PAIRS", 5))
HELD = int(os.environ.get("DETECTION_BACKUP_HELD", 10_000))
SECONDS = int(os.environ.get("DETECTION_BACKUP_SECONDS", 40))
RATE, WARM_SECONDS, RATIO_MOST, BATCH = 2_000, 3, 1.2, 1_000
UNEVEN_MOST, NOT_MEASURED, TRIES = 2, 77, 4
STILL_LEAST_S = 0.02  # a hundred times what the disk of a server takes
STILL_MOST_S = 0.25 * 0.01 * SECONDS  # of a run: a quarter of the requests that are over its p99


class Failed(Exception):
    """What it says is printed."""


class LimitlessService(Service):
    """Its limiters are for others than the load client."""

    def start(self):
        os.environ["DETECTION_RATE_LIMIT"] = "off"
        super().start()


class Backups(threading.Thread):
    """One after another until it is told to stop; the one that is at work then is broken off."""

    def __init__(self, binary, data, folder):
        super().__init__()
        self.command = [binary, "backup", "--data-dir", str(data), "--output", str(folder), "--keep", "0s", "--json"]
        self.lock, self.process, self.over, self.made, self.failure = threading.Lock(), None, False, 0, ""

    def run(self):
        while not self.failure:
            with self.lock:
                if self.over:
                    return
                self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            _, said = self.process.communicate()
            if self.process.returncode == 0:
                self.made += 1
            elif not self.over:
                self.failure = said

    def stop(self):
        with self.lock:
            self.over = True
            if self.process:
                self.process.kill()
        if self.is_alive():
            self.join()


class Standstills(threading.Thread):
    """How long the disk of a folder had work and finished none, from start() to stop(): 0 of what is no disk (tmpfs).

    What ends with a discard is not counted: the deletions of a backup bring those about."""

    def __init__(self, folder):
        super().__init__()
        device = os.stat(folder).st_dev
        self.counts = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
        self.over, self.seconds = threading.Event(), 0.0

    def run(self):
        before, since = None, time.monotonic()
        while self.counts.exists() and not self.over.wait(0.005):
            fields = [int(field) for field in self.counts.read_text(encoding="ascii").split()]
            in_flight, finished, now = fields[8], {"reads": fields[0], "writes": fields[4], "discards": fields[11], "flushes": fields[15]}, time.monotonic()
            if in_flight and finished == before:
                continue
            if before and now - since >= STILL_LEAST_S and finished["discards"] == before["discards"]:
                self.seconds += now - since
            before, since = finished, now

    def stop(self):
        self.over.set()
        self.join()
        return self.seconds


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
    """A record of its own for each: it grows by each run, and a backup takes longer with it.

    -> (what the load client says, whole backups, seconds that the disk stood still)"""
    home = pathlib.Path(tempfile.mkdtemp(prefix="detection-latency."))
    service = LimitlessService(binary, home)
    service.start()
    try:
        fill(service)
        body = home / "body"
        body.write_text(json.dumps(DETECTION), encoding="utf-8")
        load(client, service, body, WARM_SECONDS)  # pays for what is not there yet
        os.sync()
        backups, standstills = Backups(binary, home / "data", home / "backup"), Standstills(home)
        standstills.start()
        if with_backups:
            backups.start()
        try:
            said, made = load(client, service, body, SECONDS), backups.made
        finally:
            still_s = standstills.stop()
            backups.stop()
        if backups.failure:
            raise Failed(f"a backup: {backups.failure}")
        return said, made, still_s
    finally:
        service.process.terminate()
        service.process.wait(60)
        shutil.rmtree(home, ignore_errors=True)


def main():
    binary, client = sys.argv[1:]
    ratios, ratios_of_all, without, made, still_s = [], [], [], 0, {False: 0.0, True: 0.0}
    try:
        for pair in range(TRIES * PAIRS):
            figures, whole, still_in_pair_s = {}, {}, {}
            for with_backups in ((False, True), (True, False))[pair % 2]:
                figures[with_backups], whole[with_backups], still_in_pair_s[with_backups] = one_run(binary, client, with_backups)
                made += whole[with_backups]
                still_s[with_backups] += still_in_pair_s[with_backups]
            ratio = figures[True]["p99_ms"] / figures[False]["p99_ms"]
            ratios_of_all.append(ratio)
            counts = max(still_in_pair_s.values()) <= STILL_MOST_S
            if counts and not whole[True]:
                raise Failed(f"no backup was done within {SECONDS} s: its last steps were not seen")
            if counts:
                without.append(figures[False]["p99_ms"])
                ratios.append(ratio)
            print(f"  pair {pair + 1}: p99 {figures[False]['p99_ms']:.2f} ms without, {figures[True]['p99_ms']:.2f} ms beside backups, ratio {ratio:.2f} "
                  f"({figures[False]['per_second']:.0f} and {figures[True]['per_second']:.0f}/s; p50 {figures[False]['p50_ms']:.2f} and {figures[True]['p50_ms']:.2f} ms); "
                  f"disk still {still_in_pair_s[False]:.2f} and {still_in_pair_s[True]:.2f} s{'' if counts else ': does not count'}", flush=True)
            if len(ratios) == PAIRS:
                break
    except Failed as problem:
        print(f"FAILED: {problem}")
        return 1
    print(f"  median of all {len(ratios_of_all)} pairs, whether they count or not: {statistics.median(ratios_of_all):.2f}; {made} whole backups, at least {HELD} detections in each")
    print(f"  the disk stood still for {still_s[False]:.2f} s in all without and {still_s[True]:.2f} s beside them")
    if len(ratios) < PAIRS:
        print(f"SKIPPED, NOT MEASURED: {len(ratios)} of {TRIES * PAIRS} pairs count, {PAIRS} should; try again when this machine's disk is quiet, or with DETECTION_BACKUP_DISK=memory")
        return NOT_MEASURED
    median = statistics.median(ratios)
    print(f"  median of the {PAIRS} that count: {median:.2f} (at most {RATIO_MOST})")
    if max(without) > UNEVEN_MOST * min(without):
        print(f"SKIPPED, NOT MEASURED: without backups the p99 was {min(without):.2f} to {max(without):.2f} ms on this machine; try again when it is quiet")
        return NOT_MEASURED
    return 0 if median <= RATIO_MOST else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main())
