"""Where the tests find rules, panels and pages."""
import json
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
OBSERVABILITY = ROOT / "observability"
RULES = OBSERVABILITY / "prometheus/rules"
RUNBOOKS = OBSERVABILITY / "runbooks"
DASHBOARDS = OBSERVABILITY / "grafana/dashboards"


def rule_groups():
    """(file, group, rule) of every rule; the environments' rules last."""
    for path in sorted(RULES.glob("*.yaml")) + sorted((OBSERVABILITY / "prometheus/environments").glob("*.yaml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                yield path, group["name"], rule


def alerts():
    """Name -> (file, group, rule)."""
    return {rule["alert"]: (path, group, rule) for path, group, rule in rule_groups() if "alert" in rule}


def dashboards():
    """(path, dashboard) of each that is there."""
    for path in sorted(DASHBOARDS.glob("*.json")):
        yield path, json.loads(path.read_text(encoding="utf-8"))


def panels(board):
    """Every panel, those in rows too."""
    for panel in board.get("panels", []):
        yield panel
        yield from panels(panel)


def is_of_logs(thing):
    source = thing.get("datasource") or {}
    return isinstance(source, dict) and (source.get("type") == "loki" or "logs" in str(source.get("uid")))


def panel_queries(board):
    """(where, PromQL) of every panel and variable of a dashboard."""
    for panel in panels(board):
        for target in panel.get("targets", []):
            if target.get("expr") and not is_of_logs(target if target.get("datasource") else panel):
                yield f"panel '{panel.get('title')}'", target["expr"]
    for variable in board.get("templating", {}).get("list", []):
        query = variable.get("query")
        text = query.get("query", "") if isinstance(query, dict) else str(query or "")
        if variable.get("type") == "query" and not is_of_logs(variable):
            found = re.fullmatch(r"label_values\((.*),\s*(\w+)\)", text.strip())
            if found:  # count by (LABEL) (METRIC) asks for the same
                yield f"variable '{variable.get('name')}'", f"count by ({found.group(2)}) ({found.group(1)})"


def runbook_queries():
    """(where, PromQL) of every runbook."""
    for path in sorted(RUNBOOKS.glob("*.md")):
        for text in re.findall(r"^\s*```promql\n(.*?)^\s*```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            yield path.name, text.strip()
