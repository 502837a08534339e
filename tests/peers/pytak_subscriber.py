#!/usr/bin/python3
"""Subscribes to a TAK server with pytak (a real TAK client) for a test.

usage: pytak_subscriber.py --url tcp://127.0.0.1:PORT --output FILE
       pytak_subscriber.py --url tls://localhost:PORT --credentials FOLDER --output FILE    (tls.crt, tls.key, ca.crt)

Reconnects for ever. Each event is parsed as XML and held against the rules of CoT (version, how, times, point); one line
of JSON for each goes to FILE: {"uid", "time", "type", "connection"} and "bad" with the broken rules, if any. Pings and
pongs are left out. "connected N" is printed at each connection; SIGTERM ends it with a summary line of JSON, and exit 0,
or 1 when an event was bad.
Exit 77: the environment of pytak is not there (tests/peers/setup_venv.sh pytak).
"""

import argparse
import asyncio
import configparser
import json
import logging
import os
import pathlib
import re
import signal
import sys
import warnings
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".cache" / "venv" / "pytak" / "bin" / "python"
if not (PYTHON.parents[1] / ".requirements").exists():  # written by setup_venv.sh when all is there
    print(f"SKIPPED: {PYTHON.parents[1]} is not there; run tests/peers/setup_venv.sh pytak", file=sys.stderr)
    sys.exit(77)
if pathlib.Path(sys.prefix) != PYTHON.parents[1]:
    os.execv(PYTHON, [str(PYTHON), *sys.argv])

warnings.simplefilter("ignore")  # of its optional parts, which tcp does not need
import pytak  # noqa: E402

logging.disable(logging.INFO)

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
TYPE = re.compile(r"\w+(-\w+)*(;[^;]*)?")
HOW = re.compile(r"\w(-\w+)*")
RANGES = {"lat": (-90, 90), "lon": (-180, 180), "hae": (-1e7, 1e7), "ce": (0, 1e7), "le": (0, 1e7)}


def broken_rules(event: ElementTree.Element) -> list[str]:
    bad = []
    if event.tag != "event":
        return [f"element {event.tag}"]
    try:
        if float(event.get("version", "")) < 2:
            bad.append("version < 2")
    except ValueError:
        bad.append("version")
    if not event.get("uid"):
        bad.append("uid")
    if not TYPE.fullmatch(event.get("type", "")):
        bad.append("type")
    if not HOW.fullmatch(event.get("how", "")):
        bad.append("how")
    bad += [name for name in ("time", "start", "stale") if not TIME.fullmatch(event.get(name, ""))]
    points = event.findall("point")
    if len(points) != 1 or len(event.findall("detail")) > 1:
        return bad + ["one point, at most one detail"]
    for name, (least, most) in RANGES.items():
        try:
            if not least <= float(points[0].get(name, "")) <= most:
                bad.append(f"point {name} out of range")
        except ValueError:
            bad.append(f"point {name}")
    return bad


class Subscriber:
    def __init__(self, output):
        self.output = output
        self.connections = 0
        self.events = 0
        self.bad = 0
        self.uids = set()

    def take(self, data: bytes) -> None:
        line = {}
        try:
            event = ElementTree.fromstring(data)
            if event.get("type", "").startswith("t-x-c-t"):
                return
            line = {name: event.get(name) for name in ("uid", "time", "type")}
            bad = broken_rules(event)
            self.uids.add(event.get("uid"))
        except ElementTree.ParseError as error:
            bad = [f"no XML: {error}"]
        self.events += 1
        line["connection"] = self.connections
        if bad:
            self.bad += 1
            line["bad"] = bad
        self.output.write(json.dumps(line) + "\n")
        self.output.flush()

    async def one_connection(self, url: str, credentials) -> None:
        parser = configparser.ConfigParser(interpolation=None)
        parser["pytak"] = {
            "COT_URL": url,
            "PYTAK_NO_HELLO": "1",
            "MAX_IN_QUEUE": "4000000",  # a full queue drops its oldest
            "MAX_OUT_QUEUE": "10",
        }
        if credentials:
            parser["pytak"]["PYTAK_TLS_CLIENT_CERT"] = str(credentials / "tls.crt")
            parser["pytak"]["PYTAK_TLS_CLIENT_KEY"] = str(credentials / "tls.key")
            parser["pytak"]["PYTAK_TLS_CLIENT_CAFILE"] = str(credentials / "ca.crt")
        tool = pytak.CLITool(parser["pytak"])
        await tool.setup()
        self.connections += 1
        print(f"connected {self.connections}", flush=True)
        readers = [task.reader for task in tool.tasks if isinstance(task, pytak.RXWorker)]
        subscriber = self

        class Taker(pytak.QueueWorker):
            async def handle_data(self, data):
                subscriber.take(data)

            async def run(self, _=-1):
                while True:
                    await self.handle_data(await self.queue.get())

        class Watcher(pytak.QueueWorker):
            """pytak's RXWorker spins for ever at the end of the stream: this one ends the connection."""

            async def handle_data(self, data):
                raise AssertionError("a watcher has no data")

            async def run(self, _=-1):
                while not all(reader.at_eof() for reader in readers):
                    await asyncio.sleep(0.02)
                while not self.queue.empty():
                    await asyncio.sleep(0.02)
                raise ConnectionError("end of the stream")

        config = parser["pytak"]
        tool.add_tasks({Taker(tool.rx_queue, config), Watcher(tool.rx_queue, config)})
        await tool.run()

    async def run(self, url: str, credentials) -> None:
        while True:
            try:
                await self.one_connection(url, credentials)
            except (OSError, ConnectionError, asyncio.IncompleteReadError):
                pass
            await asyncio.sleep(0.05)


async def subscribe(url: str, credentials, subscriber: Subscriber) -> None:
    task = asyncio.ensure_future(subscriber.run(url, credentials))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        pass


def main() -> int:
    options = argparse.ArgumentParser(description="a pytak subscriber for a test")
    options.add_argument("--url", required=True)
    options.add_argument("--output", required=True, type=pathlib.Path)
    options.add_argument("--credentials", type=pathlib.Path)
    arguments = options.parse_args()
    with open(arguments.output, "a", encoding="ascii") as output:
        subscriber = Subscriber(output)
        asyncio.run(subscribe(arguments.url, arguments.credentials, subscriber))
    summary = {
        "events": subscriber.events,
        "uids": len(subscriber.uids),
        "bad": subscriber.bad,
        "connections": subscriber.connections,
    }
    print(json.dumps(summary), flush=True)
    return 1 if subscriber.bad else 0


if __name__ == "__main__":
    sys.exit(main())
