"""Two replicas of the service with the signing key mounted as Kubernetes does it, and clients whose tokens must stay good."""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]


def binary():
    for place in (os.environ.get("DETECTION_API", ""), ROOT / "build/dev/bin/detection-api", ROOT / "build/release/bin/detection-api"):
        if place and os.access(place, os.X_OK):
            return str(place)
    return ""


class Replica:
    def __init__(self, program, folder, secret):
        self.program, self.folder, self.version = program, folder, 0
        folder.mkdir(parents=True)
        self.mount(secret)
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [program, "serve", "--data-dir", folder / "data", "--jwt-key-file", folder / "jwt/secret_key", "--jwt-key-dir", folder / "jwt-keys",
                 "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--rate-limit", "off", "--tak-sink", (folder / "cot.xml").as_uri()],
                stdout=log, stderr=subprocess.STDOUT)
        ends = time.monotonic() + 60
        while not (found := re.search(r'"event":"started".*"api":"([^"]+)"', (folder / "log").read_text(encoding="utf-8", errors="replace"))):
            if self.process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError("the service does not start: " + (folder / "log").read_text(encoding="utf-8", errors="replace")[-900:])
            time.sleep(0.05)
        self.address = found[1]

    def mount(self, secret):
        """Both volumes of the one Secret, each swapped at once, one after the other: as the kubelet does."""
        self.version += 1
        for volume in ("jwt-keys", "jwt"):
            place = self.folder / volume
            fresh = place / f"..{self.version}"
            fresh.mkdir(parents=True)
            for name, value in secret.items():
                (fresh / name).write_text(value, encoding="utf-8")
            link = place / "..data_tmp"
            link.symlink_to(fresh.name)
            link.rename(place / "..data")
            for name in secret:
                if not (place / name).is_symlink():
                    (place / name).symlink_to(f"..data/{name}")
            for old in place.iterdir():
                if old.is_symlink() and not old.name.startswith("..") and old.name not in secret:
                    old.unlink()
            time.sleep(0.3)

    def token(self):
        """As this replica signs now."""
        return subprocess.run([self.program, "token", "--jwt-key-file", self.folder / "jwt/secret_key", "--subject", "load", "--scope",
                               "detections:read"], capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    def takes(self, token):
        request = urllib.request.Request(f"http://{self.address}/api/v1/detections?limit=1", headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status == 200
        except urllib.error.HTTPError as refused:
            if refused.code != 401:
                raise
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)


class Clients:
    """Tokens of either replica, used at both for as long as they live."""

    def __init__(self, replicas, life_s):
        self.replicas, self.life_s = replicas, life_s
        self.good = self.refused = 0
        self.ended = threading.Event()

    def run(self):
        tokens = []
        while not self.ended.is_set():
            now = time.monotonic()
            tokens = [(born, token) for born, token in tokens if now - born < self.life_s][-12:]
            tokens += [(now, replica.token()) for replica in self.replicas]
            for _, token in tokens:
                for replica in self.replicas:
                    if replica.takes(token):
                        self.good += 1
                    else:
                        self.refused += 1
            self.ended.wait(0.25)


def rotate_under_load(program, folder, steps, stagger_s, life_s):
    """steps: the Secret before and after each step -> (requests answered, requests refused with 401)."""
    replicas = [Replica(program, folder / name, steps[0]) for name in ("a", "b")]
    clients = Clients(replicas, life_s)
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            running = pool.submit(clients.run)
            time.sleep(1)
            for secret in steps[1:]:
                for replica in replicas:  # the second node is later
                    replica.mount(secret)
                    time.sleep(stagger_s)
                time.sleep(life_s + 1)  # until the tokens of before have ended
            clients.ended.set()
            running.result(timeout=60)
    finally:
        clients.ended.set()
        for replica in replicas:
            replica.stop()
    return clients.good, clients.refused
