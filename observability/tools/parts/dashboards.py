"""The Grafana dashboards, from observability/grafana/source."""
import sys

import yaml_text

FOLDERS = ["observability/grafana/dashboards"]


def render(root):
    """Each as one JSON file."""
    sys.path.insert(0, str(root / "observability/grafana/source"))
    import everything  # only now is it in the path

    links = yaml_text.load(root / "observability/environments.yaml")["links"]
    return {f"{FOLDERS[0]}/{name}": text for name, text in everything.files(links["runbooks"]).items()}
