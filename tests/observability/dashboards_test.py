#!/usr/bin/python3
"""The dashboards as files: what each panel must have, and that its limits are those of the alerts in the rule files."""
import copy
import json
import pathlib
import re
import sys
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OBSERVABILITY = ROOT / "observability"
sys.dont_write_bytecode = True
sys.path.insert(0, str(OBSERVABILITY / "grafana/source"))
import limits  # noqa: E402  its folder is in the path only now

UIDS = {"detection-pipeline", "tak-integration", "infrastructure", "audit-trail"}
# Alerts whose state no panel shows as a number, and why.
WITHOUT_PANEL = {
    "Watchdog": "always fires: it is in the table of alerts",
    "PodMetricsMissing": "its panels are the empty ones of the kubelet",
    "RegistryCredentialOld": "the service cannot see it: whoever exports it has the figure"}
NUMBER = r"\d+(?:\.\d+)?(?:e-?\d+)?"


def dashboards():
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted((OBSERVABILITY / "grafana/dashboards").glob("*.json"))]


def panels(dashboard):
    """Those with data, without the rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def alerts():
    """name -> rule."""
    rules = {}
    for path in (OBSERVABILITY / "prometheus/rules").glob("*.yaml"):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            rules.update({rule["alert"]: rule for rule in group["rules"] if "alert" in rule})
    return rules


def numbers(expression):
    """Every number of an expression that is not in a string or a window, and every product of them as it is written."""
    bare = re.sub(r'"[^"]*"|\[[^\]]*\]', "", expression)
    found = [float(number) for number in re.findall(rf"(?<![\w.]){NUMBER}(?![\w.])", bare)]
    found += [float(first) * float(second) for first, second in re.findall(rf"(?<![\w.])({NUMBER}) \* ({NUMBER})(?![\w.])", bare)]
    return found


def near(value, others):
    return any(abs(value - other) <= 1e-9 * max(1, abs(other)) for other in others)


def watched(panel):
    """Names of the alerts to whose runbooks a panel leads."""
    return [link["title"].removeprefix("Runbook: ") for link in panel.get("links", []) if link["title"].startswith("Runbook: ")]


def queries(dashboard):
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield panel, target


def overlap(first, second):
    """Whether two places on the grid share a cell."""
    return (first["x"] < second["x"] + second["w"] and second["x"] < first["x"] + first["w"]
            and first["y"] < second["y"] + second["h"] and second["y"] < first["y"] + first["h"])


def findings_of_form(dashboard):
    """What a panel lacks."""
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(ids) != len(set(ids)):
        yield "two panels with one id"
    declared = {variable["name"] for variable in dashboard["templating"]["list"]}
    for panel in panels(dashboard):
        name, defaults = panel.get("title") or f"panel {panel['id']}", panel["fieldConfig"]["defaults"]
        if not panel.get("title") or len(panel.get("description", "")) < 20:
            yield f"{name}: no title or no description"
        if not re.fullmatch(r"\$\{(datasource|logs)\}", panel["datasource"]["uid"]):
            yield f"{name}: its data source is no variable"
        if panel["type"] != "logs" and not defaults.get("unit"):
            yield f"{name}: no unit"
        if panel["type"] == "stat" and defaults["color"]["mode"] != "thresholds":
            yield f"{name}: its colour says nothing"
        steps = [step["value"] for step in defaults["thresholds"]["steps"]]
        if steps[0] is not None or steps[1:] != sorted(steps[1:]):
            yield f"{name}: thresholds not in order"
        if defaults.get("unit") == "percentunit" and any(step > 1 for step in steps[1:]):
            yield f"{name}: a ratio is 0-1, its threshold is not"
        if panel["gridPos"]["x"] + panel["gridPos"]["w"] > 24 or any(
                overlap(panel["gridPos"], other["gridPos"]) for other in dashboard["panels"] if other is not panel):
            yield f"{name}: lies over another panel or outside"
        for target in panel["targets"]:
            for variable in re.findall(r"\$\{?(\w+)", target["expr"]):
                if variable not in declared and not variable.startswith("__"):
                    yield f"{name}: ${variable} is not declared"


def findings_of_limits(dashboard, rules):
    """Where a panel turns is where its alert fires."""
    for panel in panels(dashboard):
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        values, expected = {step["value"] for step in steps} - {None}, set()
        for name in watched(panel):
            if name not in rules:
                yield f"{panel['title']}: there is no alert {name}"
                continue
            literals = numbers(rules[name]["expr"])
            shown = [limit for limit in limits.LIMITS[name] if limit.threshold in values]
            expected |= {limit.threshold for limit in shown}
            if len(shown) != len(limits.LIMITS[name]):
                yield f"{panel['title']}: the limit of {name} is not among its thresholds"
            for limit in shown:
                if not near(limit.value * limit.scale, literals):
                    yield f"{panel['title']}: {name} fires at {literals}, the panel turns at {limit.value}"
        if watched(panel) and values != expected:
            yield f"{panel['title']}: thresholds {sorted(values - expected)} belong to no alert"


class Dashboards(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.all, cls.rules = dashboards(), alerts()

    def test_they_are_the_four_each_with_its_uid(self):
        self.assertEqual(sorted(each["uid"] for each in self.all), sorted(UIDS))
        self.assertEqual(len({each["title"] for each in self.all}), 4)

    def test_every_panel_has_what_it_needs(self):
        for each in self.all:
            self.assertEqual(list(findings_of_form(each)), [], each["uid"])

    def test_limits_are_those_of_the_alerts(self):
        for each in self.all:
            self.assertEqual(list(findings_of_limits(each, self.rules)), [], each["uid"])
        for name, group in limits.LIMITS.items():
            severity = self.rules[name]["labels"]["severity"]
            self.assertEqual({limit.severity for limit in group}, {severity}, name)

    def test_what_the_alert_says_about_its_duration_is_what_the_panel_says(self):
        for name, group in limits.LIMITS.items():
            said = re.search(r"for (\d+) min$", group[0].says)
            if said:
                self.assertEqual(self.rules[name].get("for"), f"{said.group(1)}m", name)

    def test_the_dashboard_an_alert_names_shows_it(self):
        shown = {each["uid"]: {name for panel in panels(each) for name in watched(panel)} for each in self.all}
        for name, rule in self.rules.items():
            uid = rule["annotations"]["dashboard_url"].rsplit("/", 1)[1]
            self.assertIn(uid, shown, name)
            if name not in WITHOUT_PANEL:
                self.assertIn(name, shown[uid], f"{name} is on no panel of {uid}")
        self.assertLessEqual(WITHOUT_PANEL.keys(), self.rules.keys())

    def test_alerts_of_every_team_are_counted(self):
        for each in self.all:
            for panel, target in queries(each):
                if "ALERTS{" in target["expr"]:
                    teams = re.search(r'team=~"([^"]+)"', target["expr"]).group(1).split("|")
                    self.assertEqual({rule["labels"]["team"] for rule in self.rules.values()}, set(teams), panel["title"])

    def test_links_lead_to_pages_that_exist(self):
        there = {path.stem for path in (OBSERVABILITY / "runbooks").glob("*.md")}
        for each in self.all:
            base = {variable["name"]: variable["query"] for variable in each["templating"]["list"]}["runbooks"]
            for panel in panels(each):
                for name in watched(panel):
                    self.assertIn(name, there, panel["title"])
                    self.assertEqual(self.rules[name]["annotations"]["runbook_url"], f"{base}/{name}.md")

    def test_the_first_row_is_a_row_of_tiles_that_show_alerts(self):
        for each in self.all:
            top = [panel for panel in panels(each) if panel["gridPos"]["y"] == 1]
            self.assertEqual({panel["type"] for panel in top}, {"stat"}, each["uid"])
            self.assertEqual(sum(panel["gridPos"]["w"] for panel in top), 24, each["uid"])
            self.assertGreaterEqual(sum(len(panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) > 1 for panel in top), 6, each["uid"])


class PlantedFaults(unittest.TestCase):
    """The checks above find what they are there for."""

    def setUp(self):
        self.dashboard = copy.deepcopy(next(each for each in dashboards() if each["uid"] == "tak-integration"))
        self.panel = next(panel for panel in panels(self.dashboard) if watched(panel) == ["TAKPushFailures"])
        self.defaults = self.panel["fieldConfig"]["defaults"]

    def assert_found(self, word):
        found = [*findings_of_form(self.dashboard), *findings_of_limits(self.dashboard, alerts())]
        self.assertTrue(any(word in finding for finding in found), f"{word!r} is not among {found}")

    def test_a_percent_for_a_ratio(self):
        self.defaults["thresholds"]["steps"][1]["value"] = 10
        self.assert_found("a ratio is 0-1")
        self.assert_found("is not among its thresholds")

    def test_a_threshold_of_nobody(self):
        self.defaults["thresholds"]["steps"].append({"color": "red", "value": 0.5})
        self.assert_found("belong to no alert")

    def test_an_alert_that_has_moved(self):
        rules = alerts()
        rules["TAKPushFailures"]["expr"] = rules["TAKPushFailures"]["expr"].replace("0.1", "0.2")
        self.assertTrue([finding for finding in findings_of_limits(self.dashboard, rules) if "fires at" in finding])

    def test_missing_parts(self):
        self.panel["description"] = ""
        del self.defaults["unit"]
        self.panel["datasource"]["uid"] = "prometheus"
        self.panel["targets"][0]["expr"] += " + $nothing"
        self.panel["gridPos"]["x"] += 1
        self.panel["id"] = self.dashboard["panels"][0]["id"]
        for word in ("no description", "no unit", "no variable", "$nothing is not declared", "over another panel", "one id"):
            self.assert_found(word)


if __name__ == "__main__":
    unittest.main(verbosity=1)
