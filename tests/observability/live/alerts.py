#!/usr/bin/python3
"""The drill of the alerts: each of them fires on a real service by its real cause, and resolves when that is mended.

usage: alerts.py [--only ALERT[,ALERT...]] [--jobs N] [--rules FOLDER] [--report FILE] [--patience N] [--scrape N]

A real Prometheus scrapes the service with the project's rule files; only what a rule waits for (`for`) is shortened, no expression
is changed (that is checked). Scenarios run side by side, each with services, a TAK server, a Prometheus (and PostgreSQL) of its own.
DETECTION_API names the binary (default: build/release, else build/dev). Lines begin with "ok", "FAILED" or "SKIPPED"; the last one is
"N passed, N failed". Exit 0: none failed, 1: one did, 2: wrong usage, 77: it cannot be run here (says why).
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import yaml

from harness.child import Failure, Skip, die_with_parent
from harness.service import binary
from harness.stand import RULES, Stand, end_on_signals
from scenarios import SCENARIOS, run

RULE_FILE = "detection-alerts.yaml"
TABLE = "| alert | cause | fires after | resolved after |\n|---|---|---|---|\n"


def alerts_of(rules):
    document = yaml.safe_load((rules / RULE_FILE).read_text(encoding="utf-8"))
    return [rule["alert"] for group in document["groups"] for rule in group["rules"] if "alert" in rule]


def one(name, options):
    """A scenario in this process: its end is the end of all it started. Prints one JSON object."""
    end_on_signals()

    def say(words):
        print(f"{name}: {words}", file=sys.stderr, flush=True)

    scenario = SCENARIOS[name]
    answer = {}
    try:
        with Stand(**scenario.settings, rules=options.rules, scrape=options.scrape, started=scenario.prepare is None, keep=options.keep) as stand:
            answer["times"] = run(stand, scenario, options.patience, say)
    except Failure as problem:
        answer["failure"] = str(problem)
    except Skip as reason:
        answer["skip"] = str(reason)
    print(json.dumps(answer))


class Drill:
    def __init__(self, options):
        self.options, self.running, self.stopping = options, set(), False
        self.passed = self.failed = self.skipped = 0
        self.rows = {}

    def scenario(self, name):
        if self.stopping:
            return {"failure": "stopped"}
        words = [sys.executable, __file__, "--scenario", name, "--rules", self.options.rules, "--patience", self.options.patience,
                 "--scrape", self.options.scrape, *(["--keep"] if self.options.keep else [])]
        process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                   preexec_fn=lambda: die_with_parent(signal.SIGTERM))
        self.running.add(process)
        out, _ = process.communicate()
        self.running.discard(process)
        try:
            return json.loads(out)
        except ValueError:
            return {"failure": f"the scenario broke off (exit {process.returncode})"}

    def end(self, *_):
        self.stopping = True
        for process in list(self.running):
            process.terminate()

    def take(self, name, answer):
        for alert in SCENARIOS[name].alerts:
            if "times" in answer:
                fired, gone = answer["times"][alert]
                self.rows[alert] = (SCENARIOS[name].words, fired, gone)
                self.passed += 1
                print(f"ok alert {alert}: fires {fired:.0f} s after its cause, resolved {gone:.0f} s after that is mended", flush=True)
            elif "skip" in answer:
                self.skipped += 1
                print(f"SKIPPED alert {alert}: {answer['skip']}", flush=True)
            else:
                self.failed += 1
                print(f"FAILED alert {alert}: {answer['failure']}", flush=True)

    def run(self, names):
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            jobs = {pool.submit(self.scenario, name): name for name in names}
            for job in concurrent.futures.as_completed(jobs):
                self.take(jobs[job], job.result())

    def table(self, order):
        rows = [f"| {alert} | {words} | {fired:.0f} s | {gone:.0f} s |" for alert in order if alert in self.rows for words, fired, gone in [self.rows[alert]]]
        return TABLE + "\n".join(rows) + "\n"


def report(table, options, took):
    """The page of the docs, from a whole run only."""
    scraped = f"every {options.scrape} s"
    given = f"--jobs {options.jobs} --patience {options.patience:g} --scrape {options.scrape} "
    options.report.write_text(f"""# The drill of the alerts

