#!/usr/bin/python3
"""Drills: what was built against a loss, gone through with the real programs. Run by tests/drills/run, which has the usage."""

import argparse
import importlib
import pathlib
import signal
import sys
import time
import traceback

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "observability/live")]
# pylint: disable=wrong-import-position
from harness.child import Failure, Skip

from parts.drill import DRILLS

for module in ("database_lost", "continuous", "volume_full", "bad_migration"):
    importlib.import_module(module)  # their drills register themselves, and run in this order

SHORT_WAIT_S = 1


class World:
    def __init__(self, short):
        self._short = short

    def long(self, seconds):
        """How long the load goes on somewhere; a short run has less of it."""
        return min(seconds, SHORT_WAIT_S) if self._short else seconds


def one(drill, world):
    """-> what its line begins with, and the rest of it"""
    try:
        done = drill.function(world)
        return "ok", f"recovery point {done.recovery_point_s:.1f} s, recovery time {done.recovery_s:.1f} s: {done.words}"
    except Skip as reason:
        return "SKIPPED", str(reason)
    except Failure as problem:
        return "FAILED", str(problem)
    except Exception as problem:  # pylint: disable=broad-except  # a fault of the drill: the others go on
        return "FAILED", f"{type(problem).__name__}: {problem}; {traceback.format_exc(limit=-3)}"


def main():
    parser = argparse.ArgumentParser(prog="tests/drills/run")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    known = {drill.name: drill for drill in DRILLS}
    for name in options.names:
        if name not in known:
            parser.error(f"there is no drill '{name}'; there are: {', '.join(known)}")
    if options.list:
        for drill in DRILLS:
            print(f"{drill.name:18} {'short' if drill.short else '     '}  {' '.join(drill.function.__doc__.split())}")
        return 0
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(130))  # what a drill has started ends with its block
    chosen = [known[name] for name in options.names] or [drill for drill in DRILLS if drill.short or not options.short]
    counts = {"ok": 0, "FAILED": 0, "SKIPPED": 0}
    for drill in chosen:
        began = time.monotonic()
        outcome, words = one(drill, World(options.short))
        counts[outcome] += 1
        print(f"{outcome} {drill.name} ({time.monotonic() - began:.0f} s) {words}", flush=True)
    print(f"{counts['ok']} passed, {counts['FAILED']} failed, {counts['SKIPPED']} skipped")
    return 1 if counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
