"""How each alert is made to fire: by its cause, on a real service, never by a made-up metric; and how the cause is mended.

A scenario begins healthy where it can. What ends an alert is in each case the cause's end; where the expression looks back over
minutes, good requests afterwards outweigh the bad ones, or the minutes pass.
"""

import dataclasses
import glob
import itertools
import os
import sqlite3
import threading
import time
import typing

from harness.child import Failure, Skip, wait_until
from harness.load import HEALTHY, SCOPES, Broken, Connection, detection, post_batches
from harness.service import mint

FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"
QUICK = 150  # requests a second: many in a short time, for a service that has the processor for itself
CRITICAL_ITEMS = 50_500
STALE_HOURS = 2
QUIET_S, SILENCE_MOST_S = 15, 420  # what was slow at the start leaves a window of 5 minutes
SPOOL_ITEMS, SPOOL_BATCH = 200, 50
HELD_S, HELD_GAP_S = 3.0, 0.2  # the service itself waits for 5 s


@dataclasses.dataclass(frozen=True)
class Scenario:
    alerts: tuple
    words: str  # the cause, for people
    cause: typing.Callable
    mend: typing.Callable
    healthy: typing.Callable = lambda stand: stand.load(HEALTHY, 20)  # what runs until the cause
    prepare: typing.Callable = None  # in place of healthy: the cause is there from the start
    settings: dict = dataclasses.field(default_factory=dict)  # of the Stand


class Repeated:
    """Calls with a number, so often a second, until stop(), or so many times."""

    def __init__(self, rate, call, times=None):
        self._rate, self._call, self._stopping, self._problem = rate, call, threading.Event(), None
        self._numbers = itertools.count() if times is None else range(times)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            for number in self._numbers:
                if self._stopping.wait(1 / self._rate):
                    return
                self._call(number)
        except (Broken, Failure, IndexError) as problem:
            self._problem = problem

    def stop(self):
        self._stopping.set()
        self._thread.join()
        if self._problem is not None:
            raise Failure(f"the requests of the scenario broke off: {self._problem}")


def quick(stand):
    stand.load(HEALTHY, QUICK)


# The database


def database_goes(stand):
    """What reads gets 503; posts are spooled up to the spool's limit, then 507. Most requests here need no store: few errors suffice."""
    stand.fault("database-away")
    for service in stand.services:
        fill_spool(service, stand.token)
    stand.load({"rejected": 14, "green": 3, "list": 3}, 10)


