"""One `detection-api serve`: its ports from the kernel at the first start, the same ones at each later start."""

import base64
import json
import os
import pathlib
import signal
import subprocess
import urllib.request

from .child import Child, Failure, Skip, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[4]


def binary():
    """DETECTION_API, else the release build, else the dev build."""
    places = [os.environ["DETECTION_API"]] if os.environ.get("DETECTION_API") else [ROOT / f"build/{preset}/bin/detection-api" for preset in ("release", "dev")]
    for place in places:
        if os.access(place, os.X_OK):
            return str(place)
    raise Skip("no detection-api (./run --build makes it; DETECTION_API names another)")


def make_key(file):
    file.write_text(base64.b64encode(os.urandom(48)).decode("ascii"), encoding="ascii")


def mint(key_file, subject, scope, life="12h", environment=None):
    command = [binary(), "token", "--jwt-key-file", str(key_file), "--subject", subject, "--scope", scope, "--ttl", life]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise Failure(f"token: {done.stderr}")
    return done.stdout.strip()


class Service:
    def __init__(self, name, folder, key_file, options=(), slot=""):
        self.name, self.slot, self.key_file = name, slot, key_file
        self._folder, self._options = pathlib.Path(folder), [str(option) for option in options]
        self._folder.mkdir(parents=True, exist_ok=True)
        self._child, self.api, self.metrics, self._starts = None, "127.0.0.1:0", "127.0.0.1:0", 0

    @property
    def url(self):
        return f"http://{self.api}"

    @property
    def address(self):
        host, port = self.api.rsplit(":", 1)
        return host, int(port)

    @property
    def store(self):
        """Its SQLite file (or, with a database, none)."""
        return self._folder / "data" / "detections.db"

    @property
    def running(self):
        return self._child is not None and self._child.running

    def start(self, environment=None):
        self._starts += 1
        command = [binary(), "serve", "--data-dir", self._folder / "data", "--jwt-key-file", self.key_file, "--process-name", self.name,
                   "--listen", self.api, "--metrics-listen", self.metrics, *(["--slot", self.slot] if self.slot else []), *self._options]
        self._child = Child(command, self._folder / f"log.{self._starts}", environment=environment)
        started = wait_until(f"{self.name} starts", 180, self._started)
        self.api, self.metrics = started["api"], started["metrics"]
        wait_until(f"{self.name} is ready", 120, lambda: self.ready)
        return self

    def _started(self):
        with open(self._child.log, encoding="utf-8", errors="replace") as log:
            for line in log:
                if '"event":"started"' in line and line.endswith("\n"):
                    return json.loads(line)
        if not self._child.running:
            raise Failure(f"{self.name} does not start: {self._child.output()}")
        return None

    @property
    def ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.metrics}/ready", timeout=10) as answer:
                return answer.status == 200
        except OSError:
            return False

    def exposition(self):
        with urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=10) as answer:
            return answer.read().decode("utf-8")

    def stop(self):
        if self._child is not None:
            self._child.end()

    def kill(self):
        if self._child is not None:
            self._child.end(signal.SIGKILL)
