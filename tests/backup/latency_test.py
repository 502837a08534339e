#!/usr/bin/env python3
"""What backups do to acceptance: p99 of single durable posts at 2,000/s, in rounds of three runs one after another: without, without, beside backups.

usage: latency_test.py DETECTION_API LOAD_CLIENT
Settings: DETECTION_BACKUP_ROUNDS (5), DETECTION_BACKUP_HELD (detections that are there before, 10,000), DETECTION_BACKUP_SECONDS (of a run, 40).
A run beside backups sees at least one from its begin to its end. The pair of a round is its run beside backups over its first run without; its control
is its second run without over the first, and says what a ratio is worth on this machine. Every round counts. Fails when the median of the pairs is over 1.2.
Exit 77 where half of the controls are off by more than that, either way: such a machine cannot show a fifth.
The same of the typical second (the p99 of each second, the median of them) is told too: a disk that stands still now and then does not move it.
"""
import itertools
import json
import math
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

ROUNDS = int(os.environ.get("DETECTION_BACKUP_ROUNDS", 5))
HELD = int(os.environ.get("DETECTION_BACKUP_HELD", 10_000))
SECONDS = int(os.environ.get("DETECTION_BACKUP_SECONDS", 40))
RATE, WARM_SECONDS, RATIO_MOST, BATCH = 2_000, 3, 1.2, 1_000
NOT_MEASURED = 77
RUNS = ("without", "again", "beside")
ORDERS = list(itertools.permutations(RUNS))  # what is first, or last, is so by turns


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

    -> (what the load client says, whole backups)"""
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
        try:
            said, made = load(client, service, body, SECONDS), backups.made
        finally:
            backups.stop()
        if backups.failure:
            raise Failed(f"a backup: {backups.failure}")
        if with_backups and not made:
            raise Failed(f"no backup was done within {SECONDS} s: its last steps were not seen")
        return said, made
    finally:
        service.process.terminate()
        service.process.wait(60)
        shutil.rmtree(home, ignore_errors=True)


def median_of(name, said, over):
    return statistics.median(one[over][name] / one["without"][name] for one in said)


def main():
    binary, client = sys.argv[1:]
    said, backups = [], 0
    try:
        for number in range(ROUNDS):
            said.append({})
            for run in ORDERS[number % len(ORDERS)]:
                said[-1][run], made = one_run(binary, client, run == "beside")
                backups += made
            figures = {name: " ".join(f"{said[-1][run][name]:.2f}" for run in RUNS) for name in ("p99_ms", "typical_second_p99_ms", "p50_ms", "per_second")}
            print(f"  round {number + 1}: p99 {figures['p99_ms']} ms (without, again, beside backups); of the typical second {figures['typical_second_p99_ms']} ms; "
                  f"p50 {figures['p50_ms']} ms; {figures['per_second']}/s", flush=True)
    except Failed as problem:
        print(f"FAILED: {problem}")
        return 1
    ratio, off = median_of("p99_ms", said, "beside"), statistics.median(abs(math.log(one["again"]["p99_ms"] / one["without"]["p99_ms"])) for one in said)
    print(f"  p99, median of all {ROUNDS} rounds: {ratio:.2f} times (at most {RATIO_MOST}), the controls {median_of('p99_ms', said, 'again'):.2f} and half of them off by more than {math.exp(off):.2f}; "
          f"of the typical second {median_of('typical_second_p99_ms', said, 'beside'):.2f} times, the controls {median_of('typical_second_p99_ms', said, 'again'):.2f}; {backups} whole backups, at least {HELD} detections in each")
    if off > math.log(RATIO_MOST):
        print("SKIPPED, NOT MEASURED: runs without backups differ by more than that; try again when this machine's disk is quiet, or with DETECTION_BACKUP_DISK=memory")
        return NOT_MEASURED
    return 0 if ratio <= RATIO_MOST else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    if ROUNDS < 1:
        sys.exit("DETECTION_BACKUP_ROUNDS is a number from 1")
    sys.exit(main())
