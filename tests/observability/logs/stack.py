"""A service, its log as the kubelet writes it, a collector and a Loki, each a real process on ports of its own; nothing else is there."""

import datetime
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
OBSERVABILITY = ROOT / "observability"
GATE = "--feature-gates=stanza.synchronousLogEmitter"  # as the DaemonSet starts it
CRI_MOST = 16 * 1024  # containerd splits longer lines


class Failure(Exception):
    """What was found wrong, in words."""


class NotHere(Exception):
    """Why something cannot be looked at here."""


def want(held, words):
    if not held:
        raise Failure(words)


def until(seconds, what, look, pause=0.2):
    """Waits until look() is true and returns what it said."""
    ends = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() > ends:
            raise Failure(f"after {seconds} s still not: {what}")
        time.sleep(pause)
    return seen


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def http(url, body=None, headers=None, timeout=30, method=None):
    """-> (status, text); status 0 and the reason when there was no answer."""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


class Process:
    """One that is started and stopped many times, with its output in a file."""

    def __init__(self, folder, name):
        self.folder, self.name, self.process = folder, name, None

    def spawn(self, *command, **more):
        with open(self.folder / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **more)

    def last_words(self):
        path = self.folder / f"{self.name}.log"
        return path.read_text(errors="replace")[-800:] if path.exists() else ""

    def stop(self, how=signal.SIGTERM, seconds=120):
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            self.process.wait()
            raise Failure(f"{self.name} did not end in {seconds} s: {self.last_words()}") from error
        self.process = None


class PodLog:
    """A container's log as the kubelet keeps it: CRI lines, long ones in parts, and a new file when one is full."""

    def __init__(self, root, pod, container="detection-api", namespace="detection-system", most=None):
        self.folder = root / f"{namespace}_{pod}_{os.urandom(4).hex()}-0000-4000-8000-000000000000" / container
        self.folder.mkdir(parents=True)
        self.path, self.most, self.size = self.folder / "0.log", most, 0
        self.written = []  # (nanoseconds, line): what must be in Loki
        self.rotations = 0
        self.lock = threading.Lock()
        self.file = open(self.path, "ab", buffering=0)

    def write(self, line, stream="stdout", at=None):
        with self.lock:
            last = self.written[-1][0] if self.written else 0
            when = at if at is not None else max(time.time_ns(), last + 1)
            stamp = datetime.datetime.fromtimestamp(when // 10**9, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + f".{when % 10**9:09d}Z"
            encoded = line.encode()
            parts = [encoded[at:at + CRI_MOST] for at in range(0, len(encoded), CRI_MOST)]
            for number, part in enumerate(parts):
                self.size += self.file.write(f"{stamp} {stream} {'F' if number == len(parts) - 1 else 'P'} ".encode() + part + b"\n")
            self.written.append((when, line))
            rotated = self.path.with_name(f"0.log.{datetime.datetime.now(datetime.timezone.utc):%Y%m%d-%H%M%S}")  # the kubelet's name for it
            if self.most and self.size > self.most and not rotated.exists():
                self.rotate(rotated)

    def rotate(self, rotated):
        self.file.close()
        self.path.rename(rotated)
        self.file, self.size, self.rotations = open(self.path, "ab", buffering=0), 0, self.rotations + 1

    def close(self):
        self.file.close()


class Service:
    """detection-api, whose standard output goes into a pod's log, line by line."""

    def __init__(self, binary, folder, pods, slot="blue", sink="", level="info", most=None):
        self.log = PodLog(pods, f"detection-api-{slot}-6c5d9f7b4-x2x7k", most=most)
        self.binary, self.folder, self.api, self.started = binary, folder, "", threading.Event()
        key = folder / "key"
        key.write_text(os.urandom(36).hex())
        self.process = subprocess.Popen(
            [binary, "serve", "--data-dir", folder / "data", "--jwt-key-file", key, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
             "--slot", slot, "--rate-limit", "off", "--log-level", level, *(["--tak-sink", sink] if sink else [])],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        want(self.started.wait(60), f"the service did not start: {self.log.written}")
        self.token = subprocess.run([binary, "token", "--jwt-key-file", key, "--subject", "logs", "--scope",
                                     "detections:write detections:read detections:verify", "--ttl", "12h"], capture_output=True, text=True, check=True).stdout.strip()

    def read(self):
        for line in self.process.stdout:
            self.log.write(line.rstrip("\n"))
            if not self.started.is_set() and '"event":"started"' in line:
                self.api = json.loads(line)["api"]
                self.started.set()

    def ask(self, path, body=None, method=None, **headers):
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}", **headers}
        return http(f"http://{self.api}{path}", json.dumps(body).encode() if body is not None else None, headers, method=method)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)
        self.reader.join(timeout=30)
        self.log.close()


def detection(confidence=0.92, **more):
    return {"pixel_x": 512, "pixel_y": 384, "object_class": "vehicle", "ai_confidence": confidence, "source": "logs", "camera_id": "mast-1",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "sensor_metadata": {"location_lat": 48, "location_lon": 11, "location_elevation": 100, "elevation_reference": "agl", "heading": 45, "pitch": -60,
                                "roll": 0, "focal_length": 1000, "image_width": 1024, "image_height": 768}, **more}


