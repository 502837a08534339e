"""A detection's story by its id, the labels, and the queries of the runbooks."""

import json
import re
import subprocess
import time

from stack import OBSERVABILITY, ROOT, Collector, Failure, PodLog, Service, detection, log_store, until, want

LABELS = {"namespace", "app", "slot", "level"}
METADATA = {"event", "request_id", "detection_id", "trace_id", "pod"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Running:
    """Service, its TAK peer, collector and Loki together."""

    def __init__(self, world, folder, **more):
        self.folder, self.pods = folder, folder / "pods"
        self.loki = log_store(world, folder)
        self.collector = Collector(world.tool("otelcol"), folder, self.pods, self.loki)
        self.service = self.peer = None
        self.binary, self.more = world.service, more

    def __enter__(self):
        self.loki.start()
        self.collector.start()
        self.collector.wait_ready()
        self.peer = subprocess.Popen(["/usr/bin/python3", ROOT / "scripts" / "tak_peer.py", "--dir", self.folder / "tak"], stdout=subprocess.PIPE, text=True)
        port = self.peer.stdout.readline().split()[1]
        self.service = Service(self.binary, self.folder, self.pods, sink=f"tcp://127.0.0.1:{port}", **self.more)
        return self

    def __exit__(self, *_):
        if self.service:
            self.service.stop()
        self.collector.stop()
        self.loki.stop()
        if self.peer:
            self.peer.terminate()
            self.peer.wait()


def told(loki, detection_id, wanted):
    """One query, as queries.md has it. -> the lines, when all these events are among them"""
    rows = loki.rows(detection_id)
    events = {json.loads(line)["event"] for _, line, _ in rows}
    return rows if wanted <= events else None


def story(world, folder):
    """One delivered, one held and released, and one of a batch; each as soon as it was answered."""
    with Running(world, folder) as running:
        service, loki = running.service, running.loki
        until(60, "the sink is connected", lambda: any('"tak_connected"' in line for _, line in service.log.written))
        took = {}
        for name in ("delivered", "held", "batch"):
            began = time.monotonic()
            if name == "batch":
                status, text = service.ask("/api/v1/detections/batch", [detection() for _ in range(150)])
                want(status == 200, f"the batch was answered {status}: {text[:300]}")
                found = json.loads(text)["results"][137]["detection_id"]
            else:
                status, text = service.ask("/api/v1/detections", detection(0.92 if name == "delivered" else 0.3), traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
                want(status == 201, f"the POST was answered {status}: {text[:300]}")
                found = json.loads(text)["detection_id"]
            wanted = {"detection_accepted", "detection_delivered"}
            if name == "held":
                status, text = service.ask(f"/api/v1/detections/{found}/verify", {"verified": True}, method="PUT")
                want(status == 200, f"the decision was answered {status}: {text[:300]}")
                wanted.add("detection_decided")
            try:
                rows = until(120, f"the story of a {name} detection", lambda id_=found, events=wanted: told(loki, id_, events))
            except Failure as error:
                raise Failure(f"{error}; the service has said {[line for _, line in service.log.written if found in line]}") from error
            took[name] = time.monotonic() - began
            want(took[name] <= 10, f"the story of a {name} detection took {took[name]:.1f} s")
            if name == "delivered":
                want({json.loads(line).get("trace_id") for _, line, _ in rows} >= {TRACE}, f"no trace_id {TRACE} in {rows}")
        look_at_labels(loki)
        return (", ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items()) + " from before the request to the whole story in one query by the id; "
                f"labels {', '.join(sorted(LABELS))}, {len(loki.streams())} streams")


def look_at_labels(loki):
    for stream in loki.streams():
        want(set(stream) == LABELS, f"the labels of a stream are {stream}")
    for _, line, labels in loki.rows():
        extra = set(labels) - LABELS
        want(extra <= METADATA, f"structured metadata of a line: {sorted(extra)}")
        want(labels["slot"] == "blue" and labels["app"] == "detection-api", f"labels {labels}")
        said = json.loads(line)
        want(labels["level"] == said["level"] and all(labels.get(name) == said.get(name) for name in METADATA - {"pod"}), f"{labels} of {line}")


def blocks(*files):
    """The queries of queries.md, or of other pages."""
    texts = [path.read_text(encoding="utf-8") for path in files or [OBSERVABILITY / "loki" / "queries.md"]]
    return [query.strip() for text in texts for query in re.findall(r"^ *```logql\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)]


def runbook_blocks():
    return blocks(*sorted((OBSERVABILITY / "runbooks").glob("*.md")))


def example_lines(detection_id):
    """What the service says when things go wrong that this check does not bring about; its names are compared with the sources by `config`."""
    said = [("error", "request_failed", {"method": "POST", "route": "/api/v1/detections", "status": 503, "request_id": "r-503", "duration_ms": 412.5}),
            ("error", "dead_letter", {"sink": "tak", "detection_id": detection_id, "reason": "refused"}),
            ("warning", "tak_lost", {"sink": "tak", "reason": "connection reset", "unconfirmed_events": 3}),
            ("warning", "certificate_expiring", {"sink": "tak"}), ("warning", "queue_filling", {"sink": "tak"}),
            ("warning", "store_away", {"reason": "timeout"}), ("error", "audit_broken", {"first_bad": "serve:7"}),
            ("info", "release_delivers", {"slot": "blue"}), ("info", "stopped", {})]
    for level, event, fields in said:
        yield json.dumps({"time": "2026-01-01T00:00:00.000Z", "level": level, "event": event, "message": "an example", **fields})


def queries(world, folder):
    """Every query of queries.md, over a real story and examples of what goes wrong."""
    with Running(world, folder) as running:
        service, loki = running.service, running.loki
        status, text = service.ask("/api/v1/detections", detection(), traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
        want(status == 201, f"the POST was answered {status}: {text[:300]}")
        found = json.loads(text)["detection_id"]
        for line in example_lines(found):
            service.log.write(line)
        service.log.write("terminate called after throwing an instance of 'std::bad_alloc'", stream="stderr")
        until(60, "the examples are there", lambda: told(loki, found, {"detection_accepted", "detection_delivered", "dead_letter"}))
        pod = service.log.path.parts[-3].split("_")[1]
        request = next(json.loads(line)["request_id"] for _, line in service.log.written if found in line)
        empty, asked = [], blocks()
        for query in asked:
            for word, value in (("DETECTION_ID", found), ("REQUEST_ID", request), ("TRACE_ID", TRACE), ("POD", pod), ("SINK", "tak")):
                query = query.replace(word, value)
            data = loki.ask("query_range", query=query, start=time.time_ns() - 600 * 10**9, end=time.time_ns() + 10**9, limit=100, step="30s")
            if not data["result"]:
                empty.append(query)
            errors = [s["stream"] for s in data["result"] if "__error__" in s.get("stream", {})]
            want(not errors, f"{query}: {errors[:1]}")
        want(not empty, f"{len(empty)} of {len(asked)} queries found nothing: {empty}")
        for query in (pages := runbook_blocks()):  # some ask for what must not be: that they are understood is enough
            loki.ask("query_range", query=query, start=time.time_ns() - 600 * 10**9, end=time.time_ns() + 10**9, limit=100, step="30s")
        lone = PodLog(running.pods, "detection-migrate-x7k2p", container="migrate")
        lone.write('{"time":"2026-01-01T00:00:00.000Z","level":"info","event":"migrated","message":"an example"}')
        until(60, "a job's line has the slot none", lambda: loki.lines('{namespace="detection-system", app="detection-api", slot="none", level="info"} | event="migrated"'))
        lone.close()
        return f"{len(asked)} queries ran, each found something, and {len(pages)} of the runbooks; a job's lines have the slot none"
