"""The real service with a little of every kind of traffic, and what it then says on /metrics."""
import contextlib
import json
import pathlib
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

DETECTION = {"pixel_x": 512, "pixel_y": 384, "object_class": "vehicle", "ai_confidence": 0.92, "source": "test", "camera_id": "mast-1",
             "timestamp": "2026-11-23T12:00:00Z",
             "sensor_metadata": {"location_lat": 40.7128, "location_lon": -74.006, "location_elevation": 100,
                                 "elevation_reference": "agl", "heading": 45, "pitch": -45, "roll": 0, "focal_length": 1000,
                                 "image_width": 1024, "image_height": 768}}


class Service:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, pathlib.Path(folder)
        self.api = self.metrics = self.token = ""
        self.process = None

    def start(self):
        key = self.folder / "key"
        key.write_text("a key of the tests that is long enough, 0123456789", encoding="utf-8")
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--data-dir", self.folder / "data", "--jwt-key-file", key, "--listen", "127.0.0.1:0",
                 "--metrics-listen", "127.0.0.1:0", "--tak-sink", (self.folder / "cot.xml").as_uri()], stdout=log, stderr=subprocess.STDOUT)
        until = time.monotonic() + 120
        while not (found := re.search(r'"event":"started".*"api":"([^"]+)","metrics":"([^"]+)"', self.log())):
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the service does not start: " + self.log()[-2000:])
            time.sleep(0.05)
        self.api, self.metrics = found.groups()
        self.token = subprocess.run([self.binary, "token", "--jwt-key-file", key, "--subject", "test", "--scope",
                                     "detections:write detections:read admin audit:read"],
                                    capture_output=True, text=True, check=True).stdout.strip()

    def log(self):
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def ask(self, path, body=None, token=None):
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(f"http://{self.api}{path}", data, headers), timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()

    def scrape(self):
        with urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=60) as answer:
            return answer.read().decode()

    def a_little_traffic(self):
        """Good, RED, bad, wrong, repeated; probes; reads."""
        detections = "/api/v1/detections"
        first = {**DETECTION, "detection_id": "01a20a22-6cf0-71a1-8bed-619772241b89"}
        expected = [(201, self.ask(detections, first)), (200, self.ask(detections, first)), (422, self.ask(detections, {})),
                    (201, self.ask(detections, {**DETECTION, "ai_confidence": 0.1})), (401, self.ask(detections, token="x.y.z")),
                    (200, self.ask(detections)), (200, self.ask(f"{detections}/{first['detection_id']}")),
                    (200, self.ask(detections + "/batch", [DETECTION])), (200, self.ask("/api/v1/audit/verify")),
                    (200, self.ask("/health")), (200, self.ask("/ready"))]
        wrong = [(wanted, answer) for wanted, answer in expected if answer[0] != wanted]
        if wrong:
            raise RuntimeError(f"unexpected answers: {wrong}")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=120)


@contextlib.contextmanager
def running(binary):
    with tempfile.TemporaryDirectory(prefix="observability-") as folder:
        service = Service(binary, folder)
        try:
            service.start()
            yield service
        finally:
            service.stop()


def parse(text):
    """The text format: family -> type, and series name -> label -> values seen."""
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    series = {}
    for name, labels in re.findall(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        seen = series.setdefault(name, {})
        for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels):
            seen.setdefault(label, set()).add(value)
    return types, series
