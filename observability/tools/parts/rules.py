"""The Prometheus rules: links of the alerts, each environment's numbers, and all of it as PrometheusRule objects."""
import re

import yaml_text

FOLDERS = ["observability/prometheus/environments", "observability/kubernetes/prometheusrules"]
RULES = "observability/prometheus/rules"
SETTINGS = "observability/environments.yaml"
HEADER = "# Rendered by observability/render from {source}: change that, not this file.\n"


def with_links(text, links):
    """A file of rules in which each alert's links are those of the settings. Only the links are touched."""
    lines, alert = [], ""
    for line in text.splitlines():
        if found := re.match(r"\s*- alert: (\w+)$", line):
            alert = found.group(1)
        if found := re.match(r"(\s*)runbook_url: ", line):
            line = f"{found.group(1)}runbook_url: {links['runbooks']}/{alert}.md"
        if found := re.match(r"(\s*)dashboard_url: \S+/([\w-]+)$", line):
            line = f"{found.group(1)}dashboard_url: {links['dashboards']}/{found.group(2)}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def environment_groups(values):
    number = {True: 1, False: 0}
    return [{"name": "environment", "rules": [{"record": f"detection:{name}", "expr": f"vector({number.get(value, value)})"}
                                              for name, value in values.items()]}]


def rule_object(name, groups):
    """With the labels of the chart's objects. Where the operator's CRD is missing the dry run of the rest must not fail."""
    return {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule",
            "metadata": {"name": name, "namespace": "detection-system",
                         "labels": {"app.kubernetes.io/name": "detection-api", "app.kubernetes.io/instance": "detection-api",
                                    "app.kubernetes.io/part-of": "detection-cop"},
                         "annotations": {"argocd.argoproj.io/sync-wave": "3",
                                         "argocd.argoproj.io/sync-options": "SkipDryRunOnMissingResource=true"}},
            "spec": {"groups": groups}}


def render(root):
    settings = yaml_text.load(root / SETTINGS)
    files = {}
    for path in sorted((root / RULES).glob("*.yaml")):
        text = with_links(path.read_text(encoding="utf-8"), settings["links"])
        files[f"{RULES}/{path.name}"] = text
        name = "detection-" + path.stem.removeprefix("detection-")
        files[f"{FOLDERS[1]}/{path.name}"] = HEADER.format(source=f"{RULES}/{path.name}") + yaml_text.dump(
            rule_object(name, yaml_text.yaml.safe_load(text)["groups"]))
    for environment, values in settings["environments"].items():
        groups = environment_groups(values)
        header = HEADER.format(source=SETTINGS)
        files[f"{FOLDERS[0]}/{environment}.yaml"] = header + yaml_text.dump({"groups": groups})
        if values["kubernetes_expected"]:
            files[f"{FOLDERS[1]}/environments/{environment}.yaml"] = header + yaml_text.dump(
                rule_object("detection-environment", groups))
    return files
