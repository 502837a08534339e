"""What stands beside the service in the cluster: PostgreSQL over TLS, taky, clients. All of it as `restricted` as the service."""

import base64
import json
import os
import pathlib
import tempfile

from harness.cluster import HERE, Failure, run, until

NAMESPACE = "detection-e2e"
OURS = "detection-e2e"  # label of namespaces that these tests made, and may delete
DATABASE = f"postgres.{NAMESPACE}.svc.cluster.local"
TAKY = f"taky.{NAMESPACE}.svc.cluster.local"

# Two ports that answer, for the proofs that a refusal is a refusal.
START_LISTENER = """
import socketserver, threading
class Answer(socketserver.BaseRequestHandler):
    def handle(self): self.request.sendall(b"here")
for port in (8000, 9999):
    server = socketserver.ThreadingTCPServer(("", port), Answer)
    threading.Thread(target=server.serve_forever).start()
"""

USER = 10001
POD_SECURITY = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def namespace(name):
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {**levels, OURS: "yes"}}}


def secret(space, name, **values):
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": space}, "data": data}


def docker_secret(space, name):
    data = {".dockerconfigjson": base64.b64encode(b'{"auths":{}}').decode()}
    return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson", "metadata": {"name": name, "namespace": space}, "data": data}


def pod(space, name, image, command, *, labels, node=None, volumes=None, environment=None, port=None, prefix="localhost", **more):
    """command: in place of the image's own, where there is one. volumes: {path: volume source}"""
    volumes = {"/tmp": {"emptyDir": {}}, **(volumes or {})}
    container = {
        "name": "main", "image": f"{prefix}/{image}", "imagePullPolicy": "IfNotPresent", "securityContext": CONTAINER_SECURITY,
        "env": [{"name": key, "value": value} for key, value in (environment or {}).items()],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
        "volumeMounts": [{"name": f"v{n}", "mountPath": path} for n, path in enumerate(volumes)]}
    if command:
        container["command"] = command
    if port:
        container["readinessProbe"] = {"tcpSocket": {"port": port}, "periodSeconds": 1}
    spec = {
        "containers": [container], "securityContext": {**POD_SECURITY, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER},
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
        self.ca, self.certificate, self.key = certificates(DATABASE)

    def start(self):
        """Also once more, in a cluster that took the place of another: the same credentials, and nothing else of before."""
        nodes = self.cluster.nodes()
        fixed, other = nodes[0], nodes[min(1, len(nodes) - 1)]
        client = (HERE / "load_client.py").read_text(encoding="utf-8")
        code = {"configMap": {"name": "load-client"}}

        def load(name, role, node):
            return pod(NAMESPACE, name, "load:test", [], prefix=self.prefix, labels={"role": role, "stays": "yes"}, node=node, volumes={"/e2e": code})
        self.cluster.apply(
            namespace(NAMESPACE),
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "load-client", "namespace": NAMESPACE}, "data": {"load_client.py": client}},
            secret(NAMESPACE, "postgres-tls", **{"tls.crt": self.certificate, "tls.key": self.key}),
            service(NAMESPACE, "postgres", {"role": "postgres"}, 5432), service(NAMESPACE, "taky", {"role": "taky"}, 8087),
            pod(NAMESPACE, "postgres", "postgres:test", [], labels={"role": "postgres", "stays": "yes"}, node=fixed, port=5432, prefix=self.prefix,
                environment={"POSTGRES_USER": "detection", "POSTGRES_DB": "detections", "POSTGRES_PASSWORD": self.password, "POSTGRES_TLS": "/tls",
                             "POSTGRES_SETTINGS": "max_connections=400"},
                volumes={"/var/lib/postgresql/data": {"emptyDir": {}}, "/tls": {"secret": {"secretName": "postgres-tls"}}}),
            pod(NAMESPACE, "taky", "taky:test", [], labels={"role": "taky", "stays": "yes"}, node=fixed, port=8087, prefix=self.prefix,
                volumes={"/var/lib/taky": {"emptyDir": {}}}),
            load("load-1", "load", fixed), load("load-2", "load", fixed), load("scraper", "scraper", fixed),
            load("stranger", "stranger", other),
            pod(NAMESPACE, "listener", "load:test", ["/usr/bin/python3", "-c", START_LISTENER], labels={"role": "listener", "stays": "yes"}, node=other,
                port=9999, prefix=self.prefix))
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
        return self.cluster.execute(NAMESPACE, "postgres", "/bin/sh", "-c", 'exec /usr/lib/postgresql/*/bin/psql -X -h /var/lib/postgresql/data/run -U detection -d "$1" -Atc "$2"', "sql",
                                    database, statement).strip()

    def afresh(self):
        """An empty database and an empty log at taky. Nothing of the service may run."""
        for statement in ("DROP DATABASE detections WITH (FORCE)", "CREATE DATABASE detections"):
            self.sql(statement, "postgres")
        self.cluster.execute(NAMESPACE, "taky", "/bin/sh", "-c", "rm -f /var/lib/taky/cot/*")

    def taky_saw(self, runs):
        """runs: {run: (requests, numbers that need not be there)} -> what taky's log has of them: missing, twice, events, by sender."""
        code = r"""
import collections, glob, json, os, re, sys
runs = json.load(sys.stdin)
seen, senders = collections.Counter(), collections.Counter()
for name in glob.glob("/var/lib/taky/cot/*"):
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
