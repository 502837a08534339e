#!/usr/bin/python3
"""Load on the API that counts for itself what failed; runs in a pod of its own, with nothing but Python's library.

usage: load_client.py --url http://HOST:PORT --token-file FILE --run HEX8 [options]

Requests are due at fixed times (open loop). In turn: POST of a detection, GET of the health (whose body names the slot),
POST, GET of a detection that was acknowledged before. A request failed when it could not connect, was not answered in
time, broke off, or was answered with another status than it should; nothing is sent a second time unless --attempts
says so, and a request that needed a second attempt stays counted as failed. A kept connection that the server closed
between two requests is opened again, as every client does; one that breaks after a request was sent on it has failed.
The file of tokens may hold several, one a line, which are used in turn; one that is put in its place is taken up within a second.
Ends after --requests, or when the file --stop-file appears. Prints one JSON object.

With --kept FILE it keeps what it posted, as a source with a disk does: one JSON object a line, with the time of the acknowledgement
(null: there was none). With --again FILE it posts what is in such a file once more, one after another, and nothing else.
"""

import argparse
import concurrent.futures
import json
import os
import select
import socket
import sys
import threading
import time
import traceback
import urllib.parse

KINDS = ("post", "health", "post", "read")
WANTED = {"post": (200, 201, 202), "health": (200,), "read": (200,)}


class Broken(Exception):
    """Why a request has no answer."""


