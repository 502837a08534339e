#!/usr/bin/python3
"""The queries of the panels as texts: they parse (PromQL by promtool, LogQL by Grafana's grammar), are of what was chosen at the top, and take their
windows from Grafana. What dashboard-linter would look at; it cannot be had without modules that are not to be used here."""
import json
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml

from dashboards_test import ROOT, dashboards, panels, queries

UNITS = {"none", "short", "percentunit", "s", "bytes", "Bps", "reqps", "cps", "cpm", "lengthm"}
CHOICES = {"job": ".+", "instance": ".+", "namespace": ".*", "slot": ".*", "sink": ".+"}  # the first two are on every target, the others may be missing
# Of all instances: they have no job.
OF_ALL = {"ALERTS"}
GRAMMAR = ROOT / ".cache/node/logql"


def fill(expression):
    """With windows in the place of Grafana's."""
    return re.sub(r"\[\$__\w+\]", "[5m]", expression)


def of(kind):
    """(where, expression) of all queries of Prometheus or of Loki."""
    return [(f"{board['uid']}, {panel['title']}", target["expr"]) for board in dashboards() for panel, target in queries(board)
            if target["datasource"]["type"] == kind]


def promql_faults(expressions):
    """What promtool says of them, each as the expression of a rule."""
    groups = {"groups": [{"name": "panels", "rules": [{"record": f"panel_{place}", "expr": fill(each)} for place, each in enumerate(expressions)]}]}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(groups, file)
        file.flush()
        run = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True, check=False)
    return run.stderr if run.returncode else ""


def logql_faults(expressions):
    """For each "", or from where it cannot be read."""
    run = subprocess.run(["node", GRAMMAR / "check.mjs"], input=json.dumps([fill(each) for each in expressions]), capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def selection_faults(expression):
    """Selectors that are not of the chosen jobs and instances."""
    for metric, matchers in re.findall(r"([a-z_A-Z:]+)\{([^}]*)\}", expression):
        if metric not in OF_ALL and not ('job=~"$job"' in matchers and 'instance=~"$instance"' in matchers):
            yield f"{metric} is not of the chosen job and instance"


def window_faults(expression):
    """Rates over a fixed time, and counters without one."""
    for function, window in re.findall(r"\b(rate|irate)\([^\[]*\[([^\]]*)\]", expression):
        if window != "$__rate_interval":
            yield f"{function} over {window}"
    summed = re.sub(r"count by \(\w+\) \(\w+\{[^}]*\}\)", "", expression)  # how many series there are is no counter
    for counter in re.findall(r"\b(\w+_total)\{[^}]*\}(?!\[)", summed):
        yield f"{counter} is a counter, and is shown as it is"


class Promql(unittest.TestCase):
    def test_they_parse(self):
        if not shutil.which("promtool"):
            self.skipTest("promtool is not there (Debian: prometheus)")
        self.assertEqual(promql_faults([each for _, each in of("prometheus")]), "")
        self.assertTrue(promql_faults(["sum by (slot) (rate((up[5m]))"]), "a planted fault was not found")

    def test_they_are_of_what_is_chosen(self):
        self.assertEqual([(where, list(selection_faults(each))) for where, each in of("prometheus") if list(selection_faults(each))], [])
        self.assertTrue(list(selection_faults('sum(up{job="detection-api"})')), "a planted fault was not found")

    def test_windows_are_grafanas(self):
        self.assertEqual([(where, list(window_faults(each))) for where, each in of("prometheus") if list(window_faults(each))], [])
        self.assertEqual(len(list(window_faults('rate(a_total{x="y"}[5m]) + b_total{x="y"}'))), 2, "a planted fault was not found")


class Logql(unittest.TestCase):
    def test_they_parse(self):
        setup = ROOT / "tests/peers/setup_node.sh"
        made = subprocess.run([setup, "logql"], capture_output=True, text=True, check=False)
        if made.returncode == 77 or not GRAMMAR.exists():
            self.skipTest(f"Grafana's grammar of LogQL cannot be had: {made.stderr.strip().splitlines()[-1:]}")
        asked = of("loki")
        self.assertEqual([(where, at) for (where, _), at in zip(asked, logql_faults([each for _, each in asked])) if at], [])
        self.assertTrue(logql_faults(['{app="x"} | event='])[0], "a planted fault was not found")

    def test_windows_are_grafanas(self):
        windows = {window for _, each in of("loki") for window in re.findall(r"\[([^\]]*)\]", each)}
        self.assertEqual(windows, {"$__auto"})

    def test_streams_are_chosen_by_the_labels_that_loki_has(self):
        for where, each in of("loki"):
            selector = re.search(r"\{([^}]*)\}", each).group(1)
            self.assertLessEqual(set(re.findall(r"(\w+)(?:=~|=)", selector)), {"namespace", "app", "slot", "level"}, where)


class Boards(unittest.TestCase):
    def test_variables_let_choose_several_and_all(self):
        for board in dashboards():
            listed = {variable["name"]: variable for variable in board["templating"]["list"]}
            self.assertLessEqual({"datasource", "job", "namespace", "slot", "instance"}, listed.keys(), board["uid"])
            for name, variable in listed.items():
                if variable["type"] == "query":
                    held = (variable["multi"], variable["includeAll"], variable["allValue"], variable["refresh"], variable["datasource"]["uid"])
                    self.assertEqual(held, (True, True, CHOICES[name], 2, "${datasource}"), f"{board['uid']}: {name}")

    def test_units_are_grafanas_and_nobody_edits(self):
        for board in dashboards():
            self.assertIs(board["editable"], False)
            for panel in panels(board):
                self.assertIn(panel["fieldConfig"]["defaults"].get("unit", "none"), UNITS, panel["title"])


if __name__ == "__main__":
    unittest.main(verbosity=1)
