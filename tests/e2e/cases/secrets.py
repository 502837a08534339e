"""Sealed secrets on a real cluster: kubernetes/sealed-secrets as it is installed there, `sealed` as an operator uses it, and the release on what
the controller opened.

Needs kubeseal and the controller of the local cluster. Where Argo CD is installed beside it, Argo CD applies what is in Git, by the Application of prod;
else kubectl does. What holds in any cluster is in tests/secrets and used from there."""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import subprocess
import sys
import tempfile
import time

import yaml
from cases import case, want
from harness.cluster import HOME, ROOT, Failure, NotHere, ready, run, until
from harness.gitops import ARGOCD
from harness.load import CLIENTS
from harness.peers import NAMESPACE as PEERS, OURS, TAKY, namespace
from harness.release import SPACE, Release, merged

sys.path.append(str(ROOT / "tests" / "secrets"))
# pylint: disable=wrong-import-position
import sealed_world

CONTROLLER = ROOT / "kubernetes" / "sealed-secrets" / "controller"
HERE, MONITORING = "sealed-secrets", "monitoring"  # namespaces beside the release's
IMAGE = "localhost/sealed-secrets-controller:1"  # which every node of the local cluster has
KEYS = "/etc/detection/jwt-keys"
RATE = 200
APPLICATIONS = ("detection-secrets-prod", "detection-monitoring-secrets-prod")


class InCluster:
    """What tests/secrets wants of a cluster."""

    def __init__(self, cluster):
        self.cluster = cluster

    def kubectl(self, *arguments, text=None, check=True):
        return self.cluster.kubectl(*arguments, text=text, check=check)

    def command(self, *arguments, check=True):
        """`sealed`, in node 1's network, where the API server is. -> (exit code, what it said)"""
        done = subprocess.run(
            ["nsenter", "--net=/run/netns/kube-1", "--", "env", f"KUBECONFIG={HOME}/pki/admin.kubeconfig", f"DETECTION_KUBESEAL={HOME}/bin/kubeseal",
             f"DETECTION_KUBECTL={HOME}/bin/kubectl", str(ROOT / "kubernetes/sealed-secrets/sealed"), *map(str, arguments)],
            capture_output=True, text=True, timeout=240, check=False)
        said = done.stdout + done.stderr
        if check and done.returncode != 0:
            raise Failure(f"sealed {' '.join(map(str, arguments))} ended with {done.returncode}: {said[-900:]}")
        return done.returncode, said


class Delivery:
    """A world whose secrets come into the cluster from Git by Argo CD, or, where that is not installed, by kubectl."""

    def __init__(self, world, sealed):
        self.cluster, self.sealed, self.argocd = world.cluster, sealed, (HOME / "bin" / "argocd").exists()
        sealed.sync = self.sync
        if not self.argocd:
            return
        self.bare = sealed.folder / "origin.git"
        self.environment = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1"}
        for role in ("AUTHOR", "COMMITTER"):
            self.environment |= {f"GIT_{role}_NAME": "secrets test", f"GIT_{role}_EMAIL": "test@example.com"}
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("commit", "--quiet", "--allow-empty", "--message=the beginning")
        run("git", "clone", "--quiet", "--bare", sealed.home, self.bare, env=self.environment)
        self.git("remote", "add", "origin", self.bare)

    def git(self, *arguments):
        return run("git", "-C", self.sealed.home, *arguments, env=self.environment).strip()

    def start(self):
        """The projects and Applications of prod, with this repository."""
        run(ARGOCD, "up", timeout=180)
        url = f"file://{self.bare}"
        for name in ("projects.yaml", "secrets.yaml", "monitoring-secrets.yaml"):
            for item in yaml.safe_load_all((ROOT / "kubernetes/argocd/prod" / name).read_text(encoding="utf-8")):
                if item["kind"] == "AppProject":
                    item["spec"]["sourceRepos"] = [url]
                else:
                    item["spec"]["source"] |= {"repoURL": url, "path": item["spec"]["source"]["path"].removeprefix("kubernetes/sealed-secrets/")}
                self.cluster.apply(item)

    def application(self, name):
        return self.cluster.get("-n", "argocd", "application", name).get("status", {})

    def sync(self):
        """What lies in the folder is committed, and applied."""
        if not self.argocd:
            self.cluster.kubectl("apply", "-R", "-f", self.sealed.home / "prod")
            return
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=secrets")
        self.git("push", "--quiet", "origin", "main")
        if not self.cluster.kubectl("-n", "argocd", "get", "applications", "-o", "name", check=False):
            self.start()
        self.wait_for(self.git("rev-parse", "HEAD"))

    def wait_for(self, revision):
        for name in APPLICATIONS:
            run(ARGOCD, "refresh", name)
            def applied(name=name):
                status = self.application(name)
                return status.get("sync", {}).get("revision") == revision and status.get("operationState", {}).get("phase") != "Running" and (
                    status["sync"]["status"] == "Synced" or any(r.get("requiresPruning") for r in status.get("resources", [])))
            try:
                until(90, f"{name} is at the commit", applied)
            except Failure as problem:
                raise Failure(f"{problem}: {json.dumps(self.application(name))[-1500:]}") from problem

    def stop(self):
        if self.argocd:
            self.cluster.kubectl("-n", "argocd", "delete", "applications", "--all", "--wait=false", check=False)
            run(ARGOCD, "down", check=False)
            self.cluster.kubectl("delete", "namespace", "argocd", "--ignore-not-found", "--timeout=120s", check=False)


