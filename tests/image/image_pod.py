"""Starts an image without a cluster as its pod does, and uses it: see image_test.py."""

import contextlib
import http.client
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "image"), str(ROOT / "scripts")]
# pylint: disable=wrong-import-position
import tak_peer
import verify

UID = 10001
READY_SECONDS = 1.0
STARTS = 5  # the best counts: the image's time, not that of a busy machine
DETECTION = {
    "pixel_x": 512, "pixel_y": 384, "object_class": "vehicle", "ai_confidence": 0.92,
    "source": "image-test", "camera_id": "mast-1",
    "sensor_metadata": {
        "location_lat": 40.7128, "location_lon": -74.006, "location_elevation": 100, "elevation_reference": "msl",
        "ground_elevation_m": -20, "heading": 45, "pitch": -45, "roll": 0, "focal_length": 1000,
        "image_width": 1024, "image_height": 768,
    },
}  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def secret(folder: pathlib.Path, **files: bytes | str) -> None:
    """A mounted Secret: root's, readable by the pod's group."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode("ascii"))
        os.chown(path, 0, UID)
        path.chmod(0o440)


class TlsTak(tak_peer.Peer):
    """A TAK server that wants certificates of its authority from its clients."""

    def __init__(self, record: pathlib.Path, certificates: pathlib.Path) -> None:
        super().__init__(0, record)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
        self.context.load_verify_locations(certificates / "ca.crt")
        self.context.verify_mode = ssl.CERT_REQUIRED

    def get_request(self):
        connection, address = self.socket.accept()
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address


class Pod:
    """One folder with the extracted image, its volumes, and what runs in it."""

    def __init__(self, work: pathlib.Path, image: pathlib.Path) -> None:
        self.work, self.root, self.data, self.etc = work, work / "root", work / "data", work / "etc"
        self.config = verify.extract(image, self.root)["config"]
        self.data.mkdir()
        os.chown(self.data, 0, UID)
        self.data.chmod(0o2775)  # an emptyDir with fsGroup
        self.etc.mkdir()

    def command(self, *arguments: str, env: dict | None = None) -> list:
        whole: list = [verify.SANDBOX, self.root, "--bind", f"{self.data}:/var/lib/detection"]
        whole += ["--bind", f"{self.etc}:/etc/detection:ro", "--bind", "/etc/hosts:/etc/hosts:ro"]
        for item in [*self.config["Env"], *("=".join(item) for item in (env or {}).items())]:
            whole += ["--env", item]
        return [*whole, "--", *self.config["Entrypoint"], *arguments]

    def run(self, *arguments: str, env: dict | None = None) -> subprocess.CompletedProcess:
        return subprocess.run(self.command(*arguments, env=env), capture_output=True, text=True, timeout=60)


class Service:
    """`serve` in a pod; ready_seconds is the time from its start to the first 200 of /ready."""

    def __init__(self, pod: Pod, **env: str) -> None:
        self.api, self.metrics = free_port(), free_port()
        settings = {
            "DETECTION_LISTEN": f"127.0.0.1:{self.api}",
            "DETECTION_METRICS_LISTEN": f"127.0.0.1:{self.metrics}",
            "DETECTION_DATA_DIR": "/var/lib/detection",
            "DETECTION_JWT_KEY_FILE": "/etc/detection/jwt/secret_key",
        }
        self.log = pod.work / "log"
        began = time.monotonic()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(pod.command("serve", env=settings | env), stdout=log, stderr=log)
        while self.status() != 200:
            if self.process.poll() is not None or time.monotonic() > began + 60:
                self.process.kill()
                raise RuntimeError("did not become ready:\n" + self.log.read_text(encoding="utf-8"))
            time.sleep(0.005)
        self.ready_seconds = time.monotonic() - began

    def status(self) -> int:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.metrics, timeout=5)
            connection.request("GET", "/ready")
            return connection.getresponse().status
        except OSError:
            return 0

    def post(self, token: str) -> tuple[int, dict]:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        connection = http.client.HTTPConnection("127.0.0.1", self.api, timeout=30)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request("POST", "/api/v1/detections", json.dumps(DETECTION | {"timestamp": now}), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


def confined(checks: verify.Checks, process: int) -> None:
    status = pathlib.Path(f"/proc/{process}/status").read_text(encoding="ascii")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    good = fields["Uid"] == "\t".join([str(UID)] * 4) and fields["Gid"] == fields["Uid"] and fields["Groups"].split() == [str(UID)]
    checks.that(good, f"it runs as {UID}:{UID} alone", fields)
    good = int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0 and fields["NoNewPrivs"] == "1"
    checks.that(good, "without a capability, and can gain none", fields)
    mounts = pathlib.Path(f"/proc/{process}/mountinfo").read_text(encoding="utf-8")
    roots = [line.split()[5].split(",") for line in mounts.splitlines() if line.split()[4] == "/"]
    checks.that(bool(roots) and "ro" in roots[-1], "its root is read-only", mounts)


def sqlite_and_tak(checks: verify.Checks, pod: Pod, certificates: pathlib.Path) -> None:
    times = []
    for _ in range(STARTS):
        service = Service(pod)
        times.append(service.ready_seconds)
        service.stop()
        if times[-1] <= READY_SECONDS:
            break
    checks.that(
        min(times) <= READY_SECONDS, f"ready after {min(times):.3f} s of at most {READY_SECONDS:.0f} s", f"starts: {times}"
    )
    token = pod.run("token", "--jwt-key-file", "/etc/detection/jwt/secret_key", "--subject", "image-test",
                    "--scope", "detections:write detections:read", "--ttl", "10m")  # fmt: skip
    if not checks.that(token.returncode == 0, "makes a token inside", token.stderr):
        return
    with TlsTak(pod.work / "cot", certificates) as tak:
        threading.Thread(target=tak.serve_forever, daemon=True).start()
        sink = f"tls://localhost:{tak.server_address[1]}"
        service = Service(pod, DETECTION_TAK_SINK=sink, DETECTION_TAK_CREDENTIALS="/etc/detection/tak")
        confined(checks, service.process.pid)
        status, answer = service.post(token.stdout.strip())
        checks.that(status == 201, "a detection is accepted; its geoid grid is there (elevation over mean sea level)", answer)
        wanted = answer.get("cot", {}).get("uid", "none").encode("ascii")
        until = time.monotonic() + 30
        while wanted not in (pod.work / "cot").read_bytes() and time.monotonic() < until:
            time.sleep(0.02)
        checks.that(
            wanted in (pod.work / "cot").read_bytes(),
            "it reaches a TAK server over mutual TLS with the mounted credentials; `localhost` is resolved",
            service.log.read_text(encoding="utf-8"),
        )
        checks.that(service.stop() == 0, "SIGTERM ends it with exit code 0")
        tak.shutdown()


def old_certificate_file(checks: verify.Checks, pod: Pod, certificates: pathlib.Path) -> None:
    """What TAK administrators hand out: PKCS#12 with RC2-40, which wants OpenSSL's legacy provider."""
    subprocess.run(
        ["openssl", "pkcs12", "-export", "-legacy", "-passout", "pass:atakatak", "-out", certificates / "f.p12",
         "-inkey", certificates / "credentials/tls.key", "-in", certificates / "credentials/tls.crt",
         "-certfile", certificates / "ca.crt"], check=True,
    )  # fmt: skip
    with zipfile.ZipFile(pod.data / "site.zip", "w") as package:
        package.writestr("certs/f.p12", (certificates / "f.p12").read_bytes())
        package.writestr(
            "certs/a.pref",
            "<preferences><preference name='cot_streams'><entry key='connectString0'>tak.example.org:8089:ssl</entry>"
            "</preference><preference><entry key='certificateLocation'>cert/f.p12</entry>"
            "<entry key='clientPassword'>atakatak</entry></preference></preferences>",
        )
    (pod.data / "site.zip").chmod(0o644)
    done = pod.run("tak", "import", "/var/lib/detection/site.zip", "--output", "/var/lib/detection/tak")
    checks.that(
        done.returncode == 0 and (pod.data / "tak" / "tls.key").exists(),
        "imports a PKCS#12 file with old ciphers: the legacy provider is there",
        done.stdout + done.stderr,
    )


