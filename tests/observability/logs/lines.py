"""Every line: through restarts and kills of the collector, rotated files, and a Loki that is away."""

import collections
import os
import signal
import threading
import time

from stack import Collector, Loki, PodLog, http, until, want
from story import LABELS, Running

SECONDS, AWAY = float(os.environ.get("DETECTION_LOG_SECONDS", "60")), float(os.environ.get("DETECTION_LOKI_AWAY", "40"))


class Load:
    """Requests one after the other; at --log-level debug each is a line of the service."""

    def __init__(self, service):
        self.service, self.ends, self.sent = service, threading.Event(), 0
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(2)]
        for thread in self.threads:
            thread.start()

    def run(self):
        while not self.ends.is_set():
            http(f"http://{self.service.api}/health")
            self.sent += 1

    def stop(self):
        self.ends.set()
        for thread in self.threads:
            thread.join(timeout=60)


def compare(loki, logs, seconds):
    """Waits until every line that was written is there. -> (lines, how many of them more than once)"""
    wanted = collections.Counter(pair for log in logs for pair in log.written)
    seen = {}

    def look():
        rows = loki.rows()
        seen["found"] = collections.Counter((when, line) for when, line, _ in rows)
        seen["labels"] = [labels for _, _, labels in rows]
        return not wanted - seen["found"]
    began = time.monotonic()
    while not look() and time.monotonic() - began < seconds:
        time.sleep(2)
    missing = wanted - seen["found"]
    want(not missing, f"{sum(missing.values())} of {sum(wanted.values())} lines are missing after {seconds:.0f} s, the first: {sorted(missing)[:3]}")
    strange = seen["found"].keys() - wanted.keys()
    want(not strange, f"{len(strange)} lines that nobody wrote: {sorted(strange)[:3]}")
    want(all(LABELS <= set(labels) for labels in seen["labels"]), "a line without one of the labels")
    return sum(wanted.values()), sum((seen["found"] - wanted).values())


def lines(world, folder):
    """Under load: SIGTERM and SIGKILL to the collector in turn, Loki killed and away, the collector killed while it is."""
    stops = kills = 0
    with Running(world, folder, level="debug", most=200_000) as running:
        service, collector, loki = running.service, running.collector, running.loki
        service.log.write('{"level":"info","event":"long","message":"' + "x" * 40_000 + '"}')  # split in three by the runtime
        load = Load(service)
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            time.sleep(SECONDS / 12)
            if stops <= kills:
                collector.stop(signal.SIGTERM)
                stops += 1
            else:
                collector.stop(signal.SIGKILL)
                kills += 1
            time.sleep(1)  # lines go on being written meanwhile
            collector.start()
        collector.wait_ready()
        loki.stop(signal.SIGKILL)  # in the middle of what it was taking
        gone = time.monotonic()
        while time.monotonic() - gone < AWAY:
            time.sleep(AWAY / 4)
            collector.stop(signal.SIGKILL if kills <= stops else signal.SIGTERM)
            kills, stops = (kills + 1, stops) if kills <= stops else (kills, stops + 1)
            collector.start()
        away, before = time.monotonic() - gone, len(service.log.written)
        load.stop()
        loki.start()
        collector.wait_ready()
        count, twice = compare(loki, [service.log], 240)
        want(service.log.rotations >= 3, f"the log was rotated only {service.log.rotations} times: more load is needed")
        want(before > 500, f"only {before} lines were written")
        return (f"{count:,} lines written, {count:,} there, 0 missing, {twice} shown twice; {stops} stops and {kills} kills of the collector, "
                f"{service.log.rotations} rotations of the file, Loki's place killed and empty for {away:.0f} s")


def late(world, folder):
    """Lines that are 20 hours older than the newest of their stream, as a node brings them that was cut off."""
    pods, loki = folder / "pods", Loki(world.tool("loki"), folder)
    collector = Collector(world.tool("otelcol"), folder, pods, loki)
    near, far = PodLog(pods, "detection-api-blue-near"), PodLog(pods, "detection-api-blue-far")
    now = time.time_ns()
    for number in range(50):
        near.write('{"level":"info","event":"near","message":"%d"}' % number)
    loki.start()
    collector.start()
    try:
        compare(loki, [near], 120)
        for number in range(50):
            far.write('{"level":"info","event":"far","message":"%d"}' % number, at=now - 20 * 3600 * 10**9 + number)
        count, _ = compare(loki, [near, far], 120)
        until(10, "no batch was given up", lambda: "Dropping data" not in collector.last_words())
    finally:
        collector.stop()
        loki.stop()
        near.close()
        far.close()
    return f"{count} lines, half of them 20 hours older than the newest of their stream, all there"
