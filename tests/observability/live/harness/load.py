"""Requests of every kind on the services of a stand: what is accepted (each flag), refused, read, decided and unauthorised."""

import collections
import datetime
import json
import random
import socket
import threading
import time

from .child import Failure

# The share of each kind in a mixed load; a stand's load may name its own.
MIXED = {"green": 30, "yellow": 6, "red": 4, "batch": 2, "rejected": 4, "malformed": 2, "repeat": 2, "read": 20, "list": 4, "cot": 2, "timeline": 2,
         "verify": 2, "audit": 1, "delivery": 1, "absent": 1, "bad_token": 1, "no_token": 1, "scope": 1}
HEALTHY = {"green": 20, "yellow": 2, "read": 20, "list": 2}
SOURCES = ("uav-7", "uav-9", "mast-2", "tower-4")
CONFIDENCE = {"green": 0.92, "yellow": 0.5, "red": 0.2}
SCOPES = "detections:write detections:read detections:verify audit:read admin"
BATCH_ITEMS = 20


def detection(flag="green", number=0, age_s=0):
    """A detection that gets this flag; of "rejected": one whose camera looks at the sky."""
    when = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=age_s)
    return {
        "pixel_x": number % 1900, "pixel_y": number // 7 % 1000, "object_class": ("vehicle", "person", "boat")[number % 3],
        "ai_confidence": CONFIDENCE.get(flag, 0.92), "source": SOURCES[number % len(SOURCES)], "camera_id": f"eo-{number % 5}",
        "timestamp": when.isoformat(timespec="milliseconds"),
        "sensor_metadata": {
            "location_lat": 48.1 + number % 1000 * 1e-5, "location_lon": 11.5, "location_elevation": 120, "heading": number % 360,
            "pitch": 60 if flag == "rejected" else -60, "roll": 0, "focal_length": 2000, "image_width": 1920, "image_height": 1080}}


class Broken(Exception):
    """A request without an answer."""