@contextlib.contextmanager
def postgres(work: pathlib.Path, certificates: pathlib.Path):
    """A PostgreSQL that takes TLS and passwords alone; gives its port."""
    programs = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    folder, port = work / "postgres", free_port()
    user = pwd.getpwnam("postgres")
    folder.mkdir()
    (folder / "password").write_text("first\n", encoding="ascii")
    for name in ("server.crt", "server.key"):
        shutil.copy(certificates / name, folder / name)
        (folder / name).chmod(0o600)
    for path in (folder, *folder.iterdir()):
        os.chown(path, user.pw_uid, user.pw_gid)
    as_user = ["setpriv", "--pdeathsig", "SIGQUIT", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"]
    data = folder / "data"
    initdb = [programs / "initdb", "-D", data, "-U", "owner", "-A", "scram-sha-256", "--pwfile", folder / "password"]
    subprocess.run([*as_user, *initdb, "--no-sync", "--locale=C.UTF-8"], check=True, stdout=subprocess.DEVNULL)
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n", encoding="ascii")
    settings = {
        "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "off", "ssl": "on",
        "ssl_cert_file": folder / "server.crt", "ssl_key_file": folder / "server.key",
    }  # fmt: skip
    command = [*as_user, programs / "postgres", "-D", data, *(f"--{name}={value}" for name, value in settings.items())]
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while b"ready to accept connections" not in (folder / "log").read_bytes():
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError((folder / "log").read_text(encoding="utf-8"))
            time.sleep(0.05)
        yield port
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=60)


