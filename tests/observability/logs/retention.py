"""Fourteen days, and not for ever: Loki's own compactor, with its pauses shortened and everything else as it is."""

import json
import time

import yaml
from stack import Loki, http, until, want

DAY = 86400 * 10**9
# The pauses between two looks; and old lines are let in, which in life come when they are new.
SHORTER = ("-compactor.compaction-interval=5s", "-compactor.retention-delete-delay=1s", "-tsdb.shipper.resync-interval=5s",
           "-validation.reject-old-samples=false")
SLOTS = {15: "blue", 13: "green", 1: "none"}  # a stream each: a chunk goes as a whole, when its newest line is too old


def push(loki, days):
    when = time.time_ns() - days * DAY
    labels = {"namespace": "detection-system", "app": "detection-api", "slot": SLOTS[days]}
    line = {"timeUnixNano": str(when), "body": {"stringValue": f"{days} days"}, "attributes": [{"key": "level", "value": {"stringValue": "info"}}]}
    body = {"resourceLogs": [{"resource": {"attributes": [{"key": key, "value": {"stringValue": value}} for key, value in labels.items()]},
                              "scopeLogs": [{"logRecords": [line]}]}]}
    status, text = http(f"{loki.url}/otlp/v1/logs", json.dumps(body).encode(), {"Content-Type": "application/json"})
    want(status in (200, 204), f"a line of {days} days was answered {status}: {text}")


def days_there(loki):
    found = set()
    for days in SLOTS:  # a query may not be longer than what is kept
        at = time.time_ns() - days * DAY
        data = loki.ask("query_range", query='{app="detection-api"}', start=at - DAY // 4, end=at + DAY // 4, limit=10)
        found |= {value[1] for stream in data["result"] for value in stream["values"]}
    return found


def retention(world, folder):
    loki = Loki(world.tool("loki"), folder)
    loki.start(*SHORTER)
    try:
        settings = yaml.safe_load(http(f"{loki.url}/config")[1])
        want(settings["limits_config"]["retention_period"] in ("2w", "336h", "14d"), f"retention_period is {settings['limits_config']['retention_period']}")
        want(settings["compactor"]["retention_enabled"] is True, "the compactor does not delete")
        for days in SLOTS:
            push(loki, days)
        until(30, "all three are there", lambda: days_there(loki) == {"1 days", "13 days", "15 days"})
        loki.stop()  # writes chunks and index, which otherwise happens after an hour
        loki.start(*SHORTER)
        began = time.monotonic()
        until(240, "the line of 15 days is gone", lambda: "15 days" not in days_there(loki), pause=2)
        took = time.monotonic() - began
        time.sleep(10)
        left = days_there(loki)
        want(left == {"1 days", "13 days"}, f"left are {sorted(left)}")
    finally:
        loki.stop()
    return f"of lines of 1, 13 and 15 days the last is gone {took:.0f} s after the compactor's start, the others stay"
