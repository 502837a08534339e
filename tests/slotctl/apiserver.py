"""A Kubernetes API without nodes: etcd and kube-apiserver of the local cluster's tools (tests/e2e/cluster), alone, over loopback. Nothing runs in it;
what is shown with it is what an API server accepts, refuses and remembers."""

import contextlib
import json
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import tempfile
import time

BIN = pathlib.Path(os.environ.get("DETECTION_CLUSTER_HOME", "/var/lib/detection-cluster")) / "bin"
KINDS = (("Application", "applications"), ("AppProject", "appprojects"))


def why_not():
    missing = [name for name in ("etcd", "kube-apiserver") if not (BIN / name).exists()]
    return f"no {' and '.join(missing)} in {BIN} (tests/e2e/cluster/cluster install)" if missing else None


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def custom_resource(kind, plural):
    """Argo CD's kinds without their schema, which tests/chart/schemas has."""
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{plural}.argoproj.io"},
            "spec": {"group": "argoproj.io", "scope": "Namespaced", "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
                     "versions": [{"name": "v1alpha1", "served": True, "storage": True,
                                   "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}


class ApiServer:
    def __init__(self, kubectl):
        self.kubectl_program, self.children = str(kubectl), []
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slotctl-api-"))
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self):
        client, peer, port = free_ports(3)
        token = secrets.token_hex(16)
        (self.folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n", encoding="utf-8")
        subprocess.run(["openssl", "genrsa", "-out", self.folder / "sa.key", "2048"], check=True, capture_output=True)
        etcd, peers = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
        self.child("etcd", "--data-dir", self.folder / "etcd", "--listen-client-urls", etcd, "--advertise-client-urls", etcd, "--listen-peer-urls", peers,
                   "--initial-advertise-peer-urls", peers, "--initial-cluster", f"default={peers}", "--unsafe-no-fsync", "--log-level", "warn")
        self.child("kube-apiserver", f"--etcd-servers={etcd}", "--bind-address=127.0.0.1", f"--secure-port={port}", f"--cert-dir={self.folder / 'certs'}",
                   f"--token-auth-file={self.folder / 'tokens.csv'}", "--authorization-mode=RBAC", f"--service-account-key-file={self.folder / 'sa.key'}",
                   f"--service-account-signing-key-file={self.folder / 'sa.key'}", "--service-account-issuer=https://kubernetes.default.svc",
                   "--service-cluster-ip-range=10.96.0.0/24", "--disable-admission-plugins=ServiceAccount")
        self.kubeconfig = self.folder / "kubeconfig"
        self.kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test", "users": [{"name": "admin", "user": {"token": token}}],
            "clusters": [{"name": "test", "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(self.folder / "certs/apiserver.crt")}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}]}), encoding="utf-8")
        ends = time.monotonic() + 240
        while (asked := self.kubectl("get", "--raw", "/readyz", check=False)).returncode != 0:
            if time.monotonic() > ends or any(child.poll() is not None for child in self.children):
                raise RuntimeError(f"the API server does not come up: {asked.stderr}" + (self.folder / "kube-apiserver.log").read_text(encoding="utf-8")[-600:])
            time.sleep(0.5)
        self.apply(*(custom_resource(*kind) for kind in KINDS))
        self.kubectl("wait", "--for=condition=Established", "--timeout=60s", *(f"crd/{plural}.argoproj.io" for _, plural in KINDS))
        self.apply(*({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in ("argocd", "detection-system", "monitoring")))

    def child(self, name, *arguments):
        with open(self.folder / f"{name}.log", "wb") as log:
            self.children.append(subprocess.Popen([str(BIN / name), *map(str, arguments)], stdout=log, stderr=log, stdin=subprocess.DEVNULL))

    def kubectl(self, *arguments, text=None, check=True):
        done = subprocess.run([self.kubectl_program, "--kubeconfig", str(self.kubeconfig), *arguments], input=text, capture_output=True, text=True, timeout=90, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done

    def apply(self, *objects):
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json").stdout)

    def close(self):
        for child in reversed(self.children):
            child.kill()
            child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