Each of the 19 alerts was made to fire by really causing what it is about, and then resolved by mending that: real services, a TAK server of
the tests that refuses, resets or is slow, a real PostgreSQL behind a gate that delays or cuts, a real Prometheus.

```
tests/observability/live/run alerts {given}--report docs/observability/alerts-drill.md
```

The expressions are those of `observability/prometheus/rules/`, byte for byte (checked at each run). Shortened by configuration are the
waiting times: `for` and `keep_firing_for` are 4 s, and Prometheus scrapes and evaluates {scraped}. In production `for` comes on top of
the first column. An alert that looks back over 5 minutes resolves when they have passed, or when good requests outweigh the bad ones.

This run: {time.strftime('%Y-%m-%d', time.gmtime())}, {os.cpu_count()} cores, {options.jobs} scenarios at once, {took / 60:.0f} minutes, load average {os.getloadavg()[2]:.0f}.

{table}""", encoding="utf-8")


def choose(options, parser):
    """-> the alerts of the rules, the scenarios to run"""
    alerts = alerts_of(options.rules)
    drilled = [alert for scenario in SCENARIOS.values() for alert in scenario.alerts]
    if sorted(drilled) != sorted(alerts):
        raise Failure(f"the drill and {RULE_FILE} do not have the same alerts: {sorted(set(drilled) ^ set(alerts))}")
    wanted = set(options.only.split(",")) if options.only else set(alerts)
    if unknown := wanted - set(alerts):
        parser.error(f"there is no alert {', '.join(sorted(unknown))}; there are: {', '.join(alerts)}")
    return alerts, [name for name, scenario in SCENARIOS.items() if wanted & set(scenario.alerts)]


def arguments():
    parser = argparse.ArgumentParser(description="Makes each alert fire by its cause on a real service, and resolve", epilog=__doc__.split("\n\n")[2],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="ALERT,...", help="these alerts, and those that come by the same cause")
    parser.add_argument("--jobs", type=int, default=6, help="scenarios at once (default 6: they mostly wait)")
    parser.add_argument("--rules", type=pathlib.Path, default=RULES, help="folder of the rule files")
    parser.add_argument("--report", type=pathlib.Path, metavar="FILE", help="writes the page of a whole run there")
    parser.add_argument("--patience", type=float, default=1, help="factor on every time limit, for a busy machine (default 1)")
    parser.add_argument("--scrape", type=int, default=2, help="seconds between two scrapes (default 2)")
    parser.add_argument("--keep", action="store_true", help="leaves the folders of the stands where they are")
    parser.add_argument("--scenario", choices=SCENARIOS, help=argparse.SUPPRESS)
    return parser


def main():
    parser = arguments()
    options = parser.parse_args()
    if options.report and options.only:
        parser.error("--report is for a whole run")
    if options.scenario:
        one(options.scenario, options)
        return 0
    drill, began = Drill(options), time.monotonic()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, drill.end)
    try:
        binary()
        alerts, names = choose(options, parser)
    except Skip as reason:
        print(f"SKIPPED the drill of the alerts: {reason}")
        return 77
    except (Failure, OSError) as problem:
        print(f"FAILED the drill of the alerts: {problem}\n0 passed, 1 failed")
        return 1
    drill.run(names)
    table = drill.table(alerts)
    print(f"\n{table}")
    if options.report and len(drill.rows) == len(alerts):
        report(table, options, time.monotonic() - began)
    print(f"{drill.passed} passed, {drill.failed} failed" + (f", {drill.skipped} skipped" if drill.skipped else ""))
    return 130 if drill.stopping else int(drill.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
