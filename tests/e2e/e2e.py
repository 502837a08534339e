#!/usr/bin/python3
"""End-to-end tests of a release on a real Kubernetes.

Takes any cluster by KUBECONFIG, else brings up one of its own on this machine (tests/e2e/cluster). One line for each test:
`ok NAME (seconds) figures`, `FAILED NAME ...` or `SKIPPED NAME ...`; the last line counts them.
"""

import argparse
import collections
import datetime
import importlib
import os
import pathlib
import platform
import signal
import subprocess
import sys
import time
import traceback
from typing import NamedTuple

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import cases
from harness import images
from harness.cluster import ROOT, Cluster, Failure, NotHere
from harness.peers import NAMESPACE, OURS, Peers
from harness.release import EDGE_SPACE, SPACE, Release

FIGURES = ROOT / "docs" / "architecture"
for module in ("install", "switch", "faults", "scale", "policies", "observability", "release", "release_faults", "secrets", "edge", "recovery"):
    importlib.import_module(f"cases.{module}")  # their tests register themselves, and run in this order
EPILOG = """A foreign cluster pulls its images: push build/e2e/{postgres,taky,load}.tar as NAME:test, build/e2e/service/image.tar as
detection-api:e2e and build/e2e/exits/image.tar as detection-api:exits (--images makes them) to a registry that it
reaches, and say --image-prefix REGISTRY/PATH. `observability` wants {prometheus,alertmanager,node-exporter,loki,otelcol}:test too (tests/e2e/images/build).
The namespaces detection-system, detection-e2e, detection-edge and monitoring are made and deleted (--keep: not at the end); where one
is there that these tests did not make, nothing is touched.
A whole group (no --only, no --quick) on the local cluster writes docs/architecture/phase05-GROUP-figures.md; --only with --record puts
its tests' rows in place of those that are there. Each row has its own date and commit.
Exit 0: none failed, 1: one did, 2: wrong usage, 77: there is no cluster (the last line says what to do)."""


class Result(NamedTuple):
    test: cases.Test
    outcome: str
    seconds: float
    words: str


def counted(results):
    count = collections.Counter(result.outcome for result in results)
    return f"{count['ok']} passed, {count['FAILED']} failed, {count['SKIPPED']} skipped"


class World:
    """What every test is given."""

    def __init__(self, cluster, options):
        self.cluster, self.quick, self.prefix, self.tag = cluster, options.quick, options.image_prefix, "e2e"
        self.image = f"{self.prefix}/detection-api:{self.tag}"
        self.requests, self.rate = options.requests, options.rate
        self.peers = self.release = None
        self.service = options.service or images.WORK / "service"  # as image/build has made it
        self.kept = None  # the stand that some tests share: has .name and .close()

    def digest(self):
        """Of the service's image."""
        return (self.service / "digest").read_text(encoding="ascii").strip()

    def leave(self, but=""):
        """Takes the shared stand down, unless it is this one."""
        if self.kept and self.kept.name != but:
            kept, self.kept = self.kept, None
            kept.close()

    def ready(self, nodes):
        """The cluster with at least so many nodes, and the peers in it; a cluster that is new is filled anew."""
        new = self.cluster.up(nodes)
        if self.peers is None or new:
            if self.peers is None:
                self.clean()
            self.peers = Peers(self.cluster, self.prefix)
            self.peers.start()
            self.release = Release(self.cluster, self.peers, self.prefix, self.tag)

    def clean(self):
        there = {n["metadata"]["name"]: n["metadata"].get("labels", {}) for n in self.cluster.items("namespaces")}
        for name in (SPACE, NAMESPACE, EDGE_SPACE):
            if name in there and there[name].get(OURS) != "yes":
                raise Failure(f"the namespace {name} is there and was not made by these tests: this is not a cluster for them")
        for name in (SPACE, NAMESPACE, EDGE_SPACE):
            self.cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--timeout=150s")


