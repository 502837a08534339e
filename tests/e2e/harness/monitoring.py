"""The monitoring stack of observability/, as it is rendered, with this cluster's images. Without Grafana, whose place in the network a client
pod has; and where the local cluster has no Loki the receiver of tests/observability/logs is in its place, behind the same Service and policies."""

import json
import time
import urllib.parse

import yaml
from harness import images
from harness.cluster import HOME, ROOT, Failure, NotHere, until
from harness.peers import OURS, pod

SPACE = "monitoring"
IMAGES = {"prometheus": "prometheus", "alertmanager": "alertmanager", "loki": "loki", "collector": "otelcol", "node-exporter": "node-exporter"}
ASK = """
import sys, urllib.request, urllib.error
try:
    with urllib.request.urlopen(sys.argv[1], timeout=30) as answer:
        print(answer.read().decode())
except urllib.error.HTTPError as error:
    sys.exit(f"{error.code} {error.read().decode()[:300]}")
"""


def no_backup_expected(environment):
    """The numbers of an environment whose release has no backup jobs, as that of these tests."""
    rules = yaml.safe_load(environment)
    (backup,) = [rule for group in rules["groups"] for rule in group["rules"] if rule["record"] == "detection:backup_expected"]
    backup["expr"] = "vector(0)"
    return yaml.safe_dump(rules)