class SealedRelease(Release):
    """One whose secrets are there before it, as the controller opened them."""

    def __init__(self, world):
        super().__init__(world.cluster, world.peers, world.prefix, world.tag)
        self.base = self.values = merged(self.base, {"secrets": {"jwtKeys": "jwt-signing-key"}})

    def prepare(self):
        pass


def why_not(cluster):
    if not cluster.ours:
        return "sealed secrets on a cluster: only on the local one, whose nodes have the controller's image"
    for name in ("kubeseal", "sealed-secrets-controller"):
        if not (HOME / "bin" / name).exists():
            return f"the local cluster has no {name}: tests/e2e/cluster/cluster install"
    for item in cluster.items("deployments", "-A", "-l", "app.kubernetes.io/name=sealed-secrets"):
        return f"there is a controller of Sealed Secrets already, in {item['metadata']['namespace']}: two would open the same secrets with other keys"
    there = {item["metadata"]["name"] for item in cluster.items("namespaces")}
    if taken := there & {HERE, MONITORING}:
        return f"the namespaces {', '.join(sorted(taken))} are there, and were not made by this test"
    return ""


def install_controller(cluster):
    """What the repository installs, with the image that the nodes have. -> seconds until it is ready"""
    cluster.kubectl("apply", "--server-side", "-f", CONTROLLER / "crd.yaml")
    cluster.kubectl("wait", "--for=condition=Established", "crd/sealedsecrets.bitnami.com", "--timeout=30s")
    objects = list(yaml.safe_load_all((CONTROLLER / "controller.yaml").read_text(encoding="utf-8")))
    for item in objects:
        if item["kind"] == "Namespace":
            item["metadata"]["labels"][OURS] = "yes"
        if item["kind"] == "Deployment":
            item["spec"]["template"]["spec"]["containers"][0]["image"] = IMAGE
    began = time.monotonic()
    cluster.apply(*(item for item in objects if item["kind"] == "Namespace"))
    cluster.apply(*(item for item in objects if item["kind"] != "Namespace"))
    cluster.kubectl("apply", "-f", CONTROLLER / "rbac.yaml")
    cluster.kubectl("-n", HERE, "rollout", "status", "deployment/sealed-secrets-controller", "--timeout=120s")
    return time.monotonic() - began


@contextlib.contextmanager
def stand(world):
    """The controller, the sealed secrets opened, and the release on them; everything is gone afterwards."""
    cluster, peers = world.cluster, world.peers
    if why := why_not(cluster):
        raise NotHere(why)
    if world.release.installed:
        cluster.helm("uninstall", "detection-api", "-n", SPACE, "--wait", check=False)
        cluster.kubectl("delete", "namespace", SPACE, "--ignore-not-found", "--timeout=180s")
        world.release.installed = False
    with tempfile.TemporaryDirectory(prefix="secrets-e2e-") as folder:
        sealed = sealed_world.World(folder, InCluster(cluster), tak={"endpoint": f"tcp://{TAKY}:8087"},
                                    database={"username": "detection", "password": peers.password, "ca.crt": peers.ca})
        delivery = Delivery(world, sealed)
        try:
            cluster.apply(namespace(SPACE), namespace(MONITORING))  # before the controller starts
            install_controller(cluster)
            yield sealed, delivery
        finally:
            delivery.stop()
            cluster.helm("uninstall", "detection-api", "-n", SPACE, check=False)
            cluster.kubectl("delete", "namespace", SPACE, MONITORING, HERE, "--ignore-not-found", "--timeout=180s", check=False)
            for name in ("rbac.yaml", "crd.yaml"):
                cluster.kubectl("delete", "--ignore-not-found", "--timeout=60s", "-f", CONTROLLER / name, check=False)
            world.release.installed, world.release.token = False, ""
            world.release.values = world.release.base


