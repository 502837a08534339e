#!/usr/bin/python3
"""Alertmanager's configuration: amtool accepts it, every alert of the rules reaches the receiver it should, and a real
Alertmanager, started once, inhibits what it should and nothing else. usage: alertmanager_test.py"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import yaml

import sources

CONFIGURATION = sources.OBSERVABILITY / "alertmanager/alertmanager.yaml"
# What fires together -> who is silenced by it.
SITUATIONS = [
    ("the budget burns", ["ErrorBudgetBurn", "HighErrorRate", "DetectionProcessingErrors", "PodNotReady", "HighAuthFailureRate"],
     {"HighErrorRate", "DetectionProcessingErrors"}),
    ("one TAK server of two is away", ["TAKServerUnreachable{sink=a}", "OfflineQueueGrowing{sink=a}", "OfflineQueueStale{sink=b}",
                                       "OfflineQueueCritical{sink=a}", "DeadLetters{sink=a}"], {"OfflineQueueGrowing{sink=a}"}),
    ("all is down", ["ServiceDown", "TooFewInstances", "PodNotReady{pod=one}", "VolumeFilling", "Watchdog"],
     {"TooFewInstances", "PodNotReady{pod=one}"}),
    ("slow", ["HighP99Latency", "HighP95Latency", "SlowDetectionProcessing", "AuthBruteForceDetected", "SpoolNotEmpty"],
     {"HighP95Latency", "SlowDetectionProcessing"}),
    ("warnings only", ["TooFewInstances", "HighP95Latency", "OfflineQueueGrowing{sink=a}", "LowCacheHitRate"], set()),
]
TIMES = {"page": ("10s", "1h"), "watchdog": ("0s", "1m")}


def expected_receiver(name, labels):
    if name == "Watchdog":
        return "watchdog"
    return "page" if labels["severity"] == "critical" else f"mail-{labels['team']}"


def amtool(*arguments):
    run = subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False)
    return run.returncode, run.stdout.strip() or run.stderr.strip()  # on stderr: notes


def route_faults(alerts):
    for name, (_, _, rule) in alerts.items():
        labels = [f"{key}={value}" for key, value in {"alertname": name, **rule["labels"]}.items()]
        status, receiver = amtool("config", "routes", "test", f"--config.file={CONFIGURATION}", *labels)
        if status != 0 or receiver != expected_receiver(name, rule["labels"]):
            yield f"{name} goes to '{receiver}', not to {expected_receiver(name, rule['labels'])}"


def configuration_faults(configuration):
    route = configuration["route"]
    if (route["group_by"], route["group_wait"], route["group_interval"], route["repeat_interval"]) != \
            (["alertname", "severity", "team"], "30s", "5m", "4h"):
        yield "grouping or times of the root route are not those of the requirements"
    for child in route["routes"]:
        if child["receiver"] in TIMES and (child["group_wait"], child["repeat_interval"]) != TIMES[child["receiver"]]:
            yield f"times of the route {child['receiver']} are not {TIMES[child['receiver']]}"
    secrets = re.findall(r"^\s*(?:\w*(?:password|secret|token|key|credentials)): *\S+$", CONFIGURATION.read_text(encoding="utf-8"), re.MULTILINE)
    if secrets:
        yield f"a secret stands in the configuration itself: {secrets}"


class Alertmanager:
    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="alertmanager-")
        self.log = pathlib.Path(self.folder.name, "log")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["prometheus-alertmanager", f"--config.file={CONFIGURATION}", f"--storage.path={self.folder.name}/data",
                 "--web.listen-address=127.0.0.1:0", "--cluster.listen-address="], stdout=log, stderr=subprocess.STDOUT)
        until = time.monotonic() + 120
        while not (found := re.search(r"address=(127\.0\.0\.1:\d+)", self.text())):
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("alertmanager does not start: " + self.text()[-1000:])
            time.sleep(0.05)
        self.address = f"http://{found.group(1)}/api/v2/alerts"
        return self

    def __exit__(self, *unused):
        self.process.terminate()
        self.process.wait(timeout=60)
        self.folder.cleanup()

    def text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def send(self, alerts):
        body = json.dumps(alerts).encode()
        until = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(urllib.request.Request(self.address, body, {"Content-Type": "application/json"}), timeout=30):
                    return
            except (urllib.error.URLError, ConnectionError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def states(self):
        """labels (as a sorted tuple) -> is it inhibited?"""
        with urllib.request.urlopen(self.address, timeout=30) as answer:
            return {tuple(sorted(alert["labels"].items())): bool(alert["status"]["inhibitedBy"]) for alert in json.load(answer)}


def labels_of(text, alerts):
    """The labels of "Name{label=value}": the rule's, and its own."""
    name, extra = re.fullmatch(r"(\w+)(?:\{(.*)\})?", text).groups()
    labels = {"alertname": name, **alerts[name][2]["labels"]}
    labels.update(pair.split("=") for pair in (extra.split(",") if extra else []))
    return labels


def inhibition_faults(alerts):
    for title, firing, silenced in SITUATIONS:
        with Alertmanager() as alertmanager:  # one each: situations would inhibit each other
            wanted = {tuple(sorted(labels_of(text, alerts).items())): text for text in firing}
            alertmanager.send([{"labels": dict(labels)} for labels in wanted])
            until = time.monotonic() + 10
            while True:  # an inhibition is seen once its source has been taken in
                states = alertmanager.states()
                found = {wanted[labels] for labels, inhibited in states.items() if inhibited}
                if (len(states) == len(wanted) and found == silenced) or time.monotonic() > until:
                    break
                time.sleep(0.1)
        if found != silenced:
            yield f"{title}: inhibited are {sorted(found)}, not {sorted(silenced)}"


def main():
    status, text = amtool("check-config", str(CONFIGURATION))
    if status != 0:
        sys.exit(text)
    alerts = sources.alerts()
    found = list(configuration_faults(yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))))
    found += route_faults(alerts)
    found += inhibition_faults(alerts)
    print("\n".join(found), end="\n" if found else "")
    print(f"{len(alerts)} routes, {len(SITUATIONS)} situations; {len(found)} faults")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
