"""The lists of alerts in docs/observability.md and in the runbooks' index, from the rules."""
import re

import yaml_text

FOLDERS = []
RULES = "observability/prometheus/rules"
FILES = {"detection-alerts.yaml": "The service", "platform-alerts.yaml": "The platform under it"}
MARKED = re.compile(r"(<!-- alerts: rendered by observability/render -->\n).*(<!-- end -->\n)", re.DOTALL)


def groups(root, name):
    return yaml_text.load(root / RULES / name)["groups"]


def documentation(root):
    """Alert, who is told, and what it means, for a reader who has not met it."""
    lines = []
    for name in FILES:
        lines += ["", f"`{name}`:", "", "| alert | severity | team | slo | after | means |", "|---|---|---|---|---|---|"]
        for group in groups(root, name):
            for rule in group["rules"]:
                labels, alert = rule["labels"], rule["alert"]
                lines.append(f"| [{alert}](../observability/runbooks/{alert}.md) | {labels['severity']} | {labels['team']} | "
                             f"{labels.get('slo', '')} | {rule.get('for', '0s')} | {rule['annotations']['description']} |")
    return "\n".join(lines[1:]) + "\n"


def index(root):
    lines = []
    for name, title in FILES.items():
        lines += ["", f"## {title}", "| alert | severity | team | group |", "|---|---|---|---|"]
        for group in groups(root, name):
            for rule in group["rules"]:
                labels, alert = rule["labels"], rule["alert"]
                lines.append(f"| [{alert}]({alert}.md) | {labels['severity']} | {labels['team']} | {group['name']} |")
    return "\n".join(lines[1:]) + "\n"


def render(root):
    files = {}
    for path, text in {"docs/observability.md": documentation(root), "observability/runbooks/README.md": index(root)}.items():
        old = (root / path).read_text(encoding="utf-8")
        if not MARKED.search(old):
            raise SystemExit(f"render: {path} has lost the marks between which its list of alerts stands")
        files[path] = MARKED.sub(lambda match, new=text: match.group(1) + new + match.group(2), old)
    return files