# ---- the signing key, as the pods have it
def token_of(release, pod, file="/etc/detection/jwt/secret_key"):
    """A token that this pod's key file signs; empty where the pod has no such file."""
    return release.cluster.kubectl("-n", SPACE, "exec", pod, "-c", "detection-api", "--", "/detection-api", "token", "--jwt-key-file", file, "--subject", "e2e", "--scope",
                                   "detections:write detections:read audit:read", "--ttl", "1h", check=False).strip()


def signed_by(token, key):
    body, _, signature = token.rpartition(".")
    made = hmac.new(key.encode(), body.encode(), hashlib.sha256).digest()
    return bool(token) and base64.urlsafe_b64encode(made).rstrip(b"=").decode() == signature


def names_of_pods(release):
    return [pod["metadata"]["name"] for pod in release.live_pods(release.active)]


def when_all(pods, seconds, what, look):
    """Asks each pod until it says so. -> {pod: seconds from now}"""
    began, seen = time.monotonic(), {}

    def all_of_them():
        for pod in pods:
            if pod not in seen and look(pod):
                seen[pod] = time.monotonic() - began
        return len(seen) == len(pods)
    until(seconds, what, all_of_them, pause=0.3)
    return seen


def give_tokens(cluster, *tokens):
    """To both clients, in place of what they have."""
    for pod, _ in CLIENTS:
        cluster.execute(PEERS, pod, "/bin/sh", "-c", "cat >/tmp/token.new && mv /tmp/token.new /tmp/token", text="\n".join(tokens) + "\n")


def count_401(load):
    return sum(result["statuses"].get("401", 0) for result in load.results)


def spread(seen):
    return f"{min(seen.values()):.0f}-{max(seen.values()):.0f} s"


def rotation(world, release, sealed):
    """The three steps under load, each as soon as the pods have the one before. -> figures"""
    cluster, pods = world.cluster, names_of_pods(release)
    old_token = release.token = token_of(release, pods[0])
    first = sealed.opened("jwt-signing-key")
    with release.load(10**6, RATE) as load:
        def step():
            sealed.sealed("rotate", "jwt-signing-key", "--env", "prod", "--after", "0s")
            sealed.sync()
        step()
        fresh = set(sealed.data("jwt-signing-key")) - set(first) - {"secret_key"}
        values = sealed.opened("jwt-signing-key", wanted=lambda have: len(set(have.values())) == 2)
        (new,) = [value for value in values.values() if value != first["secret_key"]]
        (name,) = [key for key in fresh if values[key] == new]
        announced = when_all(pods, 180, "every pod has the new key", lambda pod: token_of(release, pod, f"{KEYS}/{name}"))
        time.sleep(2)  # the service looks each second
        step()
        # The worst moment: one pod signs with the new key, the others may not yet.
        began = time.monotonic()
        new_token = until(180, "a pod signs with the new key", lambda: next((t for t in (token_of(release, pod) for pod in pods) if signed_by(t, new)), None), pause=0.2)
        behind = sum(signed_by(token_of(release, pod), first["secret_key"]) for pod in pods)
        give_tokens(cluster, old_token, new_token)
        signing = when_all(pods, 180, "every pod signs with the new key", lambda pod: signed_by(token_of(release, pod), new))
        overlap = time.monotonic() - began
        time.sleep(max(0.0, 20 - overlap))  # both tokens, for a while
        give_tokens(cluster, new_token)  # as if every token of the old key had ended
        time.sleep(2)
        step()
        old_name = next(key for key, value in values.items() if key != "secret_key" and value == first["secret_key"])
        retired = when_all(pods, 180, "the old key is gone", lambda pod: not token_of(release, pod, f"{KEYS}/{old_name}"))
        time.sleep(3)
        load.finish(stop=True)
    load.want_none_failed()
    want(count_401(load) == 0, f"{count_401(load)} answers were 401")
    want(load.total("seconds") / 2 >= 60, f"only {load.total('seconds') / 2:.0f} s of load")
    at_taky = world.peers.all_at_taky(load.runs)
    # That a 401 would have been seen: a client with a token of the key that went.
    release.token = old_token
    with release.load(60, 60) as late:
        late.finish()
    want(count_401(late) > 0 and late.total("acknowledged") == 0, f"a token of the retired key is still taken: {late.figures()}")
    release.token = new_token
    return (f"rotation in three steps over {load.total('seconds') / 2:.0f} s: {load.figures()}, 0 x 401; every pod has what is committed after {spread(announced)}, {spread(signing)}, "
            f"{spread(retired)}; when the first pod signed with the new key {behind} of {len(pods)} still signed with the old one; {at_taky['uids']:,} events at taky; "
            f"afterwards a token of the old key: {count_401(late)} x 401")


