"""The Sealed Secrets of a cluster: its controller as the repository installs it, and the command that seals, keeps and restores."""

import base64
import json
import shutil

from harness import images
from harness.cluster import HOME, LOCAL, ROOT, Failure, NotHere, run
from harness.peers import namespace

SPACE = "sealed-secrets"
PARTS = ROOT / "kubernetes" / "sealed-secrets"
IMAGE = "registry.internal.example.com/sealed-secrets/sealed-secrets-controller:0.40.0"
OURS = "localhost/sealed-secrets-controller:0.40.0"
PASSPHRASE = "a passphrase that is long enough\n"


class Sealed:
    """`home` is what lies in Git (environments, certificates, sealed secrets), `safe` what is kept elsewhere."""

    def __init__(self, cluster, folder):
        for name in ("kubeseal", "sealed-secrets-controller"):
            if not (HOME / "bin" / name).exists():
                raise NotHere(f"there is no {name} in {HOME / 'bin'}: {LOCAL.relative_to(ROOT)} install makes it")
        self.cluster, self.home, self.safe = cluster, folder / "git", folder / "safe"
        self.home.mkdir()
        self.safe.mkdir()
        shutil.copy(PARTS / "environments.yaml", self.home)
        (self.safe / "passphrase").write_text(PASSPHRASE, encoding="ascii")
        cluster.load(images.sealed_secrets_controller(OURS))

    def install(self):
        """README.md of kubernetes/sealed-secrets, "A new cluster"; the namespaces that it watches come first."""
        self.cluster.apply(namespace("monitoring"))
        self.cluster.kubectl("apply", "--server-side", "-f", PARTS / "controller" / "crd.yaml")
        text = (PARTS / "controller" / "controller.yaml").read_text(encoding="utf-8")
        if IMAGE not in text:
            raise Failure(f"controller.yaml names another image than {IMAGE}")
        self.cluster.kubectl("apply", "-f", "-", text=text.replace(IMAGE, OURS))
        self.cluster.kubectl("apply", "-f", PARTS / "controller" / "rbac.yaml")
        self.cluster.kubectl("-n", SPACE, "rollout", "status", "deployment/sealed-secrets-controller", "--timeout=100s")

    def command(self, *words):
        """kubernetes/sealed-secrets/sealed, in the network of the first node."""
        variables = {"KUBECONFIG": HOME / "pki" / "admin.kubeconfig", "DETECTION_KUBESEAL": HOME / "bin" / "kubeseal", "DETECTION_KUBECTL": HOME / "bin" / "kubectl"}
        return run(LOCAL, "exec", "env", *(f"{key}={value}" for key, value in variables.items()), PARTS / "sealed", "--home", self.home, *words, timeout=300)

    def seal(self, secret, **values):
        """Values of prod's secret, by key."""
        options = []
        for number, (key, value) in enumerate(values.items()):
            file = self.safe / f"value-{number}"
            file.write_text(value, encoding="utf-8")
            options += ["--from-file", f"{key}={file}"]
        self.command("seal", secret, "--env", "prod", *options)
        for number in range(len(values)):
            (self.safe / f"value-{number}").unlink()

    def keep_keys(self):
        self.command("recovery-key", "--output", self.safe, "--passphrase-file", self.safe / "passphrase")
        self.command("backup", "--env", "prod", "--recipient", self.safe / "recovery.pem", "--output", self.safe / "keys.backup")

    def restore_keys(self):
        self.command("restore", "--env", "prod", "--backup", self.safe / "keys.backup", "--key", self.safe / "recovery.key", "--passphrase-file", self.safe / "passphrase")

    def apply(self):
        """As Argo CD would: what lies in Git."""
        self.cluster.kubectl("apply", "-R", "-f", self.home / "prod")

    def opened(self, space):
        """-> names of the sealed secrets of a namespace that the controller has opened"""
        found = self.cluster.items("-n", space, "sealedsecrets.bitnami.com")
        return {item["metadata"]["name"] for item in found
                if any(c["type"] == "Synced" and c["status"] == "True" for c in item.get("status", {}).get("conditions", []))}


def docker_config():
    return json.dumps({"auths": {"registry.test": {"auth": base64.b64encode(b"robot:token-0123456789").decode()}}})
