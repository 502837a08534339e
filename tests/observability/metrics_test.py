#!/usr/bin/python3
"""Every metric, label and value that a rule, a panel or a runbook names is exported: by the running service, by another
exporter (foreign_metrics.yaml, with its source), or by a recording rule. And every metric of ours is used by one of them.
usage: metrics_test.py BINARY"""
import re
import sys

import yaml

import promql
import service
import sources

HERE = sources.ROOT / "tests/observability"
# What the scrape puts on every series, and the kubelet's and Kubernetes' service discovery.
SCRAPE = {"job", "instance", "namespace", "pod", "slot", "container", "node", "metrics_path"}
# Labels whose values the configuration, the traffic or the place decide.
OPEN = SCRAPE | {"sink", "key", "version", "commit", "status_code", "cpu", "mode", "device", "mountpoint", "fstype", "interface",
                 "alertname", "alertstate", "persistentvolumeclaim", "state", "route", "method", "event_type", "severity"}


class Known:
    def __init__(self, text):
        self.types, series = service.parse(text)
        self.labels, self.values = {}, {}
        for family, kind in self.types.items():
            names = [family] if kind != "histogram" else [f"{family}_{part}" for part in ("bucket", "sum", "count")]
            for name in names:
                self.labels[name] = set(series.get(name, {}))
                self.values[name] = series.get(name, {})
        self.ours = dict(self.labels)
        # Families without a sample where there is no certificate, or no PostgreSQL.
        self.labels["tak_certificate_expiry_timestamp_seconds"].add("sink")
        self.labels["store_connections"].add("state")
        for group in yaml.safe_load((HERE / "foreign_metrics.yaml").read_text(encoding="utf-8")).values():
            for name, labels in group["metrics"].items():
                self.labels[name] = set(labels)
        for _, _, rule in sources.rule_groups():
            if "record" in rule:
                _, grouped = promql.analyse(rule["expr"])
                self.labels.setdefault(rule["record"], set()).update(grouped)


def value_fault(name, label, operator, value, seen):
    """Values of closed sets must be among those that the service exports (all from its start on)."""
    if label in OPEN or not seen or "$" in value or operator in ("!=", "!~"):
        return None
    wanted = value.split("|") if operator == "=~" else [value]
    missing = [one for one in wanted if not any(re.fullmatch(one, there) for there in seen)]
    return f"{name}: {label} is never {missing}, but one of {sorted(seen)}" if missing else None


def named(name, matchers):
    """The metrics of a selector, also of {__name__=~"one|other"}."""
    return [name] if name else [one for label, _, value in matchers if label == "__name__" for one in value.split("|")]


def faults(expression, known):
    try:
        selectors, grouped = promql.analyse(expression)
    except (ValueError, IndexError) as error:
        return [f"cannot be read: {error}"]
    found, allowed = [], set(SCRAPE) | {"le"}
    for name, matchers in selectors:
        for one in named(name, matchers):
            found += selector_faults(one, matchers, known)
            allowed |= known.labels.get(one, set())
    return found + [f"no metric here has the label {label}" for label in grouped - allowed]


def selector_faults(name, matchers, known):
    if name not in known.labels:
        # A pattern (container_.*) must fit something.
        return [] if any(re.fullmatch(name, there) for there in known.labels) else [f"nobody exports {name}"]
    found = []
    for label, operator, value in matchers:
        if label not in known.labels[name] | SCRAPE | {"__name__"}:
            found.append(f"{name} has no label {label}, but {sorted(known.labels[name])}")
        elif fault := value_fault(name, label, operator, value, known.values.get(name, {}).get(label)):
            found.append(fault)
    return found


def queries():
    for path, _, rule in sources.rule_groups():
        yield f"{path.name}: {rule.get('alert') or rule['record']}", rule["expr"]
    for path, board in sources.dashboards():
        for where, expression in sources.panel_queries(board):
            yield f"{path.name}: {where}", expression
    for where, expression in sources.runbook_queries():
        yield f"runbooks/{where}", expression


def unused(known, expressions):
    """Families of ours that nothing names; judged only with the dashboards there."""
    used = {one for expression in expressions for name, matchers in promql.analyse(expression)[0] for one in named(name, matchers)}
    listed = set(yaml.safe_load((HERE / "unused_metrics.yaml").read_text(encoding="utf-8")))
    for family in known.types:
        if family not in listed and not {family, f"{family}_bucket", f"{family}_sum", f"{family}_count"} & used:
            yield f"{family} is exported and in no rule, panel or runbook: use it, or list it in unused_metrics.yaml"
    for family in listed - known.types.keys():
        yield f"unused_metrics.yaml: nobody exports {family}"


def page_faults(known):
    """docs/observability.md lists what is exported, each with its labels."""
    page = (sources.ROOT / "docs/observability.md").read_text(encoding="utf-8").partition("## The metrics")[2]
    listed = {name: set(labels.split(", ")) - {""} for name, labels in re.findall(r"^\| `(\w+)` \| ([\w, ]*) \|", page, re.MULTILINE)}
    for name in sorted(known.types.keys() ^ listed.keys()):
        yield f"docs/observability.md: {name} is {'not listed' if name in known.types else 'listed, and nobody exports it'}"
    for name in known.types.keys() & listed.keys():
        exported = known.labels.get(name, known.labels.get(name + "_bucket", set())) - {"le"}
        if exported != listed[name]:
            yield f"docs/observability.md: {name} has the labels {sorted(exported)}"


def self_test(known):
    """The check itself finds what it is there to find."""
    planted = {"rate(http_request_total[5m])": "nobody exports", 'http_requests_total{code="200"}': "has no label",
               'auth_attempts_total{result="failure"}': "is never", "sum by (sink) (spool_size)": "no metric here",
               'http_request_duration_seconds_bucket{le="0.3"}': "is never"}
    for expression, expected in planted.items():
        if not any(expected in fault for fault in faults(expression, known)):
            yield f"a planted fault was not found: {expression}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with service.running(sys.argv[1]) as running:
        running.a_little_traffic()
        known = Known(running.scrape())
    asked = list(queries())
    found = [f"{where}: {fault}" for where, expression in asked for fault in faults(expression, known)]
    found += self_test(known)
    found += page_faults(known)
    boards = list(sources.dashboards())
    if boards:
        found += unused(known, [expression for _, expression in asked])
    print("\n".join(found), end="\n" if found else "")
    print(f"{len(asked)} expressions, of {len(boards)} dashboards too; {len(known.types)} metrics exported; {len(found)} faults")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