# ---- the controller's keys
def a_new_controller_opens_everything(world, sealed, delivery):
    """Namespace and keys are lost; a new controller has other keys until those of the backup are restored."""
    cluster = world.cluster
    values = sealed.all_opened()
    cluster.kubectl("delete", "namespace", HERE, "--timeout=120s")
    install_controller(cluster)
    code, said = sealed.sealed("validate", "--env", "prod", "--cluster", check=False)
    want(code == 1 and "5 with faults" in said, f"a controller without the keys should open nothing: {said}")
    want(sealed.all_opened() == values, "a Secret went, or changed, while nothing could be opened")
    shown = ""
    if delivery.argocd:
        until(60, "Argo CD says that they do not open", lambda: delivery.application(APPLICATIONS[0]).get("health", {}).get("status") == "Degraded", pause=1)
        shown = ", Argo CD says Degraded"
    sealed_world.other_keys_are_refused(sealed)
    began = time.monotonic()
    sealed.sealed("restore", "--env", "prod", "--backup", sealed.folder / "keys.backup", *sealed.recovery)  # restarts the controller
    took = time.monotonic() - began
    sealed.sealed("validate", "--env", "prod", "--cluster")
    for name in sealed_world.SECRETS:
        cluster.kubectl("-n", sealed_world.space_of(name), "delete", "secret", name)
    want(sealed.all_opened() == values, "what was opened anew is something else")
    return f"a new controller opens 0 of 5{shown}, the Secrets stay; restored and restarted in {took:.0f} s: 5 of 5, and every Secret that was deleted is made again, the same"


def nothing_is_pruned(world, sealed, delivery):
    """A file that goes, and then all of them: the cluster keeps what it has, and Argo CD shows it."""
    if not delivery.argocd:
        return "not shown without Argo CD: what a lost file does"
    kept = sealed.document("registry-credentials").read_bytes()
    sealed.document("registry-credentials").unlink()
    code, said = sealed.sealed("validate", "--complete", check=False)
    want(code == 1 and "registry-credentials.yaml: is not there" in said, said)
    sealed.sync()
    time.sleep(8)  # selfHeal had its turn
    status = delivery.application(APPLICATIONS[0])
    want(status["sync"]["status"] == "OutOfSync", f"Argo CD says {status['sync']['status']}")
    world.cluster.get("-n", SPACE, "sealedsecret", "registry-credentials")
    sealed.opened("registry-credentials")
    others = {path: path.read_bytes() for path in (sealed.home / "prod").glob("*.yaml")}
    for path in others:
        path.unlink()
    (sealed.home / "prod" / "README.md").write_text("empty\n", encoding="utf-8")
    delivery.git("add", "--all")
    delivery.git("commit", "--quiet", "--message=all of them lost")
    delivery.git("push", "--quiet", "origin", "main")
    run(ARGOCD, "refresh", APPLICATIONS[0])
    head = delivery.git("rev-parse", "HEAD")
    until(60, "Argo CD has seen the empty folder", lambda: delivery.application(APPLICATIONS[0])["sync"].get("revision") == head, pause=1)
    time.sleep(8)
    want(len(world.cluster.items("-n", SPACE, "sealedsecrets")) == 4, "a sealed secret was pruned")
    sealed.all_opened()
    for path, text in (*others.items(), (sealed.document("registry-credentials"), kept)):
        path.write_bytes(text)
    sealed.sync()
    return "a sealed secret that goes from Git, and all of them: OutOfSync, every Secret is still there"


@case("gitops-secrets", group="release")
def gitops_secrets(world):
    """Sealed by `sealed`, opened by the controller, used by the release; the signing key rotated under load without one 401; the controller's keys lost and restored."""
    figures = []
    with stand(world) as (sealed, delivery):
        figures.append(f"{sealed_world.opened_by_the_controller(sealed)}, applied by {'Argo CD' if delivery.argocd else 'kubectl (no Argo CD here)'}")
        release = SealedRelease(world)
        release.baseline()
        want(all(ready(pod) for pod in release.pods(release.active)), "pods are not ready")
        figures.append("the release starts on them: database, TAK, registry, signing key")
        figures.append(rotation(world, release, sealed))
        figures.append(sealed_world.keeps_the_sealing_keys(sealed))
        figures.append(a_new_controller_opens_everything(world, sealed, delivery))
        figures.append(nothing_is_pruned(world, sealed, delivery))
        with release.load(200, RATE) as load:
            load.finish()
        load.want_none_failed()
    return "; ".join(figures)
