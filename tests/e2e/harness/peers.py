"""What stands beside the service in the cluster: PostgreSQL over TLS, taky, clients. All of it as `restricted` as the service."""

import base64
import json
import os
import pathlib
import tempfile

from harness.cluster import HERE, Failure, run, until

NAMESPACE = "detection-e2e"
DATABASE = f"postgres.{NAMESPACE}.svc.cluster.local"
TAKY = f"taky.{NAMESPACE}.svc.cluster.local"

# initdb wants the name of its user, and the certificate a key that nobody else reads: a Secret's files are root's.
START_POSTGRES = """
set -e
bin=$(echo /usr/lib/postgresql/*/bin)
export PGDATA=/var/lib/postgresql/data
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  printf %s "$PASSWORD" >/tmp/password
  "$bin/initdb" -U detection --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 >/dev/null
  echo 'hostssl all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  "$bin/postgres" --single -D "$PGDATA" postgres <<S >/dev/null
CREATE DATABASE detections
S
fi
exec "$bin/postgres" -c listen_addresses='*' -c ssl=on -c ssl_cert_file=/tls/tls.crt -c ssl_key_file=/tls/tls.key \\
  -c unix_socket_directories=/tmp -c max_connections=400
"""

START_TAKY = """
mkdir -p /data/cot
printf '[taky]\\nhostname = taky\\nbind_ip = 0.0.0.0\\npublic_ip = 127.0.0.1\\nroot_dir = /data\\n[cot_server]\\nport = 8087\\nlog_cot = /data/cot\\n' >/data/taky.conf
exec taky -c /data/taky.conf -l warning
"""

# Two ports that answer, for the proofs that a refusal is a refusal.
START_LISTENER = """
import socketserver, threading
class Answer(socketserver.BaseRequestHandler):
    def handle(self): self.request.sendall(b"here")
for port in (8000, 9999):
    server = socketserver.ThreadingTCPServer(("", port), Answer)
    threading.Thread(target=server.serve_forever).start()
"""

POD_SECURITY = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def namespace(name, labels=None):
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {**levels, **(labels or {})}}}


def secret(space, name, **values):
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": space}, "data": data}


def docker_secret(space, name):
    data = {".dockerconfigjson": base64.b64encode(b'{"auths":{}}').decode()}
    return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson", "metadata": {"name": name, "namespace": space}, "data": data}


def pod(space, name, image, command, *, labels, uid, node=None, volumes=None, environment=None, port=None, prefix="localhost", **more):
    """volumes: {path: volume source}"""
    volumes = {"/tmp": {"emptyDir": {}}, **(volumes or {})}
    container = {
        "name": "main", "image": f"{prefix}/{image}", "imagePullPolicy": "IfNotPresent", "command": command, "securityContext": CONTAINER_SECURITY,
        "env": [{"name": key, "value": value} for key, value in (environment or {}).items()],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
        "volumeMounts": [{"name": f"v{n}", "mountPath": path} for n, path in enumerate(volumes)]}
    if port:
        container["readinessProbe"] = {"tcpSocket": {"port": port}, "periodSeconds": 1}
    spec = {
        "containers": [container], "securityContext": {**POD_SECURITY, "runAsUser": uid, "runAsGroup": uid, "fsGroup": uid},
        "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1, "restartPolicy": "Always", "enableServiceLinks": False,
        "volumes": [{"name": f"v{n}", **source} for n, source in enumerate(volumes.values())], **more}
    if node:
        spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": space, "labels": labels}, "spec": spec}


def service(space, name, labels, port):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": space}, "spec": {"selector": labels, "ports": [{"port": port}]}}


def certificates(name):
    """-> (CA, certificate, key) as PEM, of a CA that lives no longer than this call."""
    with tempfile.TemporaryDirectory() as folder:
        at = pathlib.Path(folder)
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", at / "ca.key", "-out", at / "ca.crt", "-days", "30", "-subj", "/CN=e2e")
        run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", at / "tls.key", "-out", at / "tls.csr", "-subj", f"/CN={name.split('.')[0]}")
        (at / "names").write_text(f"subjectAltName=DNS:{name}\n")
        run("openssl", "x509", "-req", "-in", at / "tls.csr", "-CA", at / "ca.crt", "-CAkey", at / "ca.key", "-CAcreateserial", "-days", "30",
            "-extfile", at / "names", "-out", at / "tls.crt")
        return tuple((at / file).read_text() for file in ("ca.crt", "tls.crt", "tls.key"))


