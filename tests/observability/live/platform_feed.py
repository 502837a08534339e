"""What a cluster would add to the service's own metrics: the real node exporter of this machine, and a kubelet's /metrics/cadvisor and
/metrics, of which there is none here. Names, labels and help are those of kubelet 1.35 (cadvisor 0.53, metrics/prometheus.go;
pkg/kubelet/server/server.go; pkg/kubelet/metrics): the values are those of the running services' processes."""
import hashlib
import http.server
import os
import shutil
import threading
import time
import urllib.request

from harness.child import Child, Failure, Skip, free_port, wait_until
from harness.service import ROOT

CPU_LIMIT, PERIOD, MEMORY_LIMIT = 1.0, 100_000, 1 << 30  # requirements.md, section 1, D1
CONTAINER, IMAGE = "detection-api", "localhost/detection-api:1"
PAUSE = "registry.k8s.io/pause:3.10"


class NodeExporter:
    """Debian's prometheus-node-exporter."""

    def __init__(self, folder):
        program = shutil.which("prometheus-node-exporter") or shutil.which(str(ROOT / ".cache/tools/bin/node-exporter"))
        if program is None:
            raise Skip("no node exporter (scripts/chart_tools.sh node-exporter)")
        self.address = f"127.0.0.1:{free_port()}"
        self._child = Child([program, f"--web.listen-address={self.address}", "--collector.disable-defaults", "--collector.cpu",
                             "--collector.loadavg", "--collector.meminfo", "--collector.filesystem", "--collector.diskstats",
                             "--collector.netdev"], folder / "node-exporter.log")
        wait_until("the node exporter answers", 60, self._answers)

    def _answers(self):
        if not self._child.running:
            raise Failure(f"the node exporter does not start: {self._child.output()}")
        try:
            with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=10) as answer:
                return answer.status == 200
        except OSError:
            return False

    def close(self):
        self._child.end()


class Text:
    """An exposition: each family once with its help and type."""

    def __init__(self):
        self._families = {}

    def add(self, name, kind, text, value, labels, when=None):
        _, samples = self._families.setdefault(name, (f"# HELP {name} {text}\n# TYPE {name} {kind}\n", []))
        shown = ",".join(f'{key}="{labels[key]}"' for key in sorted(labels))
        samples.append(f"{name}{{{shown}}} {value}{f' {round(when * 1000)}' if when else ''}\n")

    def __str__(self):
        return "".join(head + "".join(samples) for head, samples in self._families.values())


def process(service):
    """-> processor seconds, resident bytes, start: as the service itself tells."""
    wanted = {"process_cpu_seconds_total": 0.0, "process_resident_memory_bytes": 0.0, "process_start_time_seconds": 0.0}
    for line in service.exposition().splitlines():
        name, _, value = line.partition(" ")
        if name in wanted:
            wanted[name] = float(value)
    return list(wanted.values())


class Kubelet:
    """Serves both pages for the services of a stand; folders: claim -> folder whose file system it fills."""

    def __init__(self, services, folders):
        self._services, self._folders, self.pages = services, folders, {}
        kubelet = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = kubelet.pages.get(self.path, "").encode("ascii")
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """Nobody reads it."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # a scrape that was given up
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._closing = threading.Event()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        threading.Thread(target=self._look_around, daemon=True).start()

    def _look_around(self):
        """A kubelet looks at its containers now and then, and answers with what it saw last."""
        while not self._closing.wait(1):
            self.pages = {"/metrics/cadvisor": str(self.cadvisor()), "/metrics": str(self.volumes())}

    def close(self):
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def cadvisor(self):
        text, now = Text(), time.time()
        root = {"container": "", "id": "/", "image": "", "name": "", "namespace": "", "pod": ""}
        total = resident = 0.0
        for service in self._services:
            if not service.running:
                continue
            try:
                used, bytes_, start = process(service)
            except OSError:
                continue  # it ends just now
            total, resident = total + used, resident + bytes_
            uid = hashlib.sha256(f"{service.name} {start}".encode()).hexdigest()
            group = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid[:32]}.slice"
            pod = {**root, "namespace": "detection-system", "pod": service.name, "id": group}
            of_container = {**pod, "id": f"{group}/cri-containerd-{uid}.scope", "container": CONTAINER, "image": IMAGE, "name": uid}
            sandbox = {**pod, "id": f"{group}/cri-containerd-{uid[::-1]}.scope", "image": PAUSE, "name": uid[::-1]}
            for labels in (pod, of_container):  # the kubelet tells of both: who sums without container!="" counts twice
                self._of_container(text, labels, now, used, bytes_, start)
            self._network(text, sandbox, now)
        self._usage(text, root, now, total, resident)
        return text

    @staticmethod
    def _usage(text, labels, now, used, bytes_):
        text.add("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.", used, {**labels, "cpu": "total"}, now)
        text.add("container_memory_working_set_bytes", "gauge", "Current working set in bytes.", bytes_, labels, now)

    def _of_container(self, text, labels, now, used, bytes_, start):
        self._usage(text, labels, now, used, bytes_)
        text.add("container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds.", int(start), labels)
        text.add("container_spec_cpu_period", "gauge", "CPU period of the container.", PERIOD, labels)
        text.add("container_spec_cpu_quota", "gauge", "CPU quota of the container.", int(CPU_LIMIT * PERIOD), labels)
        text.add("container_spec_memory_limit_bytes", "gauge", "Memory limit for the container.", MEMORY_LIMIT, labels)
        text.add("container_oom_events_total", "counter", "Count of out of memory events observed for the container", 0, labels, now)
        # The processes here run without a limit: none was ever stopped.
        periods = int(max(0.0, now - start) / (PERIOD / 1e6))
        text.add("container_cpu_cfs_periods_total", "counter", "Number of elapsed enforcement period intervals.", periods, labels, now)
        text.add("container_cpu_cfs_throttled_periods_total", "counter", "Number of throttled period intervals.", 0, labels, now)

    @staticmethod
    def _network(text, labels, now):
        # The processes share the machine's loopback: each pod shows all of it.
        with open("/proc/net/dev", encoding="ascii") as file:
            fields = next(line for line in file if line.strip().startswith("lo:")).split(":")[1].split()
        for way, words, value in (("receive", "received", fields[0]), ("transmit", "transmitted", fields[8])):
            text.add(f"container_network_{way}_bytes_total", "counter", f"Cumulative count of bytes {words}", value, {**labels, "interface": "eth0"}, now)

    def volumes(self):
        text = Text()
        for claim, folder in self._folders.items():
            room, labels = os.statvfs(folder), {"namespace": "detection-system", "persistentvolumeclaim": claim}
            text.add("kubelet_volume_stats_capacity_bytes", "gauge", "[ALPHA] Capacity in bytes of the volume", room.f_blocks * room.f_frsize, labels)
            text.add("kubelet_volume_stats_used_bytes", "gauge", "[ALPHA] Number of used bytes in the volume",
                     (room.f_blocks - room.f_bfree) * room.f_frsize, labels)
        return text
