#!/usr/bin/python3
"""slotctl against a real Kubernetes API (etcd and kube-apiserver alone): what it reads, patches and asks for is so as a real server has it.

The test is Argo CD and every controller: it applies the rendered manifests of the commit and writes the states that nobody else writes here."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time

import yaml
from apiserver import ApiServer, why_not
from stand import TOOLS, Stand, needs, skip
from world import ENVIRONMENT, MANIFESTS

APPLICATION = f"detection-api-{ENVIRONMENT}"
KINDS = {"ServiceAccount", "ResourceQuota", "LimitRange", "ConfigMap", "Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"}


def want(held, words):
    if not held:
        raise AssertionError(words)


class Controllers(threading.Thread):
    """Argo CD, the Deployments' controller and the autoscaler."""

    def __init__(self, api, stand):
        super().__init__(daemon=True)
        self.api, self.stand, self.over, self.problem = api, stand, threading.Event(), None
        self.sync(first=True)

    def run(self):
        while not self.over.wait(0.3):
            try:
                self.look()
            except Exception as problem:  # pylint: disable=broad-except  # the test ends with it
                self.problem = problem
                return

    def application(self):
        return self.api.get("-n", "argocd", "application", APPLICATION)

    def status(self, **status):
        self.api.kubectl("-n", "argocd", "patch", "application", APPLICATION, "--type", "merge", "-p", json.dumps({"status": status}))

    def look(self):
        app = self.application()
        if app["status"].get("operationState", {}).get("phase") == "Terminating":
            self.status(operationState={"phase": "Failed", "message": "ended"})
        if "argocd.argoproj.io/refresh" in app["metadata"].get("annotations", {}) and app["status"]["operationState"]["phase"] != "Running":
            self.api.kubectl("-n", "argocd", "annotate", "application", APPLICATION, "argocd.argoproj.io/refresh-")
            self.sync()

    def sync(self, first=False):
        head = self.stand.git(self.stand.bare, "rev-parse", "main").strip()
        if first:
            self.api.apply({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": APPLICATION, "namespace": "argocd"},
                            "spec": {"syncPolicy": {"automated": {"enabled": True}}}})
        files = self.stand.git(self.stand.bare, "ls-tree", "--name-only", head, f"{MANIFESTS}/").split()
        objects = [item for name in files for item in yaml.safe_load_all(self.stand.git(self.stand.bare, "show", f"{head}:{name}")) if item and item["kind"] in KINDS]
        self.api.apply(*objects)
        scalers = {item["metadata"]["name"]: item["spec"]["minReplicas"] for item in objects if item["kind"] == "HorizontalPodAutoscaler"}
        for item in objects:
            if item["kind"] == "Deployment":
                self.scale(item, item["spec"].get("replicas", scalers.get(item["metadata"]["name"], 1)))
            if item["kind"] == "Service" and item["metadata"]["name"] == "detection-api":
                with self.stand.world.lock:  # the pods' own answers come from there
                    self.stand.world.serving = self.stand.world.fence = item["spec"]["selector"]["slot"]
        self.status(sync={"status": "Synced", "revision": head}, health={"status": "Healthy"},
                    operationState={"phase": "Succeeded", "message": "", "operation": {"sync": {"revision": head}}, "finishedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})

    def scale(self, item, count):
        name, slot = item["metadata"]["name"], item["metadata"]["labels"]["slot"]
        image = item["spec"]["template"]["spec"]["containers"][0]["image"]
        self.api.kubectl("-n", "detection-system", "scale", "deployment", name, f"--replicas={count}")
        generation = self.api.get("-n", "detection-system", "deployment", name)["metadata"]["generation"]
        patch = {"status": {"observedGeneration": generation, "replicas": count, "updatedReplicas": count, "readyReplicas": count}}
        self.api.kubectl("-n", "detection-system", "patch", "deployment", name, "--subresource=status", "--type", "merge", "-p", json.dumps(patch))
        self.api.kubectl("-n", "detection-system", "delete", "pods", "-l", f"slot={slot}", "--grace-period=0", "--force")
        for number in range(count):
            pod = item["spec"]["template"]
            self.api.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{name}-{number}", "namespace": "detection-system", "labels": pod["metadata"]["labels"]},
                            "spec": pod["spec"]})
            ready = '{"status":{"conditions":[{"type":"Ready","status":"True"}],"phase":"Running"}}'
            self.api.kubectl("-n", "detection-system", "patch", "pod", f"{name}-{number}", "--subresource=status", "--type", "merge", "-p", ready)
        with self.stand.world.lock:
            self.stand.world.tag[slot], self.stand.world.ready[slot] = image.rpartition(":")[2], count


