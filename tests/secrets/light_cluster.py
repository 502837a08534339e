"""etcd, kube-apiserver and the Sealed Secrets controller as processes: a Kubernetes API without nodes.

All of one cluster is in a network and a mount namespace of its own, so it meets nothing of this machine: its ports are free, and the
controller finds its service account where a pod would. It is gone with `stop`, whatever happened.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

HOME = pathlib.Path(os.environ.get("DETECTION_CLUSTER_HOME", "/var/lib/detection-cluster")) / "bin"
ROOT = pathlib.Path(__file__).resolve().parents[2]
PARTS = ROOT / "kubernetes" / "sealed-secrets" / "controller"
NEEDED = ("etcd", "kube-apiserver", "kubectl", "kubeseal", "sealed-secrets-controller")
ADDRESS = "10.99.0.1"  # of this cluster's own network: the API server calls no loopback address for a Service
SPACE, NAME, POD = "sealed-secrets", "sealed-secrets-controller", "sealed-secrets-controller-0"
ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"


def find(name):
    return str(HOME / name) if (HOME / name).exists() else shutil.which(name)


def why_not():
    """Nothing, or why there can be no such cluster here."""
    missing = [name for name in NEEDED if not find(name)]
    if missing:
        return f"{', '.join(missing)} not in {HOME} or PATH (tests/e2e/cluster/cluster install)"
    if os.geteuid() != 0:
        return "needs root, for namespaces of its own"
    if subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, check=False).returncode != 0:
        return "unshare cannot make a network and a mount namespace here"
    return ""


def run(*command, text=None, check=True, timeout=60):
    done = subprocess.run([str(part) for part in command], input=text, capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))[-200:]} ended with {done.returncode}: {(done.stderr or done.stdout)[-900:]}")
    return done.stdout


class LightCluster:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.holder, self.processes = None, {}

    # ---- life
    def start(self):
        self.holder = subprocess.Popen(["unshare", "--net", "--mount", "--propagation", "private", "sleep", "infinity"], start_new_session=True)
        until(10, "its namespaces", self.inside_own_network)
        self.inside("ip", "link", "set", "lo", "up")
        self.inside("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
        self.inside("mount", "-t", "tmpfs", "tmpfs", "/run")  # where a pod finds its account; only in this namespace
        self.certificates()
        self.launch("etcd", find("etcd"), "--data-dir", self.folder / "etcd", "--listen-client-urls", "http://127.0.0.1:2379",
                    "--advertise-client-urls", "http://127.0.0.1:2379", "--listen-peer-urls", "http://127.0.0.1:2380",
                    "--initial-advertise-peer-urls", "http://127.0.0.1:2380", "--initial-cluster", "default=http://127.0.0.1:2380",
                    "--unsafe-no-fsync", "--log-level", "warn")
        f = self.folder
        self.launch("kube-apiserver", find("kube-apiserver"), "--etcd-servers=http://127.0.0.1:2379", "--secure-port=6443",
                    f"--advertise-address={ADDRESS}", "--service-cluster-ip-range=10.96.0.0/16", f"--client-ca-file={f}/ca.crt",
                    f"--tls-cert-file={f}/apiserver.crt", f"--tls-private-key-file={f}/apiserver.key", f"--service-account-key-file={f}/sa.pub",
                    f"--service-account-signing-key-file={f}/sa.key", "--service-account-issuer=https://kubernetes.default.svc",
                    "--authorization-mode=RBAC")
        until(120, "the API server", lambda: self.kubectl("get", "--raw", "/readyz", check=False) == "ok")
        for path in ("kubernetes/manifests/prod/namespace.yaml", "observability/kubernetes/namespace.yaml"):
            self.kubectl("apply", "-f", ROOT / path)
        self.install()

    def install(self):
        """What the repository installs; without a node its pod does not start, so the controller is a process with the pod's rights."""
        self.kubectl("apply", "--server-side", "-f", PARTS / "crd.yaml")
        until(20, "the namespace of the controller", lambda: "created" in self.kubectl("apply", "-f", PARTS / "controller.yaml"))
        self.kubectl("apply", "-f", PARTS / "rbac.yaml")
        self.kubectl("wait", "--for=condition=Established", "crd/sealedsecrets.bitnami.com", "--timeout=30s")
        # The pod itself is admitted (Pod Security restricted is enforced there); where it would run is where our process listens.
        template = self.deployment()["spec"]["template"]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], "name": POD, "namespace": SPACE}, "spec": template["spec"]}
        pod["metadata"].pop("creationTimestamp", None)
        self.apply(pod)
        self.kubectl("-n", SPACE, "patch", "pod", POD, "--subresource=status", "--type=merge", "-p",
                     json.dumps({"status": {"podIP": ADDRESS, "podIPs": [{"ip": ADDRESS}], "phase": "Running"}}))
        self.apply({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": NAME, "namespace": SPACE},
                    "subsets": [{"addresses": [{"ip": ADDRESS, "targetRef": {"kind": "Pod", "namespace": SPACE, "name": POD}}],
                                 "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}]})

    def deployment(self):
        return json.loads(self.kubectl("-n", SPACE, "get", "deployment", NAME, "-o", "json"))

    def controller_starts(self):
        token = self.kubectl("-n", SPACE, "create", "token", NAME, "--duration=2h").strip()
        self.inside("sh", "-c", f"mkdir -p {ACCOUNT} && cat >{ACCOUNT}/token && cp {self.folder}/ca.crt {ACCOUNT}/ca.crt && "
                                f"printf %s {SPACE} >{ACCOUNT}/namespace", text=token)
        self.launch(NAME, "env", "-i", f"KUBERNETES_SERVICE_HOST={ADDRESS}", "KUBERNETES_SERVICE_PORT=6443", find(NAME),
                    *self.deployment()["spec"]["template"]["spec"]["containers"][0]["args"])
        until(90, "the controller", lambda: "ok" in self.inside("curl", "-sS", f"http://{ADDRESS}:8080/readyz", check=False))

    def controller_stops(self):
        process = self.processes.pop(NAME)
        process.terminate()
        process.wait(timeout=20)

    def stop(self):
        for process in reversed(list(self.processes.values())):
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(timeout=8)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.holder:
            self.holder.kill()
            self.holder.wait()

    # ---- inside
    def inside_own_network(self):
        return self.holder.poll() is None and os.readlink(f"/proc/{self.holder.pid}/ns/net") != os.readlink("/proc/self/ns/net")

    def enter(self):
        return ["nsenter", "-t", str(self.holder.pid), "--net", "--mount", "--"]

    def inside(self, *command, text=None, check=True, timeout=120):
        return run(*self.enter(), *command, text=text, check=check, timeout=timeout)

    def launch(self, name, *command):
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen([*self.enter(), *map(str, command)], stdout=log, stderr=subprocess.STDOUT,
                                                    stdin=subprocess.DEVNULL)

    def certificates(self):
        f = self.folder
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f / "ca.key", "-out", f / "ca.crt", "-days", "2", "-subj", "/CN=ca")
        run("openssl", "genrsa", "-out", f / "sa.key", "2048")
        run("openssl", "rsa", "-in", f / "sa.key", "-pubout", "-out", f / "sa.pub")
        for name, subject in (("apiserver", "/CN=kube-apiserver"), ("admin", "/O=system:masters/CN=admin")):
            extra = f / f"{name}.ext"
            extra.write_text(f"extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=IP:{ADDRESS},IP:127.0.0.1\n", encoding="ascii")
            run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", f / f"{name}.key", "-out", f / f"{name}.csr", "-subj", subject)
            run("openssl", "x509", "-req", "-in", f / f"{name}.csr", "-CA", f / "ca.crt", "-CAkey", f / "ca.key", "-CAcreateserial", "-days", "2",
                "-out", f / f"{name}.crt", "-extfile", extra)
        (f / "kubeconfig").write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "light",
            "clusters": [{"name": "light", "cluster": {"server": f"https://{ADDRESS}:6443", "certificate-authority": f"{f}/ca.crt"}}],
            "users": [{"name": "admin", "user": {"client-certificate": f"{f}/admin.crt", "client-key": f"{f}/admin.key"}}],
            "contexts": [{"name": "light", "context": {"cluster": "light", "user": "admin"}}]}), encoding="ascii")

    # ---- the API
    def kubectl(self, *arguments, text=None, check=True):
        return self.inside(find("kubectl"), "--kubeconfig", self.folder / "kubeconfig", *arguments, text=text, check=check)

    def apply(self, *objects):
        self.kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def can(self, verb, what, namespace):
        account = f"system:serviceaccount:{SPACE}:{NAME}"
        return self.kubectl("auth", "can-i", verb, what, "-n", namespace, "--as", account, check=False).strip() == "yes"

    def command(self, *arguments, check=True, **environment):
        """The command under test, in this cluster's network. -> (exit code, what it said)"""
        variables = {"KUBECONFIG": str(self.folder / "kubeconfig"), "DETECTION_KUBESEAL": find("kubeseal"), "DETECTION_KUBECTL": find("kubectl"),
                     **environment}
        done = subprocess.run([*self.enter(), "env", *(f"{k}={v}" for k, v in variables.items()),
                               str(ROOT / "kubernetes/sealed-secrets/sealed"), *map(str, arguments)],
                              capture_output=True, text=True, timeout=180, check=False)
        said = done.stdout + done.stderr
        if check and done.returncode != 0:
            raise RuntimeError(f"sealed {' '.join(map(str, arguments))} ended with {done.returncode}: {said[-900:]}")
        return done.returncode, said

    def log(self, name=NAME):
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")


def until(seconds, what, look):
    ends = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() > ends:
            raise RuntimeError(f"after {seconds} s still not: {what}")
        time.sleep(0.15)
    return seen