def fill_spool(service, token):
    connection = Connection(service.address)
    for _ in range(SPOOL_ITEMS // SPOOL_BATCH + 2):
        status, _ = connection.ask("POST", "/api/v1/detections/batch", token, [detection(number=number) for number in range(SPOOL_BATCH)])
        if status == 507:
            return connection.close()
    raise Failure(f"the spool of {service.name} takes more than its limit")


def database_returns(stand):
    """Good requests from the moment on that reads are answered: 30 minutes of the burn rate are outweighed, not waited for."""
    stand.mend("database-away")
    for service in stand.services:
        connection = Connection(service.address)
        wait_until(f"{service.name} reads again", 120, lambda connection=connection: connection.ask("GET", "/api/v1/detections?limit=1", stand.token)[0] == 200)
        connection.close()
    stand.load(HEALTHY, 2 * QUICK, threads=6)


def database_slows(stand):
    """Slow, but not so slow that the service takes it for away (a second) and spools: then reads are refused, and quick at that."""
    stand.fault("database-slow", 0.1)
    stand.load({"green": 1, "read": 3, "list": 3}, 10, threads=8)


def database_is_quick(stand):
    stand.mend("database-slow")
    quick(stand)


# The disk


def store_is_held(stand):
    """Another process has the write lock of the SQLite file most of the time, as a copy of it or a slow disk does."""
    stand.load({"green": 1}, 20, threads=8)
    stand.holding = Repeated(1 / HELD_GAP_S, lambda _: hold_store(stand.service.store))


def hold_store(file):
    database = sqlite3.connect(file, isolation_level=None, timeout=HELD_S)
    try:
        database.execute("BEGIN IMMEDIATE")
        time.sleep(HELD_S)
        database.execute("ROLLBACK")
    except sqlite3.OperationalError:
        pass  # the service had it all the time
    finally:
        database.close()


def store_is_free(stand):
    stand.holding.stop()
    quick(stand)


# The TAK server


def tak_goes(stand):
    stand.fault("tak-away")
    stand.posting = Repeated(10, lambda _: post_batches(stand.service, stand.token, 500), CRITICAL_ITEMS // 500)


def tak_returns(stand):
    stand.posting.stop()
    stand.mend("tak-away")


def tak_resets(stand):
    stand.fault("tak-resets")
    stand.load(HEALTHY, 20)


def tak_resets_no_more(stand):
    stand.mend("tak-resets")
    quick(stand)


def tak_slows(stand):
    stand.fault("tak-slow", 7.0)
    stand.load(HEALTHY, 20)


def tak_is_quick(stand):
    stand.mend("tak-slow")
    quick(stand)


def queue_of_hours(stand):
    """A first run of the service whose clock is two hours behind leaves events of that age in its store."""
    libraries = glob.glob(FAKETIME)
    if not libraries:
        raise Skip("no libfaketime (Debian: faketime)")
    behind = {**os.environ, "LD_PRELOAD": libraries[0], "FAKETIME": f"-{STALE_HOURS}h", "DONT_FAKE_MONOTONIC": "1"}
    stand.fault("tak-away")
    stand.start_services(behind)
    token = mint(stand.service.key_file, "feeder-1", SCOPES, environment=behind)
    post_batches(stand.service, token, 10, age_s=STALE_HOURS * 3600)
    stand.service.stop()
    stand.start_services()


# The service and those who use it


def instances_end(stand):
    for service in stand.services[1:]:
        service.kill()


def service_ends(stand):
    for service in stand.services:
        service.kill()


def services_start(stand):
    stand.start_services()


def nobody_asks(stand):
    stand.start_services()


def credentials_are_wrong(stand):
    stand.load({"bad_token": 1}, 10, threads=2)


def credentials_are_right(stand):
    stand.load({"read": 1, "list": 1}, QUICK)


def poses_are_poor(stand):
    stand.load({"red": 1}, 40)


def many_to_read(stand):
    stand.ids = post_batches(stand.service, stand.token, 5_000)
    return stand.load({"green": 1}, 5)


def reads_are_cold(stand):
    """Each detection is read once: what a cache cannot help with."""
    connection = Connection(stand.service.address)

    def read(number):
        status, _ = connection.ask("GET", f"/api/v1/detections/{stand.ids[number]}", stand.token)
        if status != 200:
            raise Failure(f"a read was answered with {status}")

    stand.reading = Repeated(20, read)


def reads_are_warm(stand):
    stand.reading.stop()
    connection = Connection(stand.service.address)
    stand.reading = Repeated(QUICK, lambda _: connection.ask("GET", f"/api/v1/detections/{stand.ids[0]}", stand.token))


SCENARIOS = {
    "database-away": Scenario(
        ("HighErrorRate", "ErrorBudgetBurn", "DetectionProcessingErrors"),
        "PostgreSQL unreachable, the spool full: reads get 503, posts 507", database_goes, database_returns,
        settings={"services": 2, "database": True, "options": ("--spool-max-items", SPOOL_ITEMS)}),
    "database-slow": Scenario(
        ("HighP95Latency", "HighP99Latency"),
        "PostgreSQL answers 0.2 s later on each round trip", database_slows, database_is_quick, settings={"database": True}),
    "store-held": Scenario(
        ("SlowDetectionProcessing",), f"another process holds the write lock of the SQLite store for {HELD_S:.0f} s at a time", store_is_held, store_is_free),
    "tak-away": Scenario(
        ("TAKServerUnreachable", "OfflineQueueGrowing", "OfflineQueueCritical"),
        f"the TAK server listens no more; {CRITICAL_ITEMS:,} detections are posted", tak_goes, tak_returns),
    "tak-resets": Scenario(
        ("TAKPushFailures",), "the TAK server resets each connection at its first event", tak_resets, tak_resets_no_more),
    "tak-slow": Scenario(
        ("TAKPushLatency",), "the TAK server answers each ping 7 s late", tak_slows, tak_is_quick),
    "queue-stale": Scenario(
        ("OfflineQueueStale",), f"a store with events that have waited for {STALE_HOURS} hours, TAK still away", None,
        lambda stand: stand.mend("tak-away"), prepare=queue_of_hours),
    "services-away": Scenario(
        ("ServiceDown",), "every process killed", service_ends, services_start, settings={"services": 2}),
    "instance-away": Scenario(
        ("TooFewInstances",), "one of two processes killed", instances_end, lambda stand: stand.services[1].start(), settings={"services": 2}),
    "silence": Scenario(
        ("NoRequestsReceived",), "nobody sends a request since the start but probes and scrapes", None,
        lambda stand: stand.load(HEALTHY, 5), prepare=nobody_asks),
    "bad-credentials": Scenario(
        ("HighAuthFailureRate", "AuthBruteForceDetected"), "wrong tokens, 10 a second from two addresses", credentials_are_wrong, credentials_are_right,
        healthy=lambda stand: stand.load({"read": 1}, 2)),
    "poor-poses": Scenario(
        ("LowGeolocationConfidence",), "three of four detections are RED", poses_are_poor, quick,
        healthy=lambda stand: stand.load({"green": 1}, 10)),
    "cold-reads": Scenario(
        ("LowCacheHitRate",), "each detection is read once", reads_are_cold, reads_are_warm, healthy=many_to_read),
}


def run(stand, scenario, patience, say):
    """-> {alert: (seconds from the cause until it fires, seconds from the mending until it is gone)}"""
    began = time.monotonic()
    if scenario.prepare:
        scenario.prepare(stand)
        began = time.monotonic()  # the rest of the cause is the time that Prometheus sees it
        stand.start_prometheus()
    else:
        with_ = scenario.healthy(stand)
        stay_quiet(stand, scenario.alerts, patience)
        say("healthy: none of them fires")
        with_.stop()
        began = time.monotonic()
        scenario.cause(stand)
    fired = watch(stand, scenario.alerts, True, 240 * patience, began, say)
    stand.stop_loads()
    began = time.monotonic()
    scenario.mend(stand)
    gone = watch(stand, scenario.alerts, False, 600 * patience, began, say)
    if errors := stand.prometheus.rule_errors():
        raise Failure(f"rules that could not be evaluated: {errors}")
    return {alert: (fired[alert], gone[alert]) for alert in scenario.alerts}


def stay_quiet(stand, alerts, patience):
    """A healthy service comes to silence, and stays silent for a while: what would fire on a healthy one's numbers never does. The
    first moments do not count: before the first scrapes much is absent, and a start beside others is slow."""
    wanted, since = set(alerts), time.monotonic()

    def quiet():
        nonlocal since
        if wanted & {alert["labels"]["alertname"] for alert in stand.prometheus.alerts()}:
            since = time.monotonic()
        return time.monotonic() - since > QUIET_S

    wait_until(f"{', '.join(alerts)}: no silence before the cause", SILENCE_MOST_S * patience, quiet, every=1)


def watch(stand, alerts, firing, seconds, began, say):
    """Waits until each fires (or no longer does). -> {alert: seconds since began}"""
    times = {}

    def all_seen():
        now = stand.firing()
        for alert in alerts:
            if alert not in times and (alert in now) == firing:
                times[alert] = time.monotonic() - began
                say(f"{alert} {'fires' if firing else 'is resolved'} after {times[alert]:.0f} s")
        return len(times) == len(alerts)

    try:
        wait_until("", seconds, all_seen, every=0.5)
    except Failure:
        missing = [alert for alert in alerts if alert not in times]
        raise Failure(f"{', '.join(missing)} {'does not fire' if firing else 'still fires'} after {seconds:.0f} s; {now_of(stand, missing)}") from None
    return times


def now_of(stand, alerts):
    states = [f"{alert['labels']['alertname']} {alert['state']} at {alert['value']}" for alert in stand.prometheus.alerts()]
    return f"now: {'; '.join(states) or 'no alert'}; wanted: {', '.join(alerts)}"