def arguments():
    parser = argparse.ArgumentParser(prog="tests/e2e/e2e.py", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this test; may be given many times")
    parser.add_argument("--group", action="append", default=[], choices=cases.GROUPS, help="these tests; may be given many times (default: all groups)")
    parser.add_argument("--quick", action="store_true", help="the short ones: install, post, switch and what belongs to it; 6,000 requests")
    parser.add_argument("--list", action="store_true", help="the names of the tests and what each shows")
    parser.add_argument("--record", action="store_true", help="with --only: write the figures into the page of the group, too")
    parser.add_argument("--keep", action="store_true", help="leave the cluster and what is in it")
    parser.add_argument("--requests", type=int, help="of the switch (default 100,000; --quick: 6,000)")
    parser.add_argument("--rate", type=float, default=400, help="requests a second of the switch, both clients together (default 400)")
    parser.add_argument("--service", type=pathlib.Path, metavar="FOLDER", help="take this build of image/build --name localhost/detection-api:e2e; default: build it")
    parser.add_argument("--images", action="store_true", help="make the images, print where they are, and end")
    parser.add_argument("--image-prefix", default="localhost", help="where a foreign cluster pulls the images from")
    options = parser.parse_args()
    options.requests = options.requests or (6000 if options.quick else 100000)
    options.group = options.group or list(cases.GROUPS)
    names = [test.name for test in cases.TESTS]
    for name in options.only:
        if name not in names:
            parser.error(f"there is no test '{name}'; there are: {', '.join(names)}")
    return options


def say(*words, sep=" "):
    print(*words, sep=sep, flush=True)


def chosen(options):
    if options.only:
        return [test for test in cases.TESTS if test.name in options.only]
    return [test for test in cases.TESTS if test.group in options.group and (test.quick or not options.quick)]


def run_all(options, cluster):
    world = World(cluster, options)
    results, version = [], ""
    for archive in images.build(options.service) if cluster.ours else ():
        cluster.load(archive)
    try:
        # The tests that need most nodes come last, so that a cluster is made anew once at most.
        for test in sorted(chosen(options), key=lambda test: test.nodes):
            name, began = test.name, time.monotonic()
            try:
                world.leave(test.shares)
                world.ready(test.nodes)
                version = version or cluster.version()
                outcome, words = "ok", test.function(world)
            except NotHere as reason:
                outcome, words = "SKIPPED", str(reason)
            except Failure as problem:
                outcome, words = "FAILED", str(problem)
                keep_evidence(world, name)
            except Exception as problem:  # pylint: disable=broad-except  # a fault of the test: the others go on
                outcome, words = "FAILED", f"{type(problem).__name__}: {problem}; {traceback.format_exc(limit=-2)}"
                keep_evidence(world, name)
            results.append(Result(test, outcome, time.monotonic() - began, words))
            say(f"{outcome} {name} ({results[-1].seconds:.0f} s) {words}")
    finally:
        if not options.keep:
            world.leave()
            if not cluster.made:
                world.clean()
            cluster.down()
    return results, version


def keep_evidence(world, name):
    """What the cluster was like when a test failed; the release is told to find its baseline again."""
    folder = ROOT / "build" / "logs" / "e2e" / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, *command in (("objects.txt", "get", "all,hpa,pdb,networkpolicy,resourcequota,endpointslices", "-A", "-o", "wide"),
                           ("events.txt", "get", "events", "-A", "--sort-by=.lastTimestamp"),
                           ("pods.yaml", "-n", SPACE, "get", "pods,jobs", "-o", "yaml"),
                           ("logs.txt", "-n", SPACE, "logs", "-l", "app.kubernetes.io/name=detection-api", "--prefix", "--tail=300", "--max-log-requests=40")):
        try:
            (folder / file).write_text(world.cluster.kubectl(*command, check=False), encoding="utf-8")
        except Failure as problem:
            (folder / file).write_text(str(problem), encoding="utf-8")
    if world.release and world.release.installed:
        # What a failed commit left may be anything: the next test makes its own.
        world.release.values = {**world.release.values, "unknown": True}


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def rows_there(page):
    """-> {test: its row}; of a page whose rows have a date and a commit."""
    lines = page.read_text(encoding="utf-8").splitlines() if page.is_file() else []
    return {line.split("|")[1].strip(): line for line in lines if line.startswith("| ") and line.count(" | ") >= 4 and not line.startswith("| test |")}


def write_figures(version, group, results, whole):
    """A whole group is a new page; single tests take the place of their rows."""
    page = FIGURES / f"phase05-{group}-figures.md"
    commit = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True, check=True).stdout.strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    when = f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M}, `{commit}`"
    rows = {} if whole else rows_there(page)
    rows |= {test.name: f"| {test.name} | {outcome} | {seconds:.0f} s | {when} | {' '.join(words.replace('|', '/').split())} |" for test, outcome, seconds, words in results}
    table = "\n".join(rows[test.name] for test in cases.TESTS if test.name in rows)
    page.write_text(f"""# Figures on a real Kubernetes: {group}

Written by `tests/e2e/e2e.py --group {group}` at its end, and by `--only NAME --record` for single tests; what each test shows: `tests/e2e/e2e.py --list`.

- Kubernetes: {version}
- Machine: {os.cpu_count()} cores ({processor()}), {memory:.0f} GiB; the cluster's nodes, PostgreSQL, taky and the clients all on it

| test | result | took | date (UTC), commit | figures |
|---|---|---|---|---|
{table}
""", encoding="utf-8")


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the cluster is taken down on the way out
    if options.list:
        for test in cases.TESTS:
            say(f"{test.group:10} {test.name:18} {test.nodes} nodes  {'quick' if test.quick else '     '}  {' '.join((test.function.__doc__ or '').split())}")
        return 0
    try:
        if options.images:
            say(*images.build(options.service), sep="\n")
            return 0
        cluster = Cluster(options.keep)
        results, version = run_all(options, cluster)
    except NotHere as reason:
        say(f"SKIPPED {reason}")
        return 77
    except Failure as problem:
        say(f"FAILED before the first test: {problem}")
        return 1
    whole = not options.only and not options.quick
    if cluster.ours and (whole or (options.only and options.record)):
        for group in options.group:
            of_group = [result for result in results if result.test.group == group]
            if of_group:
                write_figures(version, group, of_group, whole)
    say(counted(results))
    return 1 if any(result.outcome == "FAILED" for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
