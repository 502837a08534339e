"""A source of detections that keeps what it sent, as a detector with a disk does, and knows what was acknowledged and when."""

import collections
import json
import threading
import time
import uuid

from harness.child import Failure
from harness.load import Broken, Connection, detection

SOURCE = "drill"
ACKNOWLEDGED = (200, 201, 202)
AT_ONCE = 1_000


class Feeder:
    """`rate` detections a second, each due at its time whatever became of those before; at most `most`. Ends with stop()."""

    def __init__(self, service, token, rate, threads=4, most=60_000):
        self._service, self._token, self._interval, self._most = service, token, 1 / rate, most
        self.kept = {}  # id -> detection, also what nobody answered
        self.acknowledged = {}  # id -> (when, status)
        self.refused = collections.Counter()  # status, or 0 where there was no answer -> requests
        self.problems = {}  # status -> the first problem of it
        self._next, self._lock, self._stopping = 0, threading.Lock(), threading.Event()
        self._began = time.monotonic()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
        return self

    def count(self, status):
        with self._lock:
            return sum(1 for _, each in self.acknowledged.values() if each == status)

    def first(self, status):
        """-> when the first one was answered so"""
        with self._lock:
            return min(when for when, each in self.acknowledged.values() if each == status)

    def wait_for(self, status, seconds, what):
        """Until one more has this status. -> seconds that took"""
        began, before = time.monotonic(), self._total(status)
        while self._total(status) == before:
            if time.monotonic() - began > seconds:
                raise Failure(f"{what}: not within {seconds} s; refused: {dict(self.refused)}, {self.problems}")
            time.sleep(0.02)
        return time.monotonic() - began

    def post_again(self, ids):
        """What the source kept, once more, in batches. -> status -> detections"""
        connection, statuses, waiting = Connection(self._service.address, timeout=120), collections.Counter(), list(ids)
        while waiting:
            part, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
            status, body = connection.ask("POST", "/api/v1/detections/batch", self._token, [self.kept[each] for each in part])
            if status != 200:
                raise Failure(f"a batch posted again was answered with {status}: {body[:300]!r}")
            statuses.update(result["status"] for result in json.loads(body)["results"])
        connection.close()
        return statuses

    def _total(self, status):
        return self.count(status) if status in ACKNOWLEDGED else self.refused[status]

    def _take(self):
        with self._lock:
            self._next += 1
            return self._next - 1

    def _run(self):
        connection = Connection(self._service.address, timeout=20)
        while not self._stopping.is_set() and (number := self._take()) < self._most:
            self._stopping.wait(max(0.0, self._began + number * self._interval - time.monotonic()))
            body = detection("green", number) | {"detection_id": str(uuid.uuid4()), "source": SOURCE}
            try:
                status, answer = connection.ask("POST", "/api/v1/detections", self._token, body)
            except Broken as problem:
                status, answer = 0, str(problem).encode()
            with self._lock:
                self.kept[body["detection_id"]] = body
                if status in ACKNOWLEDGED:
                    self.acknowledged[body["detection_id"]] = (time.time(), status)
                else:
                    self.refused[status] += 1
                    self.problems.setdefault(status, answer[:300].decode("utf-8", "replace"))
        connection.close()
