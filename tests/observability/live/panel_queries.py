"""What Grafana would ask for a panel, and what Prometheus answers."""
import dataclasses
import json
import math
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[3]
FOLDER = ROOT / "observability/grafana/dashboards"


@dataclasses.dataclass
class Answer:
    """Of one query: its series are (labels, name in the legend, [(time, value)]), finite values only."""
    expression: str
    series: list

    @property
    def empty(self):
        return not any(points for _, _, points in self.series)


def dashboards():
    """uid -> dashboard, in the order of the links."""
    read = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))]
    return {each["uid"]: each for each in read}


def panels(dashboard):
    """Those with data."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def is_log(target):
    return target["datasource"]["type"] == "loki"


class View:
    """A time range as Grafana shows it, with the variables as they are at first (All)."""

    def __init__(self, dashboard, start, end, scrape, points=300):
        self.start, self.end = start, end
        self.step = max(math.ceil((end - start) / points), scrape)
        seconds = max(self.step + scrape, 4 * scrape)
        self.values = {"__rate_interval": f"{seconds}s", "__interval": f"{self.step}s", "__range": f"{max(1, round(end - start))}s",
                       "__auto": f"{seconds}s"}
        for variable in dashboard["templating"]["list"]:
            self.values[variable["name"]] = variable.get("allValue", variable["query"] if variable["type"] == "textbox" else "")

    def fill(self, expression):
        return re.sub(r"\$\{(\w+)\}|\$(\w+)", lambda found: self.values[found.group(1) or found.group(2)], expression)


def named(legend, labels, expression):
    """The text of a legend; `__auto` is the labels, or the expression where there is none."""
    if legend == "__auto":
        shown = ", ".join(f"{name}={value}" for name, value in labels.items() if name != "__name__")
        return shown or expression
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found.group(1), ""), legend)


def ask(prometheus, view, target):
    """Runs one query of a panel."""
    expression = view.fill(target["expr"])
    if target.get("instant"):
        data = prometheus.ask("query", query=expression, time=view.end)
        found = [(each["metric"], [(each["value"][0], float(each["value"][1]))]) for each in data["result"]]
    else:
        found = prometheus.query_range(expression, view.start, view.end, view.step)
    series = [(labels, named(target["legendFormat"], labels, expression), [point for point in points if math.isfinite(point[1])])
              for labels, points in found]
    return Answer(expression, series)


def values_of_variable(prometheus, view, variable):
    """label_values(METRIC, LABEL) -> the values."""
    metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()
    found = prometheus.query_range(f"count by ({label}) ({view.fill(metric)})", view.start, view.end, view.step)
    return {labels.get(label) for labels, _ in found} - {None}
