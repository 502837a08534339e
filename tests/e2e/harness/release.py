"""The chart, installed and changed as its operator would: each change is a set of values over those of the last one."""

import copy
import json
import os
import re
import tempfile
import time

from harness.cluster import ROOT, Failure, PodWatch, leaving, ready, until
from harness.load import Load
from harness.peers import DATABASE, NAMESPACE as PEERS, TAKY, docker_secret, namespace, secret

CHART = ROOT / "kubernetes" / "chart"
SPACE = "detection-system"
EDGE_SPACE = "detection-edge"
SELECTOR = "app.kubernetes.io/name=detection-api"


def merged(base, over):
    out = copy.deepcopy(base)
    for key, value in over.items():
        out[key] = merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else copy.deepcopy(value)
    return out


def cluster_values(prefix, tag):
    """Production's values, with this cluster's addresses."""
    return {
        "image": {"repository": f"{prefix}/detection-api", "tag": tag, "pullPolicy": "IfNotPresent"},
        "database": {"host": DATABASE, "peers": [{"namespace": PEERS, "podLabels": {"role": "postgres"}}]},
        "tak": {"network": [{"peer": {"namespace": PEERS, "podLabels": {"role": "taky"}}, "port": 8087, "protocol": "TCP"}]},
        "networkPolicy": {"api": [{"namespace": PEERS, "podLabels": {"role": "load"}}], "metrics": [{"namespace": PEERS, "podLabels": {"role": "scraper"}}]},
        "serviceMonitor": {"enabled": False}}


class Release:
    def __init__(self, cluster, peers, prefix, tag, space=SPACE, profile=None):
        self.cluster, self.peers, self.space, self.profile = cluster, peers, space, profile
        self.base = cluster_values(prefix, tag)
        self.values = self.base
        self.token = ""
        self.installed = False

    # ---- the release
    def prepare(self):
        """The namespace and the secrets, which are there before the chart."""
        self.jwt_key = os.urandom(36).hex()
        self.cluster.apply(namespace(self.space))
        self.cluster.apply(
            secret(self.space, "jwt-signing-key", secret_key=self.jwt_key), docker_secret(self.space, "registry-credentials"),
            secret(self.space, "tak-server-credentials", endpoint=f"tcp://{TAKY}:8087"),
            secret(self.space, "database-credentials", username="detection", password=self.peers.password, **{"ca.crt": self.peers.ca}))

    def upgrade(self, over=None, *, wait=True, timeout=240, check=True, anew=False):
        """One commit: values over those of the last one (anew: over the first ones). -> seconds it took."""
        self.values = merged(self.base if anew else self.values, over or {})
        began = time.monotonic()
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(self.values, file)
            file.flush()
            profile = ["-f", CHART / self.profile] if self.profile else []
            self.cluster.helm("upgrade", "--install", "detection-api", CHART, "-n", self.space, *profile, "-f", file.name, "--timeout", f"{timeout}s",
                              *(["--wait"] if wait else []), timeout=timeout + 60, check=check)
        self.installed = True
        return time.monotonic() - began

    @property
    def active(self):
        return self.values.get("slots", {}).get("active", "blue")

    @property
    def idle(self):
        return "green" if self.active == "blue" else "blue"

    def baseline(self):
        """Three pods of the active slot, none of the other, the first values; whatever the test before left. -> (active, idle)"""
        if not self.installed:
            self.prepare()
        active, idle = self.active, self.idle
        wanted = {"slots": {"active": active, active: {"state": "running"}, idle: {"state": "idle"}}}
        if not self.installed or merged(self.base, wanted) != self.values:
            self.upgrade(wanted, anew=True, wait=not self.installed)
        self.settled(3, 0, 180)
        if not self.token:
            self.token = self.make_token()
        return active, idle

    def settled(self, live, idle, seconds):
        """Exactly so many pods of the active and of the other slot, all ready, none leaving, all of the newest template."""
        def look():
            pods = self.pods()
            counts = {slot: [ready(p) and not leaving(p) for p in pods if p["metadata"]["labels"].get("slot") == slot] for slot in ("blue", "green")}
            return counts[self.active] == [True] * live and counts[self.idle] == [True] * idle and self.rolled_out(self.active) and self.rolled_out(self.idle)
        try:
            until(seconds, f"{live} ready pods of {self.active} and {idle} of {self.idle}", look)
        except Failure as error:
            raise Failure(f"{error}; there are: {self.words()}") from error

    def rolled_out(self, slot):
        deployment = self.cluster.get("-n", self.space, "deployment", f"detection-api-{slot}")
        status = deployment["status"]
        return status.get("observedGeneration") == deployment["metadata"]["generation"] and status.get("updatedReplicas", 0) == status.get("replicas", 0)

    def words(self):
        return ", ".join(f"{p['metadata']['name']} {'leaving' if leaving(p) else 'ready' if ready(p) else 'not ready'}" for p in self.pods()) or "none"

    def pods(self, slot=None):
        found = self.cluster.items("-n", self.space, "pods", "-l", SELECTOR + ",slot")
        return [p for p in found if slot in (None, p["metadata"]["labels"]["slot"])]

    def live_pods(self, slot):
        return [p for p in self.pods(slot) if ready(p) and not leaving(p)]

    # ---- talking to it
    @property
    def url(self):
        return f"http://detection-api.{self.space}.svc.cluster.local:8000"

    def make_token(self, deployment=None):
        made = self.cluster.kubectl("-n", self.space, "exec", deployment or f"deployment/detection-api-{self.active}", "--", "/detection-api", "token", "--jwt-key-file",
                                    "/etc/detection/jwt/secret_key", "--subject", "e2e", "--scope", "detections:write detections:read audit:read", "--ttl", "12h")
        return made.strip()

    def smoke(self, slot):
        """The gate before a switch, in a pod of the slot that is to get the traffic. -> its last line"""
        said = self.cluster.kubectl("-n", self.space, "exec", f"deployment/detection-api-{slot}", "--", "/detection-api", "smoke", "--url", "http://127.0.0.1:8000",
                                    "--metrics-url", "http://127.0.0.1:9100", "--jwt-key-file", "/etc/detection/jwt/secret_key", "--expect-slot", slot)
        return said.strip().splitlines()[-1]

    def metrics(self, pod):
        """-> {series as written: value} of one pod, as a scrape reads them."""
        status, text, _ = self.peers.http("scraper", f"http://{pod['status']['podIP']}:9100/metrics")
        if status != 200:
            raise Failure(f"no metrics from {pod['metadata']['name']}: {status} {text[:200]}")
        return {m[1]: float(m[2]) for m in re.finditer(r"(?m)^([a-z_]+(?:\{.*\})?) (\S+)$", text)}

    def fence(self):
        """The slot that may deliver, as the database has it."""
        return self.peers.sql("SELECT active_slot FROM release")

    def load(self, requests, rate, **more):
        return Load(self, requests, rate, **more)

    def watch_pods(self):
        return PodWatch(self.cluster, self.space)

    def restarts(self):
        return sum(status["restartCount"] for p in self.pods() for status in p["status"].get("containerStatuses", []))
