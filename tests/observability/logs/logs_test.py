#!/usr/bin/python3
"""The logs: from the service's standard output through a real collector into a real Loki, with the files of observability/.

Each check prints its figures. Without a name: all of them.
  config     the files hold what is promised; collector and builder's manifest are the same; otelcol and Loki take them where they are here
  story      a detection is found by its id in one query, at most 10 s after its request; labels and structured metadata
  lines      the collector is stopped and killed under load, log files rotate, Loki is away: every line is there
  late       a node that was cut off for 20 hours comes back: its lines are taken
  retention  lines of 13 days stay, those of 15 days go
  queries    every query of loki/queries.md runs and finds something
"""

import argparse
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
from stack import ROOT, Failure

CHECKS = {"config": config.check, "story": story.story, "lines": lines.lines, "late": lines.late, "retention": retention.retention, "queries": story.queries}
EPILOG = """loki, otelcol and logcli are those of tests/e2e/cluster (`cluster install loki otelcol` builds them), or in DETECTION_OBSERVABILITY_BIN.
DETECTION_LOG_SECONDS: how long the load of `lines` goes on (default 60), DETECTION_LOKI_AWAY: how long Loki is away in it (default 40).
Exit 0: clean, 1: findings, 2: wrong usage, 77: what is needed is not here (the last line says what)."""


class World:
    """What every check is given."""

    def __init__(self, options):
        self.service = options.service
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="detection-logs-"))
        home = pathlib.Path(os.environ.get("DETECTION_CLUSTER_HOME", "/var/lib/detection-cluster"))
        self.places = [pathlib.Path(p) for p in (os.environ.get("DETECTION_OBSERVABILITY_BIN"), home / "bin") if p]

    def tool(self, name):
        return next((place / name for place in self.places if (place / name).exists()), None)


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
    world, status = World(options), 0
    missing = [name for name in ("loki", "otelcol") if not world.tool(name)]
    for name in chosen:
        if name != "config" and missing:
            print(f"SKIPPED {name}: {' and '.join(missing)} not here: tests/e2e/cluster/cluster install {' '.join(missing)}", flush=True)
            status = status or 77
            continue
        if name not in ("config", "retention", "late") and not world.service.exists():
            print(f"SKIPPED {name}: there is no {world.service.name}: ./run --build", flush=True)
            status = status or 77
            continue
        folder = world.folder / name
        folder.mkdir()
        try:
            print(f"ok {name}: {CHECKS[name](world, folder)}", flush=True)
        except Failure as problem:
            status = 1
            print(f"FAILED {name}: {problem}", flush=True)
        except Exception:  # pylint: disable=broad-except  # a fault of the check: the others go on
            status = 1
            print(f"FAILED {name}: {traceback.format_exc(limit=-4)}", flush=True)
    if options.keep:
        print(f"kept: {world.folder}")
    else:
        shutil.rmtree(world.folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
