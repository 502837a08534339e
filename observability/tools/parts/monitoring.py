"""What each cluster's monitoring stack has of its own: kubernetes/monitoring/ENV/config, from the configurations of this folder."""
import re

import yaml_text
from parts import rules

SETTINGS = rules.SETTINGS
ENVIRONMENTS = ("staging", "prod", "airgap")
FOLDERS = [f"kubernetes/monitoring/{environment}/config" for environment in ENVIRONMENTS]
SOURCES = {"prometheus.yml": "observability/kubernetes/prometheus.yml", "alertmanager.yaml": "observability/alertmanager/alertmanager.yaml",
           "loki.yaml": "observability/loki/loki.yaml"}
HEADER = "# Rendered by observability/render from {source} and " + SETTINGS + ": change those, not this file.\n"


def changed(text, pattern, replacement):
    """The one place where it stands is changed; a source in which it is not, or twice, is one that this part no longer knows."""
    result, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
    if count != 1:
        raise SystemExit(f"render: '{pattern}' stands {count} times where it should stand once")
    return result


def prometheus(text, environment, values):
    """Alerts leave with the environment's name; data are kept for as long as its volume lasts."""
    text = changed(text, r"^  evaluation_interval: .*\n", rf"\g<0>  external_labels: {{environment: {environment}}}\n")
    return changed(text, r"retention: \{.*\}.*$", f"retention: {{time: {values['metrics_days']}d, size: {values['metrics_gigabytes']}GB}}")


def loki(text, _, values):
    hours = 24 * values["logs_days"]
    text = changed(text, r"retention_period: \d+h.*$", f"retention_period: {hours}h # {values['logs_days']} days")
    text = changed(text, r"reject_old_samples_max_age: \d+h$", f"reject_old_samples_max_age: {hours}h")
    return changed(text, r"max_query_length: \d+h ", f"max_query_length: {hours + 25}h ")


def without_receiver(text, name, instead=""):
    return changed(text, rf"^  - name: {name}\n(?:    .*\n)+", instead)


def alertmanager(text, environment, values):
    """Where nobody is called at night, what is critical is mail; where nobody waits for the dead man's switch, it is sent to nobody."""
    if values["pages"] == "mail":
        text = without_receiver(changed(text, r"receiver: page$", "receiver: mail-platform"), "page")
    if not values["watchdog"]:
        text = changed(text, r"receiver: watchdog$", "receiver: nobody")
        text = without_receiver(text, "watchdog", f"  - name: nobody # nothing outside waits for the dead man's switch of {environment}\n")
    return text


MAKE = {"prometheus.yml": prometheus, "alertmanager.yaml": alertmanager, "loki.yaml": loki}


def render(root):
    settings = yaml_text.load(root / SETTINGS)
    if tuple(settings["monitoring"]) != ENVIRONMENTS:
        raise SystemExit(f"render: monitoring in {SETTINGS} must have {', '.join(ENVIRONMENTS)}")
    files = {}
    for environment, folder in zip(ENVIRONMENTS, FOLDERS):
        groups = rules.environment_groups(settings["environments"][environment])
        files[f"{folder}/environment.yaml"] = rules.HEADER.format(source=SETTINGS) + yaml_text.dump({"groups": groups})
        for name, source in SOURCES.items():
            text = (root / source).read_text(encoding="utf-8")
            files[f"{folder}/{name}"] = HEADER.format(source=source) + MAKE[name](text, environment, settings["monitoring"][environment])
    return files