class Monitoring:
    def __init__(self, cluster, prefix, only=None):
        """only: of the servers just these, and nothing in Grafana's place."""
        self.cluster, self.prefix, self.only = cluster, prefix, only
        self.loki = not cluster.ours or (HOME / "bin" / "loki").exists()

    def stand_in(self, loki):
        """The StatefulSet of Loki with a receiver in it, and the ConfigMap that this needs."""
        settings = yaml.safe_load((ROOT / "observability" / "loki" / "loki.yaml").read_text(encoding="utf-8"))["limits_config"]["otlp_config"]
        labels = [",".join(name for entry in entries if entry["action"] == "index_label" for name in entry["attributes"])
                  for entries in (settings["resource_attributes"]["attributes_config"], settings["log_attributes"])]
        spec = loki["spec"]["template"]["spec"]
        container = spec["containers"][0]
        container.update(image=f"{self.prefix}/load:test", args=[], command=[
            "/usr/bin/python3", "/e2e/receiver.py", "--address", "0.0.0.0", "--port", "3100", "--file", "/loki/lines.jsonl",
            "--resource-labels", labels[0], "--log-labels", labels[1]])
        container["volumeMounts"].append({"name": "receiver", "mountPath": "/e2e", "readOnly": True})
        spec["volumes"].append({"name": "receiver", "configMap": {"name": "receiver"}})
        code = (ROOT / "tests" / "observability" / "logs" / "receiver.py").read_text(encoding="utf-8")
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "receiver", "namespace": SPACE}, "data": {"receiver.py": code}}

    def objects(self):
        """What `kubectl apply -k observability` would make, Grafana's own objects left out."""
        for item in yaml.safe_load_all(self.cluster.kubectl("kustomize", ROOT / "observability")):
            kind, name = item["kind"], item["metadata"]["name"]
            if name.startswith("dashboard-") or name.startswith("grafana") and kind != "NetworkPolicy":
                continue
            if self.only and kind in ("StatefulSet", "DaemonSet") and name not in self.only:
                continue
            if kind == "Namespace":
                item["metadata"]["labels"][OURS] = "yes"
            if "environment.yaml" in item.get("data", {}):
                item["data"]["environment.yaml"] = no_backup_expected(item["data"]["environment.yaml"])
            if kind in ("StatefulSet", "DaemonSet"):
                container = item["spec"]["template"]["spec"]["containers"][0]
                container["image"] = f"{self.prefix}/{IMAGES[name]}:test"
            if kind == "StatefulSet" and name == "loki" and not self.loki:
                yield self.stand_in(item)
            yield item

    def start(self):
        if self.cluster.ours:
            try:
                for archive in images.made(*self.only) if self.only else images.monitoring(self.loki):
                    self.cluster.load(archive)
            except Failure as problem:
                raise NotHere(f"an image of the monitoring stack cannot be made: {problem}") from problem
        there = {n["metadata"]["name"]: n["metadata"].get("labels", {}) for n in self.cluster.items("namespaces")}
        if SPACE in there and there[SPACE].get(OURS) != "yes":
            raise NotHere(f"the namespace {SPACE} is there and was not made by these tests")
        objects = list(self.objects())
        self.cluster.kubectl("apply", "--server-side", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        if not self.only:
            self.cluster.apply(pod(SPACE, "grafana", "load:test", [], labels={"app.kubernetes.io/name": "grafana"}, prefix=self.prefix))
        for item in objects:
            if item["kind"] in ("StatefulSet", "DaemonSet"):
                self.cluster.kubectl("-n", SPACE, "rollout", "status", f"{item['kind']}/{item['metadata']['name']}", "--timeout=240s", timeout=260)
        if not self.only:
            self.cluster.kubectl("-n", SPACE, "wait", "--for=condition=Ready", "pod/grafana", "--timeout=60s")

    def stop(self):
        self.cluster.kubectl("delete", "namespace", SPACE, "--ignore-not-found", "--timeout=150s", check=False)
        outside = [item for item in self.objects() if "Role" in item["kind"] and item["metadata"].get("namespace") != SPACE]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": outside})
        self.cluster.kubectl("delete", "--ignore-not-found", "-f", "-", text=text, check=False)

    def ask(self, service, path, **parameters):
        """What the service answers to where Grafana would be."""
        port = {"prometheus": 9090, "loki": 3100, "alertmanager": 9093}[service]
        url = f"http://{service}.{SPACE}.svc.cluster.local:{port}{path}?{urllib.parse.urlencode(parameters)}"
        return json.loads(self.cluster.execute(SPACE, "grafana", "/usr/bin/python3", "-c", ASK, url))

    def query(self, expression):
        """-> {labels as JSON: value}"""
        rows = self.ask("prometheus", "/api/v1/query", query=expression)["data"]["result"]
        return {json.dumps(row["metric"], sort_keys=True): float(row["value"][1]) for row in rows}

    def up(self):
        """-> {job: (targets that answer, all)}"""
        counts = {}
        for target in self.ask("prometheus", "/api/v1/targets", state="active")["data"]["activeTargets"]:
            good, count = counts.get(target["labels"]["job"], (0, 0))
            counts[target["labels"]["job"]] = (good + (target["health"] == "up"), count + 1)
        return counts

    def wait_up(self, wanted, seconds=180):
        """wanted: {job: number}"""
        def look():
            return self.up() == {job: (number, number) for job, number in wanted.items()}
        try:
            until(seconds, "every target answers", look, pause=3)
        except Failure as error:
            faults = [f"{t['labels']['job']} {t['scrapeUrl']}: {t['lastError']}" for t in self.ask("prometheus", "/api/v1/targets", state="active")["data"]["activeTargets"]
                      if t["health"] != "up"]
            raise Failure(f"{error}: wanted {wanted}, there are {self.up()}; {faults[:5]}") from error

    def rules(self):
        """-> [(kind, name, health, last error)]"""
        groups = self.ask("prometheus", "/api/v1/rules")["data"]["groups"]
        return [(rule["type"], rule["name"], rule["health"], rule.get("lastError", "")) for group in groups for rule in group["rules"]]

    def alerts(self):
        """-> {name: state} of what is pending or firing, the dead-man's one left out."""
        return {a["labels"]["alertname"]: a["state"] for a in self.ask("prometheus", "/api/v1/alerts")["data"]["alerts"] if a["labels"]["alertname"] != "Watchdog"}

    def lines(self, text, space):
        """-> [(line, labels and structured metadata)] of the last hour with this text: the query of loki/queries.md."""
        if not self.loki:
            return [(row["line"], row["labels"] | row["metadata"]) for row in self.ask("loki", "/lines", text=text) if row["labels"]["namespace"] == space]
        now = time.time_ns()
        answer = self.ask("loki", "/loki/api/v1/query_range", query='{namespace="%s", app="detection-api"} |= "%s"' % (space, text), start=now - 3600 * 10**9,
                          end=now + 10**9, limit=1000)
        return [(value[1], stream["stream"]) for stream in answer["data"]["result"] for value in stream["values"]]

    def streams(self):
        if not self.loki:
            return self.ask("loki", "/streams")
        now = time.time_ns()
        return self.ask("loki", "/loki/api/v1/series", **{"match[]": '{namespace=~".+"}', "start": now - 3600 * 10**9, "end": now + 10**9})["data"]