def through(api, stand):
    """kubectl for slotctl: everything goes to the real one, but for exec, which needs nodes."""
    program = stand.folder / "kubectl-through"
    program.write_text(f"#!/bin/sh\ncase \" $* \" in *' exec '*) exec {stand.kubectl} \"$@\";; esac\nexec {api.kubectl_program} --kubeconfig {api.kubeconfig} \"$@\"\n", encoding="utf-8")
    program.chmod(0o755)
    return {"--kubernetes-url": "", "--kubectl": str(program)}


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended on the way out
    for why in (needs(), why_not()):
        if why:
            skip(why)
    kubectl = TOOLS / "kubectl" if (TOOLS / "kubectl").exists() else shutil.which("kubectl")
    if not kubectl:
        skip("no kubectl: scripts/chart_tools.sh kubectl")
    began, stand = time.monotonic(), Stand()
    api = ApiServer(kubectl)
    controllers = None
    try:
        # The world's own thread would overwrite what the controllers here say of the pods.
        stand.world.over.set()
        # Names of pods as they are made here.
        stand.world.names = lambda slot: [f"detection-api-{slot}-{number}" for number in range(stand.world.ready[slot])]
        controllers = Controllers(api, stand)
        controllers.start()
        places = through(api, stand)
        code, said = stand.json("status", places=places)
        want(code == 0 and said["phase"] == "at rest" and said["slots"]["blue"]["pods"] == {"wanted": 3, "ready": 3, "all": 3}, said)
        code, said = stand.json("release", "--tag", "v2", places=places)
        want(code == 0, said)
        service = api.get("-n", "detection-system", "service", "detection-api")
        want(service["spec"]["selector"]["slot"] == "green", service["spec"])
        want(not api.get("-n", "detection-system", "hpa")["items"] == [] and controllers.problem is None, controllers.problem)
        release = said["seconds"]

        # A sync of an older commit that hangs is ended: the patch is one that the API takes, with the version that was seen.
        old = stand.git(stand.bare, "rev-parse", "main").strip()
        stand.git(stand.folder / "work", "pull", "--quiet", str(stand.bare), "main")
        (stand.folder / "work/kubernetes/environments/prod/note.txt").write_text("a change\n", encoding="utf-8")
        stand.git(stand.folder / "work", "add", "--all")
        stand.git(stand.folder / "work", "commit", "--quiet", "--message=by hand")
        stand.git(stand.folder / "work", "push", "--quiet", str(stand.bare), "HEAD:main")
        controllers.status(operationState={"phase": "Running", "operation": {"sync": {"revision": old}}})
        code, said = stand.json("deploy", "--tag", "v3", places=places)
        want(code == 0, said)
        want(controllers.problem is None, controllers.problem)
        code, said = stand.json("rollback", places=places)
        want(code == 0 and said["steps"][0]["commits"] == ["roll back: give blue (v3) up"], said)

        # Without the right to patch the Application: said, and nothing is committed.
        api.kubectl("-n", "argocd", "delete", "application", APPLICATION)
        code, out, err = stand.run("deploy", "--tag", "v4", places=places)
        want(code == 1 and "kubectl apply -f kubernetes/argocd/root-prod.yaml" in out + err, out + err)
        # And what that command applies is taken by the API.
        for environment in ("dev", "staging", "prod", "airgap"):
            api.kubectl("apply", "--dry-run=server", "-f", str(stand.folder / f"work/kubernetes/argocd/root-{environment}.yaml"), "-f", str(stand.folder / f"work/kubernetes/argocd/{environment}"))
        print(f"ok a release, a hanging sync, a release given up, against kube-apiserver ({time.monotonic() - began:.0f} s; the release {release:.1f} s)")
        print("1 passed, 0 failed")
        return 0
    except (AssertionError, subprocess.SubprocessError, RuntimeError) as problem:
        print(f"FAILED against kube-apiserver: {problem}")
        print("0 passed, 1 failed")
        return 1
    finally:
        if controllers:
            controllers.over.set()
            controllers.join(timeout=30)
        api.close()
        stand.close()


if __name__ == "__main__":
    sys.exit(main())
