#!/usr/bin/python3
"""Stands in for Loki where there is none: takes OTLP over HTTP, sorts attributes into labels and structured metadata as it is told, keeps
every line in a file before it answers. It is not Loki: no LogQL, no limits, nothing is merged; what came twice is there twice.

usage: receiver.py --port PORT --file FILE [--address ADDRESS] --resource-labels A,B --log-labels C

POST /otlp/v1/logs; GET /ready; GET /metrics; GET /lines?text=TEXT and GET /streams as JSON. Python's own library alone.
"""

import argparse
import gzip
import http.server
import json
import os
import struct
import threading
import urllib.parse


def fields(data):
    """(number, value) of a protobuf message: whole numbers, or bytes of what has a length."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
        elif kind == 2:
            size = varint()
            yield key >> 3, data[at:at + size]
            at += size
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            yield key >> 3, struct.unpack("<Q" if kind == 1 else "<I", data[at:at + size])[0]
            at += size
        else:
            raise ValueError(f"wire type {kind}")


def text_of(value):
    """An AnyValue as text; the collector sends nothing else."""
    (kind, content), = fields(value)
    return content.decode() if kind == 1 else str(content)


def attribute(data):
    parts = dict(fields(data))
    return parts[1].decode(), text_of(parts[2])


def records(request):
    """(attributes of the resource, of the record, nanoseconds, observed nanoseconds, line) of an ExportLogsServiceRequest"""
    for _, resource_logs in (f for f in fields(request) if f[0] == 1):
        parts = list(fields(resource_logs))
        resource = dict(attribute(a) for number, part in parts if number == 1 for n, a in fields(part) if n == 1)
        for record in (r for number, scope in parts if number == 2 for n, r in fields(scope) if n == 2):
            own = list(fields(record))
            known = dict(own)
            yield resource, dict(attribute(a) for n, a in own if n == 6), known.get(1, 0), known.get(11, 0), text_of(known[5])


class Receiver(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, options):
        super().__init__((options.address, options.port), Handler)
        self.resource_labels, self.log_labels = set(options.resource_labels.split(",")), set(options.log_labels.split(","))
        self.lock, self.rows = threading.Lock(), []
        if os.path.exists(options.file):
            with open(options.file, encoding="utf-8") as file:  # a last line that a kill has cut was never acknowledged
                self.rows = [json.loads(line) for line in file if line.endswith("\n")]
            with open(options.file, "w", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in self.rows)
        self.file = open(options.file, "a", encoding="utf-8")

    def take(self, request):
        rows = []
        for resource, own, when, observed, line in records(request):
            labels = {k: v for k, v in resource.items() if k in self.resource_labels} | {k: v for k, v in own.items() if k in self.log_labels}
            metadata = {k: v for k, v in (resource | own).items() if k not in labels}
            if observed:
                metadata["observed_timestamp"] = str(observed)
            rows.append({"time": when, "line": line, "labels": labels, "metadata": metadata})
        with self.lock:
            self.file.writelines(json.dumps(row) + "\n" for row in rows)
            self.file.flush()
            self.rows += rows


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/otlp/v1/logs":
            return self.answer(404)
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        try:
            self.server.take(body)
        except (ValueError, KeyError, IndexError) as error:
            return self.answer(400, str(error).encode())
        return self.answer(200, kind="application/x-protobuf")

    def do_GET(self):
        path, _, query = self.path.partition("?")
        rows = self.server.rows
        if path == "/ready":
            return self.answer(200, b"ready\n", "text/plain")
        if path == "/metrics":
            return self.answer(200, f"# TYPE stand_in_lines_total counter\nstand_in_lines_total {len(rows)}\n".encode(), "text/plain; version=0.0.4")
        if path == "/lines":
            text = urllib.parse.parse_qs(query).get("text", [""])[0]
            return self.answer(200, json.dumps([row for row in rows if text in row["line"]]).encode())
        if path == "/streams":
            streams = {json.dumps(row["labels"], sort_keys=True) for row in rows}
            return self.answer(200, json.dumps([json.loads(stream) for stream in sorted(streams)]).encode())
        return self.answer(404)

    def log_message(self, *_):
        """Nothing: the collector asks often."""


def main():
    parser = argparse.ArgumentParser(prog="receiver.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--file", required=True)
    parser.add_argument("--resource-labels", required=True)
    parser.add_argument("--log-labels", required=True)
    Receiver(parser.parse_args()).serve_forever()


if __name__ == "__main__":
    main()