class Connection:
    """One kept HTTP connection; as much of the protocol as the service speaks to a client that asks for JSON."""

    def __init__(self, address, timeout=30, client="127.0.0.1"):
        self._address, self._timeout, self._client, self._socket = address, timeout, client, None

    def ask(self, method, path, token=None, body=None, headers=()):
        """-> status, body. A connection that the server had closed between two requests is opened again."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode("ascii")
        lines = [f"{method} {path} HTTP/1.1", "Host: stand", f"Content-Length: {len(data)}", "Content-Type: application/json", *headers]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        request = "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + data
        for attempt in (1, 2):
            fresh = self._socket is None
            try:
                return self._exchange(request)
            except OSError as problem:
                self.close()
                if fresh or attempt == 2 or isinstance(problem, TimeoutError):
                    raise Broken(str(problem)) from problem
        raise Broken("not reached")

    def _exchange(self, request):
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=self._timeout, source_address=(self._client, 0))
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        head = data[:end].decode("latin-1").split("\r\n")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        parts, length = [data[end + 4:]], int(fields.get("content-length", "0"))
        while sum(map(len, parts)) < length:
            parts.append(self._more())
        if fields.get("connection", "").lower() == "close":
            self.close()
        return int(head[0].split(" ")[1]), b"".join(parts)

    def _more(self):
        part = self._socket.recv(1 << 16)
        if not part:
            raise ConnectionError("closed before the answer's end")
        return part

    def close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Load:
    """`rate` requests a second of a mix, from some threads, over the services in turn; ends with stop(), or the block of a `with`."""

    def __init__(self, services, tokens, mix=None, rate=40, threads=4, seed=8, timeout=30):
        self._services, self._tokens = services, tokens
        mix = mix or MIXED
        self._kinds, self._weights = list(mix), list(mix.values())
        self._rate, self._timeout = rate / threads, timeout
        self.statuses, self.broken = collections.Counter(), 0  # (kind, status) -> requests
        self._stopping, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(random.Random(f"{seed} {each}"), each), daemon=True) for each in range(threads)]
        for thread in self._threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stopping.set()
        for thread in self._threads:
            thread.join(self._timeout + 10)

    def _run(self, random_, thread):
        worker = Worker(self._services, self._tokens, random_, thread, self._timeout)
        due = time.monotonic()
        while not self._stopping.is_set():
            kind = random_.choices(self._kinds, self._weights)[0]
            try:
                status, _ = worker.send(kind)
            except Broken:
                with self._lock:
                    self.broken += 1
            else:
                with self._lock:
                    self.statuses[kind, status] += 1
            # What was late is not made up for: a slow service gets fewer requests, not a heap of them later.
            due = max(due + 1 / self._rate, time.monotonic() - 1)
            self._stopping.wait(max(0.0, due - time.monotonic()))
        worker.close()


class Worker:
    """One client: sends one request of a kind when asked to."""

    def __init__(self, services, tokens, random_, number, timeout):
        self._services, self._tokens, self._random = services, tokens, random_
        self._client, self._timeout, self._connections = f"127.0.0.{number + 1}", timeout, {}
        self._accepted, self._held, self._last = collections.deque(maxlen=50), collections.deque(maxlen=50), None

    def send(self, kind):
        service = self._random.choice(self._services)
        if service.address not in self._connections:
            self._connections[service.address] = Connection(service.address, self._timeout, self._client)
        return getattr(self, f"_{kind}")(self._connections[service.address])

    def close(self):
        for connection in self._connections.values():
            connection.close()

    def _token(self):
        return self._random.choice(self._tokens["full"])

    def _number(self):
        return self._random.randrange(1 << 30)

    def _post(self, connection, flag):
        self._last = detection(flag, self._number())
        status, body = connection.ask("POST", "/api/v1/detections", self._token(), self._last)
        if status in (201, 202):
            self._last["detection_id"] = json.loads(body)["detection_id"]
            (self._held if flag == "red" else self._accepted).append(self._last["detection_id"])
        else:
            self._last = None
        return status, body

    def _green(self, connection):
        return self._post(connection, "green")

    def _yellow(self, connection):
        return self._post(connection, "yellow")

    def _red(self, connection):
        return self._post(connection, "red")

    def _rejected(self, connection):
        return self._post(connection, "rejected")

    def _malformed(self, connection):
        return connection.ask("POST", "/api/v1/detections", self._token(), b'{"pixel_x":')

    def _repeat(self, connection):
        if self._last is None:
            return self._green(connection)
        number, wrong = dict(self._last), self._random.random() < 0.3
        if wrong:
            number["object_class"] = "other"
        return connection.ask("POST", "/api/v1/detections", self._token(), number)

    def _batch(self, connection):
        items = [detection(self._random.choice(("green", "green", "yellow", "red", "rejected")), self._number()) for _ in range(BATCH_ITEMS)]
        return connection.ask("POST", "/api/v1/detections/batch", self._token(), items)

    def _of_one(self, connection, tail=""):
        if not self._accepted:
            return self._green(connection)
        return connection.ask("GET", f"/api/v1/detections/{self._random.choice(self._accepted)}{tail}", self._token())

    def _read(self, connection):
        return self._of_one(connection)

    def _cot(self, connection):
        return self._of_one(connection, "/cot")

    def _timeline(self, connection):
        return self._of_one(connection, "/audit")

    def _absent(self, connection):
        return connection.ask("GET", "/api/v1/detections/0198a3c1-7f00-7abc-8def-0123456789ab", self._token())

    def _list(self, connection):
        return connection.ask("GET", self._random.choice(("/api/v1/detections?limit=20", "/api/v1/detections?limit=20&flag=GREEN")), self._token())

    def _audit(self, connection):
        return connection.ask("GET", "/api/v1/audit?limit=20", self._token())

    def _delivery(self, connection):
        return connection.ask("GET", "/api/v1/delivery", self._token())

    def _verify(self, connection):
        if not self._held:
            return self._red(connection)
        decision = {"verified": self._random.random() < 0.5, "notes": "seen on a second camera"}
        return connection.ask("PUT", f"/api/v1/detections/{self._held.popleft()}/verify", self._token(), decision)

    def _bad_token(self, connection):
        return connection.ask("GET", "/api/v1/detections?limit=1", "e30.e30.c2lnbmF0dXJl")

    def _no_token(self, connection):
        return connection.ask("GET", "/api/v1/detections?limit=1")

    def _scope(self, connection):
        return connection.ask("GET", "/api/v1/detections?limit=1", self._tokens["write_only"])


def post_batches(service, token, count, at_once=5_000, age_s=0):
    """Accepted detections in bulk. -> their ids"""
    connection, ids = Connection(service.address, timeout=120), []
    while len(ids) < count:
        items = [detection("green", number, age_s) for number in range(len(ids), min(count, len(ids) + at_once))]
        status, body = connection.ask("POST", "/api/v1/detections/batch", token, items)
        if status == 429:  # a batch counts as one request for each 100 items
            time.sleep(1)
            continue
        results = json.loads(body).get("results", []) if status == 200 else []
        if len(results) != len(items) or any(result["status"] not in (201, 202) for result in results):
            raise Failure(f"a batch of {len(items)} was answered with {status}: {body[:400]!r}")
        ids += [result["detection_id"] for result in results]
    connection.close()
    return ids