class Peers:
    """One set of them; pods that must outlive drains and crashes are on the first node."""

    def __init__(self, cluster, prefix):
        self.cluster, self.prefix = cluster, prefix
        self.password = os.urandom(18).hex()
        self.ca = ""

    def start(self):
        ca, certificate, key = certificates(DATABASE)
        self.ca = ca
        nodes = self.cluster.nodes()
        fixed, other = nodes[0], nodes[min(1, len(nodes) - 1)]
        client = (HERE / "load_client.py").read_text(encoding="utf-8")
        code = {"configMap": {"name": "load-client"}}

        def load(name, role, node):
            return pod(NAMESPACE, name, "e2e-load:1", ["/usr/bin/python3", "-c", "import signal; signal.sigwait([signal.SIGTERM])"], prefix=self.prefix,
                       labels={"role": role, "stays": "yes"}, uid=10003, node=node, volumes={"/e2e": code})
        self.cluster.apply(
            namespace(NAMESPACE),
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "load-client", "namespace": NAMESPACE}, "data": {"load_client.py": client}},
            secret(NAMESPACE, "postgres-tls", **{"tls.crt": certificate, "tls.key": key}),
            service(NAMESPACE, "postgres", {"role": "postgres"}, 5432), service(NAMESPACE, "taky", {"role": "taky"}, 8087),
            pod(NAMESPACE, "postgres", "e2e-postgres:1", ["/bin/sh", "-c", START_POSTGRES], labels={"role": "postgres", "stays": "yes"}, uid=10002, node=fixed,
                environment={"PASSWORD": self.password}, port=5432, prefix=self.prefix,
                volumes={"/var/lib/postgresql": {"emptyDir": {}}, "/tls": {"secret": {"secretName": "postgres-tls", "defaultMode": 0o440}}}),
            pod(NAMESPACE, "taky", "e2e-taky:1", ["/bin/sh", "-c", START_TAKY], labels={"role": "taky", "stays": "yes"}, uid=10003, node=fixed, port=8087,
                prefix=self.prefix, volumes={"/data": {"emptyDir": {}}}),
            load("load-1", "load", fixed), load("load-2", "load", fixed), load("scraper", "scraper", fixed),
            load("stranger", "stranger", other),
            pod(NAMESPACE, "listener", "e2e-load:1", ["/usr/bin/python3", "-c", START_LISTENER], labels={"role": "listener", "stays": "yes"}, uid=10003,
                node=other, port=9999, prefix=self.prefix))
        self.cluster.kubectl("-n", NAMESPACE, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=90s")

    def python(self, pod_name, code, *arguments, text=None, timeout=120, space=NAMESPACE):
        return self.cluster.execute(space, pod_name, "/usr/bin/python3", "-c", code, *arguments, text=text, timeout=timeout)

    def http(self, pod_name, url, *, token="", body=None, timeout=10):
        """-> (status, text, headers); status 0 and the reason when there was no answer."""
        code = """
import json, sys, urllib.error, urllib.request
asked = json.load(sys.stdin)
headers = {"Content-Type": "application/json"}
if asked["token"]: headers["Authorization"] = "Bearer " + asked["token"]
request = urllib.request.Request(asked["url"], data=asked["body"].encode() if asked["body"] else None, headers=headers)
try:
    with urllib.request.urlopen(request, timeout=asked["timeout"]) as answer:
        said = (answer.status, answer.read().decode(), dict(answer.headers))
except urllib.error.HTTPError as error:
    said = (error.code, error.read().decode(), dict(error.headers))
except OSError as error:
    said = (0, str(error), {})
print(json.dumps(said))
"""
        asked = {"url": url, "token": token, "body": json.dumps(body) if body is not None else "", "timeout": timeout}
        return json.loads(self.python(pod_name, code, text=json.dumps(asked), timeout=timeout + 60))

    def sql(self, statement, database="detections"):
        return self.cluster.execute(NAMESPACE, "postgres", "/bin/sh", "-c", 'exec /usr/lib/postgresql/*/bin/psql -X -h /tmp -U detection -d "$1" -Atc "$2"', "sql",
                                    database, statement).strip()

    def taky_saw(self, runs):
        """runs: {run: (requests, numbers that need not be there)} -> what taky's log has of them: missing, twice, events, by sender."""
        code = r"""
import collections, glob, json, os, re, sys
runs = json.load(sys.stdin)
seen, senders = collections.Counter(), collections.Counter()
for name in glob.glob("/data/cot/*"):
    with open(name, encoding="utf-8") as file:
        for uid in re.findall(r'<event [^>]*uid="DET\.([0-9a-f-]{36})"', file.read()):
            if uid[:8] in runs:
                seen[uid] += 1
                senders[re.sub(r"^.*-|\.cot$", "", os.path.basename(name))] += 1
missing = [u for run, (requests, excused) in runs.items() for n in range(0, requests, 2) if n not in set(excused)
           for u in [f"{run}-0000-4000-8000-{n:012x}"] if u not in seen]
print(json.dumps({"missing": len(missing), "first_missing": missing[:5], "twice": sum(c > 1 for c in seen.values()), "uids": len(seen),
                  "senders": dict(senders)}))
"""
        return json.loads(self.python("taky", code, text=json.dumps(runs)))

    def all_at_taky(self, runs, seconds=90):
        """Waits until every acknowledged detection of these runs is in taky's log."""
        last = {}

        def look():
            last.update(self.taky_saw(runs))
            return last["missing"] == 0
        try:
            until(seconds, "every acknowledged detection is in taky's log", look, pause=2)
        except Failure as error:
            raise Failure(f"{error}: {last}") from error
        return last
