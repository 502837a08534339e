"""A release as an operator makes it: a bare Git repository, Argo CD beside the local cluster, and slotctl."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import yaml
from harness.cluster import HERE, HOME, ROOT, Failure, NotHere, run, until
from harness.release import SPACE, cluster_values, merged

ARGOCD = HERE / "cluster" / "argocd"
APPLICATION = "detection-api-e2e"
SLOTCTL = pathlib.Path(os.environ.get("SLOTCTL", ROOT / "build" / "dev" / "bin" / "slotctl"))


def why_not(cluster):
    """Why there is no Argo CD here, or nothing."""
    if not cluster.ours:
        return "needs the local cluster: Argo CD reads its repository from a folder of this machine"
    if not (HOME / "bin" / "argocd").exists():
        return "the local cluster has no Argo CD: tests/e2e/cluster/cluster install argocd (once, about 15 minutes)"
    if not SLOTCTL.exists():
        return f"there is no {SLOTCTL}: cmake --build --preset dev --target slotctl-program"
    return None


class GitOps:
    """The environment `e2e`: production's values with this cluster's addresses, its first version in blue."""

    def __init__(self, world):
        self.cluster, self.release = world.cluster, world.release
        if why := why_not(self.cluster):
            raise NotHere(why)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slotctl-e2e-"))
        self.bare, work = self.folder / "origin.git", self.folder / "work"
        self.environment = {**self.cluster.environment, "GIT_CONFIG_NOSYSTEM": "1"}
        for role in ("AUTHOR", "COMMITTER"):
            self.environment |= {f"GIT_{role}_NAME": "release test", f"GIT_{role}_EMAIL": "test@example.com"}
        self.fill(work, world)
        self.git(work, "init", "--quiet", "--initial-branch=main")
        self.git(work, "add", "--all")
        self.git(work, "commit", "--quiet", "--message=the beginning")
        run("git", "clone", "--quiet", "--bare", work, self.bare, env=self.environment)

    def fill(self, work, world):
        shutil.copytree(ROOT / "kubernetes", work / "kubernetes", ignore=shutil.ignore_patterns("__pycache__"))
        kubernetes = work / "kubernetes"
        profile = yaml.safe_load((kubernetes / "chart/values-prod.yaml").read_text(encoding="utf-8"))
        values = merged(profile, cluster_values(world.prefix, world.tag))
        values["networkPolicy"]["metrics"].append({"namespace": "monitoring"})
        (kubernetes / "chart/values-e2e.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        slots = (kubernetes / "environments/prod/slots.yaml").read_text(encoding="utf-8").replace("prod", "e2e").replace('"0.1.0"', f'"{world.tag}"')
        (kubernetes / "environments/e2e").mkdir()
        (kubernetes / "environments/e2e/slots.yaml").write_text(slots, encoding="utf-8")
        run(kubernetes / "render", "e2e", env=self.environment)

    def git(self, folder, *arguments):
        return run("git", "-C", folder, *arguments, env=self.environment)

    def start(self):
        """Argo CD, the project and the Application of prod with this repository; until blue has its pods."""
        run(ARGOCD, "up", timeout=180)
        url = f"file://{self.bare}"
        for name in ("projects.yaml", "detection-api.yaml"):
            for item in yaml.safe_load_all((ROOT / "kubernetes/argocd/prod" / name).read_text(encoding="utf-8")):
                if item["kind"] == "AppProject":
                    item["spec"]["sourceRepos"] = [url]
                else:
                    item["metadata"]["name"] = APPLICATION
                    item["spec"]["source"] |= {"repoURL": url, "path": "kubernetes/manifests/e2e"}
                self.cluster.apply(item)
        until(240, f"{APPLICATION} is synced", lambda: self.application().get("status", {}).get("sync", {}).get("status") == "Synced", pause=2)
        until(120, "blue has three ready pods", lambda: len(self.release.live_pods("blue")) >= 3, pause=1)

    def application(self):
        return self.cluster.get("-n", "argocd", "application", APPLICATION)

    def stop(self):
        self.cluster.kubectl("-n", "argocd", "delete", "application", APPLICATION, "--ignore-not-found", "--wait=false", check=False)
        run(ARGOCD, "down", check=False)
        self.cluster.kubectl("delete", "namespace", SPACE, "argocd", "--ignore-not-found", "--timeout=180s", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- slotctl
    def command(self, arguments):
        # In node 1's network, as this cluster's kubectl: its port-forward listens there.
        return ["nsenter", "--net=/run/netns/kube-1", "--", str(SLOTCTL), *map(str, arguments), "--env", "e2e", "--repository", f"file://{self.bare}", "--json"]

    def slotctl(self, *arguments, timeout=1500):
        """-> (exit code, what it said as an object, its progress)"""
        command = self.command(arguments)
        try:
            done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=timeout, cwd=ROOT, check=False)
            return done.returncode, json.loads(done.stdout), done.stderr
        except (ValueError, subprocess.TimeoutExpired) as error:
            raise Failure(f"slotctl {arguments}: {error}") from error

    def must(self, *arguments):
        code, said, progress = self.slotctl(*arguments)
        if code != 0:
            raise Failure(f"slotctl {' '.join(map(str, arguments))} ended with {code}: {said['steps'][-1]['text'] if 'steps' in said else said}; {progress[-600:]}")
        return said

    def slotctl_for(self, seconds, *arguments):
        """Kills it after so long; TimeoutExpired then, else it has ended before."""
        subprocess.run(self.command(arguments), env=self.environment, capture_output=True, timeout=seconds, cwd=ROOT, check=False)

    def settings(self, **options):
        """A file for --config: a version of its own of the same image."""
        path = self.folder / f"settings-{time.monotonic_ns()}.yaml"
        path.write_text(yaml.safe_dump(options), encoding="utf-8")
        return path

    def active(self):
        return self.must("status")["active"]

    def slots(self):
        return self.git(self.bare, "show", "main:kubernetes/environments/e2e/slots.yaml")