class Connection:
    """One HTTP/1.1 connection; as much of the protocol as the service speaks to a client that asks for JSON."""

    def __init__(self, address, timeout):
        self.socket = socket.create_connection(address, timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.closing = False

    def usable(self):
        readable, _, _ = select.select([self.socket], [], [], 0)
        return not readable and not self.closing  # readable without a question: the end of the connection

    def ask(self, request):
        self.socket.sendall(request)
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self.more(data)
        head = data[:end].decode("latin-1").split("\r\n")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        if "content-length" not in fields:
            raise Broken("an answer without Content-Length")
        body = data[end + 4:]
        while len(body) < int(fields["content-length"]):
            body += self.more(body)
        self.closing = fields.get("connection", "").lower() == "close"
        return int(head[0].split(" ")[1]), body

    def more(self, so_far):
        part = self.socket.recv(65536)
        if not part:
            raise Broken("closed in the middle of an answer" if so_far else "closed before an answer")
        return part

    def close(self):
        self.socket.close()


class Tokens:
    """Those of the file, each for one round of the kinds of request."""

    def __init__(self, path):
        self.path, self.changed, self.looked, self.tokens = path, 0, 0.0, []

    def of(self, number):
        now = time.monotonic()
        if now - self.looked > 0.5:
            self.looked = now
            if (changed := os.stat(self.path).st_mtime_ns) != self.changed:
                with open(self.path, encoding="ascii") as file:
                    self.changed, self.tokens = changed, file.read().split()
        return self.tokens[number // len(KINDS) % len(self.tokens)]


class Load:
    def __init__(self, options):
        self.options = options
        url = urllib.parse.urlsplit(options.url)
        # Looked up once: what is measured is the Service, not the name server.
        self.address = (socket.gethostbyname(url.hostname), url.port or 80)
        self.host = url.netloc
        self.tokens = Tokens(options.token_file)
        self.lock = threading.Lock()
        self.next = 0
        self.began = time.time() + 0.2
        self.statuses, self.failures, self.unacknowledged = {}, [], []
        self.failed = self.answered = self.lost = self.posted = self.spooled = 0
        self.connections, self.problems, self.failed_at = 0, {}, {}
        self.latencies, self.slots = [], {}
        self.kept, self.acknowledged = {}, {}  # number -> body; -> when

    def request(self, kind, number, last):
        token = f"Authorization: Bearer {self.tokens.of(number)}\r\n"
        ends = "" if self.options.keep else "Connection: close\r\n"
        if kind == "health":
            return f"GET /health HTTP/1.1\r\nHost: {self.host}\r\n{ends}\r\n".encode()
        if kind == "read":
            return f"GET /api/v1/detections/{last} HTTP/1.1\r\nHost: {self.host}\r\n{token}{ends}\r\n".encode()
        body = json.dumps({
            "detection_id": self.identifier(number), "pixel_x": 512, "pixel_y": 384, "object_class": "motion", "ai_confidence": 0.92,
            "source": "e2e", "camera_id": "mast-1", "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "sensor_metadata": {
                "location_lat": 48 + number % 1000 / 1e4, "location_lon": 11, "location_elevation": 100, "elevation_reference": "agl",
                "heading": 45, "pitch": -60, "roll": 0, "focal_length": 1000, "image_width": 1024, "image_height": 768}})
        if self.options.kept:
            self.kept[number] = body
        return self.post(number, body)

    def post(self, number, body):
        token = f"Authorization: Bearer {self.tokens.of(number)}\r\n"
        ends = "" if self.options.keep else "Connection: close\r\n"
        return (f"POST /api/v1/detections HTTP/1.1\r\nHost: {self.host}\r\n{token}{ends}Content-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}").encode()

    def identifier(self, number):
        return f"{self.options.run}-0000-4000-8000-{number:012x}"

    def take(self):
        with self.lock:
            if self.next >= self.options.requests or os.path.exists(self.options.stop_file):
                return None
            self.next += 1
            return self.next - 1

    def work(self):
        connection, last = None, None
        while (number := self.take()) is not None:
            due = self.began + number / self.options.rate
            time.sleep(max(0.0, due - time.time()))
            kind = KINDS[number % len(KINDS)]
            if kind == "read" and last is None:
                kind = "health"
            request = self.request(kind, number, last)  # asked again it is the same, with the same time
            for attempt in range(self.options.attempts):
                try:
                    connection, status, body = self.once(connection, request)
                    problem = None if status in WANTED[kind] else f"status {status}: {body[:200].decode('utf-8', 'replace')}"
                except (OSError, Broken) as error:
                    problem, status = f"{type(error).__name__}: {error}", 0
                    connection = None
                self.count(kind, number, attempt, due, status, problem, body if problem is None else b"")
                if problem is None:
                    last = self.identifier(number) if kind == "post" and status != 202 else last
                    break
                if attempt + 1 < self.options.attempts:
                    time.sleep(0.5)
        if connection:
            connection.close()

    def once(self, connection, request):
        if connection and not connection.usable():
            connection.close()
            connection = None
        if connection is None:
            connection = Connection(self.address, self.options.timeout)
            with self.lock:
                self.connections += 1
        try:
            status, body = connection.ask(request)
        except (OSError, Broken):
            connection.close()
            raise
        if not self.options.keep:
            connection.close()
            connection = None
        return connection, status, body

    def count(self, kind, number, attempt, due, status, problem, body):
        now = time.time()
        with self.lock:
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if problem is None:
                self.answered += 1
                self.posted += kind == "post"
                if kind == "post" and self.options.kept:
                    self.acknowledged[number] = now
                self.spooled += status == 202
                self.latencies.append(now - due)
                if kind == "health":
                    slot = json.loads(body).get("slot", "")
                    self.slots.setdefault(slot, [now, now, 0])
                    self.slots[slot][1] = now
                    self.slots[slot][2] += 1
                return
            self.failed += attempt == 0
            second = int(now - self.began)
            self.failed_at[second] = self.failed_at.get(second, 0) + 1
            kept = f"{kind}: {problem[:60]}"
            if kept in self.problems or len(self.problems) < 20:
                self.problems[kept] = self.problems.get(kept, 0) + 1
            if len(self.failures) < 40:
                self.failures.append({"time": round(now, 3), "kind": kind, "attempt": attempt, "problem": problem[:300]})
            if attempt + 1 == self.options.attempts:
                self.lost += 1
                if kind == "post":
                    self.unacknowledged.append(number)

    def result(self):
        took = time.time() - self.began
        ordered = sorted(self.latencies) or [0.0]

        def percentile(share):
            return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)
        return {
            "run": self.options.run, "requests": self.next, "answered": self.answered, "failed": self.failed, "lost": self.lost,
            "acknowledged": self.posted, "spooled": self.spooled, "unacknowledged": self.unacknowledged, "statuses": self.statuses,
            "connections": self.connections, "began": self.began, "seconds": round(took, 2), "per_second": round(self.next / took, 1),
            "p50_ms": percentile(0.5), "p99_ms": percentile(0.99), "max_ms": round(1000 * ordered[-1], 1),
            "slots": {name: {"first": first, "last": last, "answers": answers} for name, (first, last, answers) in self.slots.items()},
            "failures": self.failures, "failed_at": self.failed_at, "problems": self.problems}

    def run(self):
        # A fault of the client itself ends it: a worker that is gone would be load that nobody misses.
        with concurrent.futures.ThreadPoolExecutor(self.options.workers) as pool:
            for worker in concurrent.futures.as_completed([pool.submit(self.work) for _ in range(self.options.workers)]):
                if worker.exception():
                    traceback.print_exception(worker.exception())
                    os._exit(1)
        if self.options.kept:
            with open(self.options.kept, "w", encoding="ascii") as file:
                for number, body in sorted(self.kept.items()):
                    print(json.dumps({"number": number, "acknowledged": self.acknowledged.get(number), "body": body}), file=file)
        return self.result()

    def again(self):
        """-> {status: numbers} of what was posted once more."""
        connection, statuses = None, {}
        with open(self.options.again, encoding="ascii") as file:
            for line in map(json.loads, file):
                connection, status, _ = self.once(connection, self.post(line["number"], line["body"]))
                statuses.setdefault(status, []).append(line["number"])
        return statuses


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--token-file", required=True)
    parser.add_argument("--run", required=True, help="8 hexadecimal digits, the beginning of the ids of the detections")
    parser.add_argument("--rate", type=float, default=100, help="requests a second")
    parser.add_argument("--requests", type=int, default=1000, help="at most")
    parser.add_argument("--keep", action="store_true", help="keep connections; otherwise each request has a new one")
    parser.add_argument("--workers", type=int, default=64, help="requests on their way at once, at most")
    parser.add_argument("--attempts", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=10)
    parser.add_argument("--stop-file", default="/tmp/stop")
    parser.add_argument("--kept", metavar="FILE", help="write what was posted there, at the end")
    parser.add_argument("--again", metavar="FILE", help="post that once more; prints {status: numbers}")
    options = parser.parse_args()
    load = Load(options)
    json.dump(load.again() if options.again else load.run(), sys.stdout)
    print()


if __name__ == "__main__":
    main()
