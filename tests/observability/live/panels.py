#!/usr/bin/python3
"""Every query of every panel of the dashboards, as Grafana would send it, against a real Prometheus that reads the real service.

usage: panels.py [--seconds N] [--rate N] [--pictures FOLDER] [--keep]
  --seconds N        of load and faults before the panels are asked (default 120)
  --rate N           requests a second (default 30)
  --pictures FOLDER  draws each dashboard's data: FOLDER/<uid>.png
  --keep             leaves the folder of the run, and names it

Each panel must return data. LogQL is not asked here, there is no Loki: panel_queries_test.py has Grafana's grammar read it.
DETECTION_API names the binary (default: build/release, else build/dev). Lines begin with "ok", "FAILED" or "SKIPPED"; the last one is
"N passed, N failed". Exit 0: none failed, 1: one did, 2: wrong usage, 77: it cannot be run here (says why).
"""
import argparse
import pathlib
import shutil
import sys
import tempfile

from harness.child import Failure, Skip
from harness.stand import end_on_signals
from panel_queries import View, ask, dashboards, is_log, panels, values_of_variable
from scene import SCRAPE, Scene


def look(prometheus, dashboard, start, end):
    """-> findings, and (panel, [answers]) of every panel that Prometheus answers."""
    findings, answered = [], []
    view = View(dashboard, start, end, SCRAPE)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query" and not values_of_variable(prometheus, view, variable):
            findings.append(f"variable {variable['name']}: no value")
    for panel in panels(dashboard):
        answers = [ask(prometheus, view, target) for target in panel["targets"] if not is_log(target)]
        for number, answer in enumerate(answers):
            if answer.empty:
                findings.append(f"{panel['title']}: query {number + 1} is empty: {answer.expression}")
        if answers:
            answered.append((panel, answers))
    return findings, answered


def check(prometheus, start, end):
    """Prints a line for each dashboard; -> failed, uid -> answered panels."""
    failed, everything = 0, {}
    for uid, dashboard in dashboards().items():
        findings, everything[uid] = look(prometheus, dashboard, start, end)
        asked = sum(len(answers) for _, answers in everything[uid])
        left = sum(is_log(target) for panel in panels(dashboard) for target in panel["targets"])
        words = f"{uid}: {asked} queries of {len(everything[uid])} panels" + (f" ({left} of LogQL not asked)" if left else "")
        print(f"{'FAILED' if findings else 'ok'} {words}", flush=True)
        for finding in findings:
            print(f"  {finding}")
        failed += bool(findings)
    return failed, everything


def finds_an_empty_panel(prometheus, start, end):
    """The check itself: a panel on a metric that nobody exports must be found."""
    dashboard = next(iter(dashboards().values()))
    target = next(target for panel in panels(dashboard) for target in panel["targets"] if not is_log(target))
    target["expr"] = 'sum(rate(detections_imagined_total{job=~"$job"}[$__rate_interval]))'
    return any("detections_imagined_total" in finding for finding in look(prometheus, dashboard, start, end)[0])


def run(options, folder):
    with Scene(folder, options.keep) as scene:
        start, end = scene.play(options.seconds, options.rate, lambda words: print(f"  {words}", flush=True))
        failed, everything = check(scene.prometheus, start, end)
        planted = finds_an_empty_panel(scene.prometheus, start, end)
        print(f"{'ok' if planted else 'FAILED'} a panel on a metric that nobody exports is found")
        failed += not planted
        if options.pictures:
            import pictures  # matplotlib is needed for nothing else
            pictures.draw_all(pathlib.Path(options.pictures), dashboards(), everything, start, end)
    return failed, len(everything) + 1 - failed


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1], add_help=True)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--rate", type=int, default=30)
    parser.add_argument("--pictures")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    end_on_signals()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="detection-panels."))
    folder.chmod(0o711)  # PostgreSQL's user passes through
    try:
        failed, passed = run(options, folder)
    except Skip as reason:
        print(f"SKIPPED {reason}")
        return 77
    except Failure as problem:
        print(f"FAILED {problem}")
        failed, passed = 1, 0
    finally:
        if options.keep:
            print(f"  kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
