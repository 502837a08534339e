"""What stands in for a cluster: the answers of Kubernetes, of Argo CD's Application and of Prometheus, over loopback, beside a real
Git repository. What Argo CD "applies" it reads from the rendered manifests of the commit, as Argo CD does.

Every call can be the last one of the slotctl that made it: `kill_at` names it."""

import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.parse

import yaml

ENVIRONMENT = "prod"
MANIFESTS = f"kubernetes/manifests/{ENVIRONMENT}"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def rfc3339(moment):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def differs(wanted, live):
    """As Argo CD compares: a field that Git leaves out is no difference."""
    if isinstance(wanted, dict):
        return not isinstance(live, dict) or any(key not in live or differs(value, live[key]) for key, value in wanted.items())
    if isinstance(wanted, list):
        return not isinstance(live, list) or len(wanted) != len(live) or any(differs(one, other) for one, other in zip(wanted, live))
    return wanted != live


class World:
    def __init__(self, repository):
        self.repository = pathlib.Path(repository)  # bare
        self.lock, self.steps = threading.RLock(), {}
        self.ready = {"blue": 0, "green": 0}
        self.wanted = {"blue": 0, "green": 0}
        self.tag = {"blue": "", "green": ""}
        self.least = {"blue": None, "green": None}
        self.deployments = {}  # by slot, as it was applied last
        self.spool = {"blue": 0, "green": 0}
        self.serving = self.fence = "blue"
        self.service_changed = time.time() - 3600
        self.bad_smoke, self.bad_figures, self.bad_image = set(), set(), set()
        self.requests = 1000.0
        self.argocd_away = self.quota_full = False
        self.sync_takes = 0.25
        self.phase, self.phase_revision, self.phase_ends, self.finished = "Succeeded", "", 0.0, 0.0
        self.refresh, self.revision, self.synced, self.version = False, "", "", 1
        self.wrong = []
        # The kill: labels "STEP EVENT"; of each, the process that calls it the first time dies, before or after the effect.
        self.kill_at, self.seen, self.process = {}, [], None
        self.apply(self.head(), first=True)
        self.revision = self.synced = self.phase_revision = self.head()
        self.ready = dict(self.wanted)
        self.over = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.threads = [threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True), threading.Thread(target=self.tick, daemon=True)]
        for thread in self.threads:
            thread.start()

    def close(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()

    # ---- Git
    def git(self, *arguments):
        return subprocess.run(["git", "-C", str(self.repository), *arguments], capture_output=True, text=True, check=True).stdout

    def head(self):
        loose = self.repository / "refs/heads/main"
        return loose.read_text(encoding="ascii").strip() if loose.exists() else self.git("rev-parse", "main").strip()

    def step(self):
        """The last step that was committed."""
        head = self.head()
        if head not in self.steps:
            found = re.findall(r"(?m)^Release-Step: (\S+)$", self.git("log", "-1", "--format=%B", head))
            self.steps[head] = found[-1] if found else "begin"
        return self.steps[head]

    def objects(self, revision):
        for name in ("deployment", "hpa", "service", "fence-job"):
            text = self.git("show", f"{revision}:{MANIFESTS}/{name}.yaml")
            yield from (item for item in yaml.load_all(text, Loader=LOADER) if item)  # noqa: S506 - a safe loader

    # ---- Argo CD and the controllers
    def apply(self, revision, first=False):
        deployments, autoscalers, service, fence = {}, {}, None, None
        for item in self.objects(revision):
            kind, name = item["kind"], item["metadata"]["name"]
            if kind == "Deployment":
                deployments[item["metadata"]["labels"]["slot"]] = item
            elif kind == "HorizontalPodAutoscaler":
                autoscalers[item["metadata"]["labels"]["slot"]] = item
            elif kind == "Service" and name == "detection-api":
                service = item["spec"]["selector"]["slot"]
            elif kind == "Job":
                fence = item["spec"]["template"]["spec"]["containers"][0]["args"][2]
        for slot, item in deployments.items():
            if not differs(item, self.deployments.get(slot)):
                item = self.deployments[slot]  # ApplyOutOfSyncOnly
            self.deployments[slot] = item
            tag = item["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2]
            wanted = item["spec"].get("replicas")
            self.least[slot] = autoscalers[slot]["spec"]["minReplicas"] if slot in autoscalers else None
            wanted = self.least[slot] if wanted is None else wanted
            if wanted == 0 and not first and slot == self.serving == service:
                self.wrong.append(f"{slot} serves and goes to 0")
            if wanted == 0 and self.spool[slot]:
                self.wrong.append(f"{slot} goes to 0 with its spool")
            if tag != self.tag[slot]:
                self.ready[slot] = 0
            self.tag[slot], self.wanted[slot] = tag, wanted
            self.ready[slot] = min(self.ready[slot], wanted)
        if service != self.serving:
            self.service_changed = time.time()
            if self.ready[service] < self.ready[self.serving]:
                self.wrong.append(f"traffic went to {service} with {self.ready[service]} pods")
            if self.tag[service] in self.bad_smoke:
                self.wrong.append(f"traffic went to {service}, which fails its smoke test")
        self.serving, self.fence = service, fence

    def tick(self):
        while not self.over.wait(0.05):
            with self.lock:
                now = time.time()
                for slot in self.ready:
                    if self.ready[slot] < self.wanted[slot] and self.tag[slot] not in self.bad_image and not self.quota_full:
                        self.ready[slot] += 1
                if self.argocd_away:
                    continue
                if self.phase == "Terminating":
                    self.finish("Failed")
                if self.phase == "Running" and now >= self.phase_ends:
                    self.apply(self.phase_revision)
                    self.synced = self.phase_revision
                    self.finish("Succeeded")
                if self.refresh:
                    self.refresh, self.revision = False, self.head()
                    self.version += 1
                if self.phase != "Running" and self.synced != self.revision:
                    self.begin(self.revision)

    def begin(self, revision):
        self.phase, self.phase_revision, self.phase_ends = "Running", revision, time.time() + self.sync_takes
        self.version += 1

    def finish(self, how):
        self.phase, self.finished = how, time.time()
        self.version += 1

    # ---- answers
    def application(self):
        metadata = {"name": f"detection-api-{ENVIRONMENT}", "resourceVersion": str(self.version), "annotations": {}}
        if self.refresh:
            metadata["annotations"]["argocd.argoproj.io/refresh"] = "normal"
        return {"metadata": metadata, "spec": {"syncPolicy": {"automated": {"enabled": True, "prune": True, "selfHeal": True}}},
                "status": {"sync": {"status": "Synced" if self.synced == self.revision else "OutOfSync", "revision": self.revision},
                           "health": {"status": "Healthy"},
                           "operationState": {"phase": self.phase, "finishedAt": rfc3339(self.finished), "operation": {"sync": {"revision": self.phase_revision}}}}}

    def names(self, slot):
        return [f"detection-api-{slot}-{self.tag[slot]}-{number}" for number in range(self.ready[slot])]

    def pods(self):
        items = []
        for slot in ("blue", "green"):
            items += [{"metadata": {"name": name, "labels": {"slot": slot}}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}} for name in self.names(slot)]
            if self.tag[slot] in self.bad_image and self.wanted[slot]:
                items.append({"metadata": {"name": f"{slot}-bad", "labels": {"slot": slot}}, "status": {"conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": [
                    {"state": {"waiting": {"reason": "ErrImageNeverPull", "message": "the image is not there"}}}]}})
        return {"items": items}

    def deployment(self, slot):
        status = {"observedGeneration": 1, "replicas": self.ready[slot], "updatedReplicas": self.ready[slot]}
        if self.quota_full and self.ready[slot] < self.wanted[slot]:
            status["conditions"] = [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: detection-api, requested: pods=1, used: pods=34, limited: pods=34"}]
        return {"metadata": {"generation": 1}, "spec": {"replicas": self.wanted[slot], "template": {"spec": {"containers": [{"image": f"x:{self.tag[slot]}"}]}}}, "status": status}

    def get(self, path):
        """-> an object, or None: there is no such thing"""
        slot = "green" if path.endswith("-green") else "blue"
        if "/applications/" in path:
            return self.application()
        if "/deployments/" in path:
            return self.deployment(slot)
        if "/horizontalpodautoscalers/" in path:
            return {"spec": {"minReplicas": self.least[slot], "maxReplicas": 10}} if self.least[slot] else None
        if path.endswith("/services/detection-api"):
            return {"metadata": {"managedFields": [{"time": rfc3339(self.service_changed)}]}, "spec": {"selector": {"slot": self.serving}}}
        return self.pods() if "/pods?" in path else None

    def patch(self, body):
        version = body.get("metadata", {}).get("resourceVersion")
        if version is not None and version != str(self.version):
            return 409
        if "annotations" in body.get("metadata", {}):
            self.refresh = True
        if body.get("status", {}).get("operationState", {}).get("phase") == "Terminating" and self.phase == "Running":
            self.phase = "Terminating"
        if "operation" in body:
            self.begin(body["operation"]["sync"]["revision"])
        return 200

    def execute(self, pod, command):
        """-> (exit code, standard output) of `kubectl exec`"""
        slot = next((slot for slot in ("blue", "green") if pod in self.names(slot) or pod == f"deployment/detection-api-{slot}"), None)
        if slot is None:
            return 1, ""
        if command[:2] == ["slot", "set"]:
            self.fence = command[2]
            return 0, command[2] + "\n"
        if command[0] == "smoke":
            good = self.tag[slot] not in self.bad_smoke
            return (0 if good else 1), json.dumps({"passed": good, "checks": [{"name": "ready", "passed": good, "text": "200" if good else "503"}]})
        return 0, json.dumps({"status": "ready", "store": {"writable": True}, "spool": {"items": self.spool[slot]},
                              "release": {"slot": slot, "active_slot": self.fence, "delivers": self.fence == slot}})

    def query(self, expression):
        slot = re.search(r'slot="(\w+)"', expression)[1]
        bad = self.tag[slot] in self.bad_figures
        if "5.." in expression:
            return self.requests / 10 if bad else 0
        if "http_request_duration" in expression:
            return 0.02
        if "tak_push" in expression:
            return 0.1
        if "offline_queue_size" in expression:
            return 0
        return self.requests * (0.9 if 'flag="GREEN"' in expression else 1)

    # ---- the kill
    def call(self, event, effect):
        """Runs the effect of one call; None when the caller was killed at it."""
        with self.lock:
            label = f"{self.step()} {event}"
            if label not in self.seen:
                self.seen.append(label)
            when = self.kill_at.pop(label, None)
            if when == "before":
                self.kill()
                return None
            result = effect()
            if when == "after":
                self.kill()
                return None
            return result

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def handler(self):
        world = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body=None):
                data = json.dumps(body if body is not None else {}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def body(self):
                return self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()

            def do_GET(self):
                found = world.call("reads", lambda: world.get(self.path) or 404)
                if found is None:
                    self.close_connection = True
                elif found == 404:
                    self.answer(404)
                else:
                    self.answer(200, found)

            def do_PATCH(self):
                body = json.loads(self.body())
                event = "refreshes" if "annotations" in body.get("metadata", {}) else "starts a sync" if "operation" in body else "ends a sync"
                status = world.call(event, lambda: world.patch(body))
                if status is None:
                    self.close_connection = True
                else:
                    self.answer(status)

            def do_POST(self):
                form = urllib.parse.parse_qs(self.body())
                if self.path == "/api/v1/query":
                    value = world.call("asks Prometheus", lambda: world.query(form["query"][0]))
                    if value is not None:
                        return self.answer(200, {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [0, str(value)]}]}})
                elif self.path == "/exec":
                    command = json.loads(form["command"][0])
                    done = world.call(f"runs {command[0]}", lambda: world.execute(form["pod"][0], command))
                    if done is not None:
                        return self.answer(200, {"code": done[0], "out": done[1]})
                elif self.path == "/hook":
                    world.call("pushes" if form["when"][0] == "pre-receive" else "has pushed", lambda: True)
                    return self.answer(200)
                self.close_connection = True

        return Handler