def on_postgres(checks: verify.Checks, pod: Pod, certificates: pathlib.Path) -> None:
    secret(pod.etc / "database", username="owner", password="first", ca__crt=(certificates / "ca.crt").read_bytes())
    secret(pod.etc / "other", ca__crt=(certificates / "other" / "ca.crt").read_bytes())
    shutil.rmtree(pod.data)
    pod.data.mkdir()
    os.chown(pod.data, 0, UID)
    pod.data.chmod(0o2775)
    with postgres(pod.work, certificates) as port:
        url = f"postgresql://localhost:{port}/postgres?sslmode=verify-full&sslrootcert=/etc/detection/%s/ca.crt"
        env = {"DETECTION_DATABASE_URL": url % "database", "DETECTION_DATABASE_CREDENTIALS": "/etc/detection/database"}
        done = pod.run("migrate", env=env | {"DETECTION_DATABASE_URL": url % "other"})
        checks.that(
            done.returncode == 1 and "of no trusted authority" in done.stderr,
            "a PostgreSQL of another authority is refused",
            done.stdout + done.stderr,
        )
        done = pod.run("migrate", env=env)
        checks.that(done.returncode == 0, "migrates a PostgreSQL over TLS with the mounted CA and password", done.stderr)
        service = Service(pod, **env)
        token = pod.run("token", "--jwt-key-file", "/etc/detection/jwt/secret_key", "--subject", "image-test",
                        "--scope", "detections:write", "--ttl", "10m")  # fmt: skip
        status, answer = service.post(token.stdout.strip())
        checks.that(status == 201, f"accepts a detection with it (ready after {service.ready_seconds:.3f} s)", answer)
        count = subprocess.run(
            ["psql", "-XAt", f"postgresql://owner:first@localhost:{port}/postgres", "-c", "SELECT count(*) FROM detection"],
            capture_output=True, text=True,
        )  # fmt: skip
        checks.that(count.stdout.strip() == "1", "which is in the database", count.stdout + count.stderr)
        checks.that(service.stop() == 0, "SIGTERM ends it with exit code 0")


def runs(image: pathlib.Path) -> int:
    permitted = subprocess.run([verify.SANDBOX, "/", "--check"], capture_output=True, text=True)
    if permitted.returncode != 0:
        print(f"the image was not started: {permitted.stderr.strip()}")
        return 77
    checks = verify.Checks()
    with tempfile.TemporaryDirectory() as name:
        work, certificates = pathlib.Path(name), pathlib.Path(name) / "certificates"
        work.chmod(0o755)
        for folder in (certificates, certificates / "other"):
            subprocess.run([ROOT / "tests/peers/make_certificates.sh", folder], check=True)
        pod = Pod(work, image)
        before = {path: path.lstat().st_mtime_ns for path in pod.root.rglob("*")}
        secret(pod.etc / "jwt", secret_key=os.urandom(48).hex())
        credentials = {path.name.replace(".", "__"): path.read_bytes() for path in (certificates / "credentials").iterdir()}
        secret(pod.etc / "tak", **credentials)
        sqlite_and_tak(checks, pod, certificates)
        old_certificate_file(checks, pod, certificates)
        on_postgres(checks, pod, certificates)
        after = {path: path.lstat().st_mtime_ns for path in pod.root.rglob("*")}
        odd = [path for path in before if after.get(path) != before[path] and not path.is_dir()]
        checks.that(not odd, "no file of the image was changed by it all", *odd)
    return 1 if checks.failed else 0
