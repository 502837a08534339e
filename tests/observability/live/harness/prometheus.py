"""A real Prometheus over the services of a stand, with the project's rule files: waiting times shortened, expressions untouched."""

import json
import pathlib
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import yaml

from .child import Child, Failure, Skip, free_port, wait_until

# What a rule waits for is configuration; what it looks at is not.
WAITING = ("for", "keep_firing_for")


def rules_of(document):
    return [rule for group in document["groups"] for rule in group["rules"]]


def shorten(text, hold, interval):
    """The rule file with every `for` not longer than `hold` seconds (0 stays 0) and every group looked at each `interval` seconds."""
    original, document = yaml.safe_load(text), yaml.safe_load(text)
    for group in document["groups"]:
        group["interval"] = f"{interval}s"
    for rule in rules_of(document):
        for name in WAITING:
            if name in rule and rule[name] not in ("0s", "0m", 0):
                rule[name] = f"{hold}s"
    made = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1 << 20)
    expressions = [[rule["expr"] for rule in rules_of(each)] for each in (original, yaml.safe_load(made))]
    if expressions[0] != expressions[1]:
        raise Failure("shortening the waiting times changed an expression")
    return made


class Prometheus:
    """targets: Service objects. Each series gets namespace, pod and slot, as in the cluster."""

    def __init__(self, folder, services, rule_files, *, scrape=2, hold=4):
        self._program = shutil.which("prometheus")
        if self._program is None:
            raise Skip("no prometheus (Debian: prometheus)")
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.scrape, names = scrape, []
        for file in rule_files:
            file = pathlib.Path(file)
            (self.folder / file.name).write_text(shorten(file.read_text(encoding="utf-8"), hold, scrape), encoding="utf-8")
            names.append(file.name)
        targets = [{"targets": [service.metrics], "labels": {"namespace": "detection-system", "pod": service.name, "slot": service.slot or "none"}}
                   for service in services]
        config = {
            "global": {"scrape_interval": f"{scrape}s", "scrape_timeout": f"{scrape}s", "evaluation_interval": f"{scrape}s"},
            "rule_files": names,
            "scrape_configs": [{"job_name": "detection-api", "static_configs": targets}]}
        self._config = self.folder / "prometheus.yml"
        self._config.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        self._check()
        self._start()

    def _check(self):
        done = subprocess.run(["promtool", "check", "config", str(self._config)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"promtool check config: {done.stdout}{done.stderr}")

    def _start(self):
        self.address = f"127.0.0.1:{free_port()}"
        command = [self._program, f"--config.file={self._config}", f"--storage.tsdb.path={self.folder / 'data'}", f"--web.listen-address={self.address}"]
        self._child = Child(command, self.folder / "log")
        wait_until("Prometheus starts", 180, self._ready)

    def _ready(self):
        if not self._child.running:
            raise Failure(f"Prometheus does not start: {self._child.output()}")
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=10) as answer:
                return answer.status == 200
        except OSError:
            return False

    def ask(self, path, **parameters):
        """-> the `data` of an answer of its API."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as problem:
            raise Failure(f"{path} {parameters}: {problem.read().decode('utf-8', 'replace')}") from problem

    def query(self, expression):
        """-> [(labels, value)] of an instant query."""
        data = self.ask("query", query=expression)
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(each["metric"], float(each["value"][1])) for each in data["result"]]

    def query_range(self, expression, start, end, step):
        """-> [(labels, [(time, value)])]; times are seconds since 1970."""
        data = self.ask("query_range", query=expression, start=start, end=end, step=step)
        return [(each["metric"], [(moment, float(value)) for moment, value in each["values"]]) for each in data["result"]]

    def alerts(self):
        """-> [{labels, annotations, state: pending|firing, activeAt, value}]"""
        return self.ask("alerts")["alerts"]

    def firing(self):
        """-> the names of the alerts that fire now."""
        return {alert["labels"]["alertname"] for alert in self.alerts() if alert["state"] == "firing"}

    def rule_errors(self):
        """-> {rule: error} of rules whose evaluation failed at the last time."""
        return {rule["name"]: rule["lastError"] for group in self.ask("rules")["groups"] for rule in group["rules"] if rule.get("lastError")}

    def close(self):
        self._child.end()