class Loki(Process):
    """The file of observability/loki, with folders and ports of this test; its other settings are the true ones."""

    def __init__(self, binary, folder):
        super().__init__(folder, "loki")
        self.binary, self.port = binary, free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self, *more):
        data = self.folder / "loki"
        text = (OBSERVABILITY / "loki" / "loki.yaml").read_text(encoding="utf-8").replace("/loki", str(data))
        file = self.folder / "loki.yaml"
        file.write_text(text, encoding="utf-8")
        grpc = free_port()  # of each start: the last one's may be another's by now
        self.spawn(self.binary, f"-config.file={file}", "-server.http-listen-address=127.0.0.1", f"-server.http-listen-port={self.port}",
                   f"-server.grpc-listen-port={grpc}", *more)
        until(180, "Loki is ready", lambda: self.process.poll() is not None or http(f"{self.url}/ready", timeout=5)[0] == 200, pause=0.5)
        want(self.process.poll() is None, f"Loki ended: {self.last_words()}")

    def ask(self, path, **parameters):
        status, text = http(f"{self.url}/loki/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=90)
        want(status == 200, f"Loki answered {status} to {path} {parameters}: {text[:300]}")
        return json.loads(text)["data"]

    def lines(self, query, since=3600):
        """-> [(nanoseconds, line, labels)] of a log query, all of them, page by page, oldest first."""
        found, start, end = [], time.time_ns() - since * 10**9, time.time_ns() + 10**9
        while True:
            data = self.ask("query_range", query=query, start=start, end=end, limit=5000, direction="forward")
            page = sorted((int(value[0]), value[1], json.dumps(stream["stream"], sort_keys=True)) for stream in data["result"] for value in stream["values"])
            fresh = page if not found else [row for row in page if row not in seen]
            found += fresh
            if len(page) < 5000:
                return [(when, line, json.loads(labels)) for when, line, labels in found]
            start, seen = page[-1][0], set(page)  # a page may end between two lines of one moment

    def rows(self, text=""):
        """-> [(nanoseconds, line, labels and structured metadata)] of the lines with this text: the query of queries.md"""
        return self.lines('{namespace="detection-system"}' + (f' |= "{text}"' if text else ""), since=86400)

    def streams(self):
        return self.ask("series", **{"match[]": '{namespace=~".+"}', "start": time.time_ns() - 3600 * 10**9, "end": time.time_ns() + 10**9})


def index_labels():
    """-> (names of labels from the resource, from the record), as loki.yaml has them"""
    otlp = yaml.safe_load((OBSERVABILITY / "loki" / "loki.yaml").read_text(encoding="utf-8"))["limits_config"]["otlp_config"]
    return [",".join(name for entry in entries if entry["action"] == "index_label" for name in entry["attributes"])
            for entries in (otlp["resource_attributes"]["attributes_config"], otlp["log_attributes"])]


class StandIn(Process):
    """receiver.py in the place of Loki, where there is none."""

    def __init__(self, folder):
        super().__init__(folder, "stand-in")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self):
        resource, record = index_labels()
        self.spawn("/usr/bin/python3", HERE / "receiver.py", "--port", self.port, "--file", self.folder / "lines.jsonl", "--resource-labels", resource,
                   "--log-labels", record)
        until(60, "the stand-in is ready", lambda: http(f"{self.url}/ready", timeout=5)[0] == 200)

    def ask(self, path, **parameters):
        status, text = http(f"{self.url}/{path}?{urllib.parse.urlencode(parameters)}", timeout=90)
        want(status == 200, f"the stand-in answered {status} to {path}")
        return json.loads(text)

    def rows(self, text=""):
        return [(row["time"], row["line"], row["labels"] | row["metadata"]) for row in self.ask("lines", text=text)]

    def streams(self):
        return self.ask("streams")


def log_store(world, folder):
    """Loki, or what stands in for it."""
    return Loki(world.tool("loki"), folder) if world.tool("loki") else StandIn(folder)


class Collector(Process):
    """The file of observability/collector; laptop.yaml leaves out what asks a cluster."""

    def __init__(self, binary, folder, pods, store):
        super().__init__(folder, "collector")
        self.binary, self.metrics = binary, free_port()
        self.environment = {**os.environ, "KUBE_NODE_NAME": "laptop", "LOKI_URL": store.url, "LOGS_ROOT": str(pods), "STATE_DIRECTORY": str(folder / "state"),
                            "METRICS_HOST": "127.0.0.1", "METRICS_PORT": str(self.metrics)}

    def start(self):
        self.spawn(self.binary, "--config", OBSERVABILITY / "collector" / "collector.yaml", "--config", HERE / "laptop.yaml", GATE, env=self.environment)

    def wait_ready(self):
        until(120, "the collector answers", lambda: self.process.poll() is not None or http(f"http://127.0.0.1:{self.metrics}/metrics", timeout=5)[0] == 200)
        want(self.process.poll() is None, f"the collector ended: {self.last_words()}")
