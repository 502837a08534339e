#!/usr/bin/python3
"""The alerts are those of the requirements, each is whole, and each is tested: silent, fires, resolves; and each file of tests
would notice an alert that never fires. usage: alerts_test.py"""
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

import sources

# requirements, section 4: name -> (for, severity), by group.
DEMANDED = {
    "SLO": {"HighErrorRate": ("2m", "critical"), "HighP95Latency": ("5m", "warning"), "HighP99Latency": ("5m", "critical"),
            "ErrorBudgetBurn": ("2m", "critical")},
    "Availability": {"ServiceDown": ("1m", "critical"), "TooFewInstances": ("5m", "warning"), "NoRequestsReceived": ("10m", "warning")},
    "Authentication": {"HighAuthFailureRate": ("5m", "warning"), "AuthBruteForceDetected": ("2m", "critical")},
    "Detection": {"DetectionProcessingErrors": ("5m", "warning"), "SlowDetectionProcessing": ("5m", "warning"),
                  "LowGeolocationConfidence": ("15m", "warning")},
    "TAK Server": {"TAKPushFailures": ("5m", "warning"), "TAKPushLatency": ("5m", "warning"), "TAKServerUnreachable": ("5m", "critical")},
    "Offline Queue": {"OfflineQueueGrowing": ("10m", "warning"), "OfflineQueueCritical": ("5m", "critical"),
                      "OfflineQueueStale": ("5m", "warning")},
    "Cache": {"LowCacheHitRate": ("15m", "info")},
}
LABELS = {"severity": {"critical", "warning", "info", "none"}, "team": {"detection", "platform", "security", "tak"},
          "slo": {"accept", "deliver", "latency"}}
SECTIONS = ["## Meaning", "## Impact", "## First three commands", "## Mitigation"]
TESTS = sources.OBSERVABILITY / "prometheus/tests"
QUIET = "max by (alertname) (max_over_time(ALERTS{"


def demanded_faults(alerts):
    found = {}
    for name, (path, group, rule) in alerts.items():
        if path.name == "detection-alerts.yaml":
            found.setdefault(group, {})[name] = (rule.get("for"), rule["labels"]["severity"])
    if found != DEMANDED:
        yield f"detection-alerts.yaml has {found}, and not what the requirements list"


def shape_faults(name, rule):
    for label in rule["labels"].keys() | {"severity", "team"}:
        if rule["labels"].get(label) not in LABELS.get(label, ()):
            yield f"{name}: label {label} is {rule['labels'].get(label)}"
    for annotation in ("summary", "description", "runbook_url", "dashboard_url"):
        if not rule["annotations"].get(annotation):
            yield f"{name}: no {annotation}"
    if not rule["annotations"].get("runbook_url", "").endswith(f"/{name}.md"):
        yield f"{name}: runbook_url is that of another"


def runbook_faults(name):
    path = sources.RUNBOOKS / f"{name}.md"
    if not path.exists():
        yield f"{name}: there is no runbook"
        return
    text = path.read_text(encoding="utf-8")
    if re.findall(r"^## .*$", text, re.MULTILINE) != SECTIONS:
        yield f"{path.name}: its sections are not {SECTIONS}"
    if len(re.findall(r"^ *```(?:sh|promql|logql)$", text, re.MULTILINE)) != 3:
        yield f"{path.name}: not three commands"


def query_faults():
    """The queries of the runbooks are well formed: promtool reads them as if they were rules."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        rules = [{"record": f"runbook:{number}:{re.sub(r'[^A-Za-z]', '', where)}", "expr": text} for number, (where, text)
                 in enumerate(sources.runbook_queries())]
        yaml.safe_dump({"groups": [{"name": "runbooks", "rules": rules}]}, file)
        file.flush()
        run = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True, check=False)
    if run.returncode != 0 or f"{len(rules)} rules found" not in run.stdout:
        yield run.stdout + run.stderr


def order_faults():
    """A test in which an alert is evaluated before the series that it reads would show chance."""
    files = ["recording-rules.yaml", "detection-alerts.yaml", "platform-alerts.yaml"]
    order = ["environment"] + list(dict.fromkeys(group for file in files for path, group, _ in sources.rule_groups() if path.name == file))
    for path in sorted(TESTS.glob("*_test.yaml")):
        if yaml.safe_load(path.read_text(encoding="utf-8")).get("group_eval_order") != order:
            yield f"{path.name}: group_eval_order is not {order}"


def tests():
    for path in sorted(TESTS.glob("*_test.yaml")):
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            yield path.name, test


def tested():
    """Alert -> what its own tests show, in order: True where it fires, False where not; and the names of the quiet tests."""
    shown, quiet = {}, set()
    for _, test in tests():
        for step in test.get("alert_rule_test", []):
            shown.setdefault(step["alertname"], []).append(bool(step["exp_alerts"]))
        if any(step["expr"].startswith(QUIET) for step in test.get("promql_expr_test", [])):
            quiet.add(test["name"].split(":")[0])
    return shown, quiet


def test_faults(alerts):
    shown, quiet = tested()
    for name in alerts:
        steps = shown.get(name, [])
        if True not in steps:
            yield f"{name}: no test in which it fires"
        elif name != "Watchdog" and False not in steps[:steps.index(True)]:
            yield f"{name}: no test in which it is silent before"
        elif name != "Watchdog" and False not in steps[steps.index(True):]:
            yield f"{name}: no test in which it resolves"
    for name in shown.keys() - alerts.keys():
        yield f"a test of {name}, which is no alert"
    for name in {"healthy", "no traffic", "absent", "a release"} - quiet:
        yield f"there is no test '{name}' over all alerts"


def planted_faults():
    """promtool must refuse the tests when an alert's limit is put out of reach."""
    with tempfile.TemporaryDirectory() as folder:
        rules = pathlib.Path(folder, "rules")
        rules.mkdir()
        for path in sources.RULES.glob("*.yaml"):
            text = path.read_text(encoding="utf-8")
            (rules / path.name).write_text(text.replace("> 0.001\n", "> 1.001\n", 1), encoding="utf-8")
        pathlib.Path(folder, "tests").mkdir()
        source = yaml.safe_load((TESTS / "slo_test.yaml").read_text(encoding="utf-8"))
        source["tests"] = source["tests"][:1]
        pathlib.Path(folder, "tests/one.yaml").write_text(yaml.safe_dump(source), encoding="utf-8")
        run = subprocess.run(["promtool", "test", "rules", "one.yaml"], cwd=pathlib.Path(folder, "tests"), capture_output=True, text=True, check=False)
        if run.returncode == 0:
            yield "promtool did not notice that HighErrorRate can no longer fire"


def main():
    alerts = sources.alerts()
    found = list(demanded_faults(alerts))
    for name, (_, _, rule) in alerts.items():
        found += shape_faults(name, rule)
        found += runbook_faults(name)
    for path in sources.RUNBOOKS.glob("*.md"):
        if path.stem not in alerts and path.name != "README.md":
            found.append(f"runbooks/{path.name}: there is no such alert")
    found += query_faults()
    found += order_faults()
    found += test_faults(alerts)
    found += planted_faults()
    print("\n".join(found), end="\n" if found else "")
    print(f"{len(alerts)} alerts, {sum(1 for _ in tests())} tests; {len(found)} faults")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
