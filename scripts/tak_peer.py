#!/usr/bin/python3
"""A TAK peer of last resort for ./run where taky cannot be installed: it records events and answers pings.

usage: tak_peer.py --dir FOLDER [--port PORT]

Listens on 127.0.0.1, prints "ready PORT PID" and stays until SIGTERM. Each event is appended to FOLDER/cot/peer.cot
before the ping behind it is answered, as a TAK server would have routed it. Not a TAK server: nobody else can listen.
"""

import argparse
import datetime
import os
import pathlib
import signal
import socketserver
import sys
import threading
import xml.etree.ElementTree as ElementTree

END = b"</event>"
EVENT_BYTES_MOST = 1 << 20


def pong() -> bytes:
    now = datetime.datetime.now(datetime.timezone.utc)
    time, stale = (
        moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for moment in (now, now + datetime.timedelta(seconds=20))
    )
    return (
        f'<event version="2.0" uid="takPong" type="t-x-c-t-r" how="h-g-i-g-o" time="{time}" start="{time}" '
        f'stale="{stale}"><point lat="0.0" lon="0.0" hae="0.0" ce="9999999.0" le="9999999.0"/></event>'
    ).encode("ascii")


class Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        pending = b""
        while data := self.request.recv(65536):
            pending += data
            *events, pending = pending.split(END)
            for event in events:
                self.take(event + END)
            if len(pending) > EVENT_BYTES_MOST:
                return

    def take(self, event: bytes) -> None:
        try:
            kind = ElementTree.fromstring(event.lstrip()).get("type", "")
        except ElementTree.ParseError as problem:
            print(f"not an event: {problem}", file=sys.stderr, flush=True)
            return
        if kind == "t-x-c-t":
            self.request.sendall(pong())
            return
        with self.server.lock:
            self.server.record.write(event.strip() + b"\n")
            self.server.record.flush()


class Peer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, record: pathlib.Path) -> None:
        super().__init__(("127.0.0.1", port), Connection)
        self.lock = threading.Lock()
        self.record = open(record, "ab")


def main() -> None:
    parser = argparse.ArgumentParser(description="A TAK peer of last resort: records events, answers pings")
    parser.add_argument("--dir", required=True, type=pathlib.Path)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    (options.dir / "cot").mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with Peer(options.port, options.dir / "cot" / "peer.cot") as peer:
        print(f"ready {peer.server_address[1]} {os.getpid()}", flush=True)
        peer.serve_forever()


if __name__ == "__main__":
    main()
