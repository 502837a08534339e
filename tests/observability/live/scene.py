"""The scene in which the panels are tried: two instances on one PostgreSQL, one at the edge with SQLite and TLS, a plain and a TLS TAK
server, a mixed load, one fault after another; a Prometheus that reads all of it, the node exporter and a kubelet."""
import asyncio
import http.client
import json
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

import yaml

from harness.child import Failure
from harness.load import detection
from harness.prometheus import Prometheus
from harness.service import Service
from harness.stand import Stand
from harness.tak_server import TakServer
from platform_feed import Kubelet, NodeExporter

SCRAPE = 2
# (share of the time at which it begins, at which it ends, fault)
FAULTS = ((0.12, 0.32, "tak-away"), (0.38, 0.48, "tak-resets"), (0.50, 0.62, "guessing"), (0.64, 0.74, "database-slow"), (0.78, 0.86, "database-away"))


class FullPrometheus(Prometheus):
    """Reads the nodes and the kubelet as well."""

    def __init__(self, *words, jobs, **settings):
        self._jobs = jobs
        super().__init__(*words, **settings)

    def _check(self):
        configuration = yaml.safe_load(self._config.read_text(encoding="utf-8"))
        configuration["scrape_configs"] += self._jobs
        self._config.write_text(yaml.safe_dump(configuration, sort_keys=False), encoding="utf-8")
        super()._check()


class TlsDoor:
    """TLS before a server that speaks none: what comes out of it goes to a port, and back."""

    def __init__(self, certificate, key, port):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._port, self._loop, ready = port, asyncio.new_event_loop(), threading.Event()
        threading.Thread(target=self._run, args=(ready,), daemon=True).start()
        ready.wait(30)

    def _run(self, ready):
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()

    async def _serve(self, reader, writer):
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(self._pump(reader, inner_writer), self._pump(inner_reader, writer), return_exceptions=True)

    @staticmethod
    async def _pump(reader, writer):
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)


class Repeated:
    """Calls something so often until it is stopped; what fails is tried again."""

    def __init__(self, seconds, call):
        self._seconds, self._call, self._stopping = seconds, call, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stopping.wait(self._seconds):
            try:
                self._call()
            except (OSError, http.client.HTTPException):
                continue  # a fault of the scene

    def close(self):
        self._stopping.set()
        self._thread.join(60)


def make_certificate(folder):
    """One certificate that is its own authority: the door's, the client's, the API's."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "300", "-subj", "/CN=localhost",
               "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "tls.key", "-out", folder / "tls.crt"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"openssl: {done.stderr}")
    (folder / "ca.crt").write_bytes((folder / "tls.crt").read_bytes())


class Scene:
    """A stand and what is around it; ends with its block."""

    def __init__(self, folder, keep=False):
        self._open, self._guessing, credentials = [], None, folder / "credentials"
        credentials.mkdir(parents=True)
        make_certificate(credentials)
        try:
            coalition = self._held(TakServer())
            door = self._held(TlsDoor(credentials / "tls.crt", credentials / "tls.key", coalition.port))
            sink = f"coalition=tls://localhost:{door.port}?credentials={credentials}&flag=GREEN"
            self.stand = self._held(Stand(services=2, database=True, prometheus=False, keep=keep, scrape=SCRAPE, hold=20,
                                          options=["--tak-sink", sink]))
            self._start_edge(folder, credentials, sink)
            self._start_prometheus(folder)
        except BaseException:
            self.close()
            raise

    def _start_edge(self, folder, credentials, sink):
        stand = self.stand
        options = ["--tls-cert-file", credentials / "tls.crt", "--tls-key-file", credentials / "tls.key", "--tak-sink", sink]
        edge = Service("edge-1", folder / "edge-1", stand.service.key_file, options)
        self._open.append(edge.stop)
        edge.start()
        self.services, trusted = [*stand.services, edge], ssl.create_default_context(cafile=str(credentials / "ca.crt"))
        self._count = 0

        def post():
            self._count += 1
            request = urllib.request.Request(f"https://{edge.api}/api/v1/detections", json.dumps(detection(number=self._count)).encode("ascii"),
                                             {"Authorization": f"Bearer {stand.token}", "Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=30, context=trusted) as answer:
                answer.read()

        self._held(Repeated(0.5, post))
        self._held(Repeated(1, lambda: self._read_feed(f"{stand.service.url}/api/v1/events", 20)))

    def _read_feed(self, url, seconds):
        """A reader of the live feed, for so long."""
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.stand.token}"})
        end = time.monotonic() + seconds
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            while time.monotonic() < end and answer.readline():
                pass

    def _guess(self):
        """A client secret that is wrong."""
        body = b"grant_type=client_credentials&client_id=dsk_guess&client_secret=" + str(time.time()).encode("ascii")
        try:
            urllib.request.urlopen(f"{self.stand.service.url}/api/v1/auth/token", body, timeout=30).close()
        except urllib.error.HTTPError as refusal:
            refusal.read()

    def _set(self, name, on):
        if name != "guessing":
            (self.stand.fault if on else self.stand.mend)(name)
        elif on:
            self._guessing = self._held(Repeated(0.2, self._guess))
        else:
            self._guessing.close()

    def _start_prometheus(self, folder):
        stand = self.stand
        node = self._held(NodeExporter(folder))
        kubelet = self._held(Kubelet(self.services, {"detection-data": folder, "detection-backup": "/tmp"}))
        jobs = [{"job_name": "node", "static_configs": [{"targets": [node.address]}]},
                {"job_name": "cadvisor", "metrics_path": "/metrics/cadvisor", "static_configs": [{"targets": [kubelet.address]}]},
                {"job_name": "kubelet", "static_configs": [{"targets": [kubelet.address]}]}]
        self.prometheus = self._held(FullPrometheus(folder / "prometheus", self.services, stand.rule_files(), scrape=SCRAPE, hold=20, jobs=jobs))
        self._held(Repeated(2, self._probe))

    def _probe(self):
        """As the kubelet asks for readiness."""
        for service in self.services:
            try:
                with urllib.request.urlopen(f"http://{service.metrics}/ready", timeout=5) as answer:
                    answer.read()
            except urllib.error.HTTPError as refusal:
                refusal.read()

    def play(self, seconds, rate, say):
        """Load for so long, with each fault in its time."""
        begun, waiting = time.time(), sorted([(begin, True, name) for begin, _, name in FAULTS] + [(end, False, name) for _, end, name in FAULTS])
        with self.stand.load(rate=rate):
            for share, on, name in waiting:
                time.sleep(max(0.0, begun + share * seconds - time.time()))
                self._set(name, on)
                say(f"{time.time() - begun:4.0f} s: {name} {'begins' if on else 'is mended'}")
            time.sleep(max(0.0, begun + seconds - time.time()))
        return begun, time.time()

    def _held(self, part):
        self._open.append(part.close)
        return part

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        while self._open:
            self._open.pop()()
