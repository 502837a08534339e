#!/usr/bin/python3
"""The logs: from the service's standard output through a real collector into Loki, with the files of observability/. Where there is no Loki
receiver.py stands in for it in `story` and `lines`; what only Loki can show is then skipped. Each check prints its figures. Without a name: all of them.
  config     the files hold what is promised; collector and builder's manifest are the same; otelcol and Loki take them where they are here
  logql      every query of loki/queries.md and of the runbooks can be read by Grafana's grammar
  story      a detection is found by its id in one query, at most 10 s after its request; labels and structured metadata
  lines      the collector is stopped and killed under load, log files rotate, Loki is away: every line is there
  late       a node that was cut off for 20 hours comes back: its lines are taken
  retention  lines of 13 days stay, those of 15 days go
  queries    every query of loki/queries.md runs and finds something
"""

import argparse
import collections
import os
import pathlib
import shutil
import sys
import tempfile
import traceback

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import config
import lines
import retention
import story
from stack import ROOT, Failure, NotHere

CHECKS = {"config": config.check, "logql": config.logql, "story": story.story, "lines": lines.lines, "late": lines.late, "retention": retention.retention, "queries": story.queries}
ONLY_LOKI = ("late", "retention", "queries")
EPILOG = """otelcol is that of tests/e2e/cluster (`cluster install otelcol` builds it) or in DETECTION_OBSERVABILITY_BIN, a folder; so is loki, where you have one.
DETECTION_LOG_SECONDS: how long the load of `lines` goes on (default 60), DETECTION_LOKI_AWAY: how long Loki is away in it (default 40).
Exit 0: clean, 1: findings, 2: wrong usage, 77: something that is needed is not here (its line says what)."""


class World:
    """What every check is given."""

    def __init__(self, options):
        self.service = options.service
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="detection-logs-"))
        home = pathlib.Path(os.environ.get("DETECTION_CLUSTER_HOME", "/var/lib/detection-cluster"))
        self.places = [pathlib.Path(p) for p in (os.environ.get("DETECTION_OBSERVABILITY_BIN"), home / "bin") if p]

    def tool(self, name):
        return next((place / name for place in self.places if (place / name).exists()), None)


def one(world, name):
    """-> (outcome, words)"""
    if name not in ("config", "logql", "retention") and not world.tool("otelcol"):
        return "SKIPPED", "there is no otelcol: tests/e2e/cluster/cluster install otelcol"
    if name in ONLY_LOKI and not world.tool("loki"):
        return "SKIPPED", "there is no Loki: put one into a folder and name that in DETECTION_OBSERVABILITY_BIN"
    if name in ("story", "lines", "queries") and not world.service.exists():
        return "SKIPPED", f"there is no {world.service.name}: ./run --build"
    folder = world.folder / name
    folder.mkdir()
    into = "" if name in ("config", "logql") else "into Loki: " if world.tool("loki") else "into what stands in for Loki: "
    try:
        return "ok", into + CHECKS[name](world, folder)
    except NotHere as reason:
        return "SKIPPED", str(reason)
    except Failure as problem:
        return "FAILED", str(problem)
    except Exception:  # pylint: disable=broad-except  # a fault of the check: the others go on
        return "FAILED", traceback.format_exc(limit=-4)


def main():
    parser = argparse.ArgumentParser(prog="tests/observability/logs/logs_test.py", description=__doc__, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=", ".join(CHECKS))
    parser.add_argument("--service", type=pathlib.Path, default=ROOT / "build" / "release" / "bin" / "detection-api", metavar="FILE",
                        help="default: build/release/bin/detection-api")
    parser.add_argument("--keep", action="store_true", help="leave the folder with everything that was written")
    options = parser.parse_args()
    for name in options.checks:
        if name not in CHECKS:
            parser.error(f"there is no check '{name}'; there are: {', '.join(CHECKS)}")
    chosen = options.checks or list(CHECKS)
    world, count = World(options), collections.Counter()
    for name in chosen:
        outcome, words = one(world, name)
        count[outcome] += 1
        print(f"{outcome} {name}: {words}", flush=True)
    if options.keep:
        print(f"kept: {world.folder}")
    else:
        shutil.rmtree(world.folder, ignore_errors=True)
    print(f"{count['ok']} passed, {count['FAILED']} failed, {count['SKIPPED']} skipped")
    return 1 if count["FAILED"] else 77 if count["SKIPPED"] else 0


if __name__ == "__main__":
    sys.exit(main())
