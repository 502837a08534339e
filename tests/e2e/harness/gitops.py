"""A release as an operator makes it: a bare Git repository, Argo CD beside the local cluster, and slotctl. One stand serves all tests that
share it, one after the other: each leaves it at rest."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import yaml
from harness.cluster import HERE, HOME, ROOT, Failure, NotHere, run, until
from harness.monitoring import Monitoring
from harness.release import SPACE, cluster_values, merged

ARGOCD = HERE / "cluster" / "argocd"
APPLICATION = "detection-api-e2e"
SLOTCTL = pathlib.Path(os.environ.get("SLOTCTL", ROOT / "build" / "dev" / "bin" / "slotctl"))
SLOTS = "kubernetes/environments/e2e/slots.yaml"


def why_not(cluster):
    """Why there is no Argo CD here, or nothing."""
    if not cluster.ours:
        return "needs the local cluster: Argo CD reads its repository from a folder of this machine"
    if not (HOME / "bin" / "argocd").exists():
        return "the local cluster has no Argo CD: tests/e2e/cluster/cluster install argocd (once, about 15 minutes)"
    if not SLOTCTL.exists():
        return f"there is no {SLOTCTL}: cmake --build --preset dev --target slotctl-program"
    return None


class Driven:
    """A slotctl that runs. lines: what it said on its way, each with the time at which it was read."""

    def __init__(self, command, environment):
        self.words, self.lines, self.out, self.began = " ".join(command[command.index("--") + 2:]), [], "", time.time()
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.threads = [threading.Thread(target=target, daemon=True) for target in (self.read_lines, self.read_out)]
        for thread in self.threads:
            thread.start()

    def read_lines(self):
        for line in self.process.stderr:
            self.lines.append((time.time(), line.rstrip()))

    def read_out(self):
        self.out = self.process.stdout.read()

    @property
    def progress(self):
        return "\n".join(line for _, line in self.lines)

    def said_at(self, sign):
        """When a line with these words came, or nothing."""
        return next((when for when, line in list(self.lines) if sign in line), None)

    def wait_for(self, sign, seconds=120):
        until(seconds, f"`{self.words}` says '{sign}'", lambda: self.said_at(sign) or self.process.poll() is not None, pause=0.02)
        return self.said_at(sign)

    def kill(self):
        """SIGKILL. -> whether it still ran"""
        running = self.process.poll() is None
        self.process.kill()
        self.process.wait()
        return running

    def finish(self, timeout=1500):
        """-> (exit code, what it said as an object, the last words in it or on standard error)"""
        try:
            code = self.process.wait(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise Failure(f"`{self.words}` did not end in {timeout} s: {self.progress[-900:]}") from error
        for thread in self.threads:
            thread.join(timeout=10)
        said = json.loads(self.out) if self.out.startswith("{") else {}
        return code, said, said["steps"][-1]["text"] if said.get("steps") else self.progress[-900:]


class GitOps:
    """The environment `e2e`: production's values with this cluster's addresses, its first version in blue."""
    name = "gitops"

    def __init__(self, world):
        self.world, self.cluster, self.release = world, world.cluster, world.release
        if why := why_not(self.cluster):
            raise NotHere(why)
        self.broken, self.monitoring = True, None  # broken: until a test has left it at rest
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slotctl-e2e-"))
        self.bare, self.work = self.folder / "origin.git", self.folder / "work"
        self.environment = {**self.cluster.environment, "GIT_CONFIG_NOSYSTEM": "1"}
        for role in ("AUTHOR", "COMMITTER"):
            self.environment |= {f"GIT_{role}_NAME": "release test", f"GIT_{role}_EMAIL": "test@example.com"}
        self.fill(world)
        self.git(self.work, "init", "--quiet", "--initial-branch=main")
        self.git(self.work, "add", "--all")
        self.git(self.work, "commit", "--quiet", "--message=the beginning")
        run("git", "clone", "--quiet", "--bare", self.work, self.bare, env=self.environment)
        self.git(self.work, "remote", "add", "origin", self.bare)

    def fill(self, world):
        kubernetes = self.work / "kubernetes"
        shutil.copytree(ROOT / "kubernetes", kubernetes, ignore=shutil.ignore_patterns("__pycache__"))
        profile = yaml.safe_load((kubernetes / "chart/values-prod.yaml").read_text(encoding="utf-8"))
        values = merged(profile, cluster_values(world.prefix, world.tag))
        values["networkPolicy"]["metrics"].append({"namespace": "monitoring"})
        # No ingress controller is here. An Ingress without an address is Progressing for Argo CD for ever, and holds the waves behind it.
        values["ingress"] = {"enabled": False}
        (kubernetes / "chart/values-e2e.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        slots = (kubernetes / "environments/prod/slots.yaml").read_text(encoding="utf-8").replace("prod", "e2e").replace('"0.1.0"', f'"{world.tag}"')
        (kubernetes / "environments/e2e").mkdir()
        (self.work / SLOTS).write_text(slots, encoding="utf-8")
        run(kubernetes / "render", "e2e", env=self.environment)

    # ---- the stand
    def start(self):
        """Argo CD, the project and the Application of prod with this repository; until blue has its pods and the first sync is done."""
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
        try:
            self.synced(300)
        except Failure as error:
            raise Failure(f"{error}; Argo CD says: {self.words()}") from error
        until(120, "blue has three ready pods", lambda: len(self.release.live_pods("blue")) >= 3, pause=1)

    def watch_figures(self):
        """Prometheus as the monitoring stack has it, without its companions; until it has seen the pods twice."""
        if self.monitoring is None:
            self.monitoring = Monitoring(self.cluster, self.world.prefix, only=("prometheus",))
            self.monitoring.start()
            time.sleep(35)

    def rest(self):
        """One slot live, the other at 0, whatever the test before has left; the watch as long as in production."""
        self.watch_lasts(None)
        phase = self.must("status")["phase"]
        if phase == "warming":
            self.must("rollback")
        elif phase != "at rest":
            self.must("finalize", "--without-watch")

    def close(self):
        for way in ([self.monitoring.stop] if self.monitoring else []) + [self.take_down]:
            with contextlib.suppress(Failure):
                way()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.release.installed, self.release.token, self.release.values = False, "", self.release.base

    def take_down(self):
        self.cluster.kubectl("-n", "argocd", "delete", "application", APPLICATION, "--ignore-not-found", "--wait=false", check=False)
        run(ARGOCD, "down", check=False)
        self.cluster.kubectl("delete", "namespace", SPACE, "argocd", "--ignore-not-found", "--timeout=180s", timeout=400, check=False)

    def evidence(self):
        """What a failed test leaves to be looked at, beside what e2e.py keeps."""
        folder = ROOT / "build" / "logs" / "e2e" / "gitops"
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(Failure):
            (folder / "application.yaml").write_text(self.cluster.kubectl("-n", "argocd", "get", "application", APPLICATION, "-o", "yaml", check=False), encoding="utf-8")
            (folder / "history.txt").write_text(self.git(self.bare, "log", "-p", "main", "--", SLOTS), encoding="utf-8")
        for log in (HOME / "argocd").glob("*.log"):
            shutil.copy(log, folder)

    # ---- Argo CD
    def application(self):
        return self.cluster.get("-n", "argocd", "application", APPLICATION)

    def synced(self, seconds=120):
        """Until the newest commit is synced: its operation is over, hooks and all."""
        head = self.head()

        def look():
            status = self.application().get("status", {})
            sync, phase = status.get("sync", {}), status.get("operationState", {}).get("phase")
            return sync.get("status") == "Synced" and sync.get("revision") == head and phase == "Succeeded"
        until(seconds, f"{APPLICATION} is synced to {head[:10]}", look, pause=1)

    def words(self):
        status = self.application().get("status", {})
        unhealthy = [f"{r['kind']} {r['name']} {r.get('status')} {r.get('health', {}).get('status')}" for r in status.get("resources", [])
                     if r.get("status") != "Synced" or r.get("health", {}).get("status", "Healthy") != "Healthy"]
        return f"{status.get('sync', {}).get('status')}; {status.get('operationState', {}).get('message')}; {status.get('conditions')}; {unhealthy[:6]}"

    @contextlib.contextmanager
    def argocd_stopped(self, part):
        """controller or repo-server does nothing meanwhile."""
        pid = int((HOME / "argocd" / f"{part}.pid").read_text(encoding="ascii"))
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    # ---- slotctl
    def begin(self, *arguments):
        # In node 1's network, as this cluster's kubectl: its port-forward listens there.
        return Driven(["nsenter", "--net=/run/netns/kube-1", "--", str(SLOTCTL), *map(str, arguments), "--env", "e2e", "--repository", f"file://{self.bare}", "--json"],
                      self.environment)

    def slotctl(self, *arguments, timeout=1500):
        """-> (exit code, what it said as an object, its last words)"""
        return self.begin(*arguments).finish(timeout)

    def must(self, *arguments):
        driven = self.begin(*arguments)
        code, said, words = driven.finish()
        if code != 0:
            raise Failure(f"`{driven.words}` ended with {code}: {words}; {driven.progress[-900:]}")
        return said

    def refuses(self, sign, *arguments):
        """It must end with 1 and say all of these words. -> seconds"""
        driven = self.begin(*arguments)
        code, _, words = driven.finish()
        took = time.time() - driven.began
        missing = [part for part in sign if part not in words]
        if code != 1 or missing:
            raise Failure(f"`{driven.words}` ended with {code} and does not say {missing}: {words}; {driven.progress[-900:]}")
        return took

    def settings(self, **options):
        """A file for --config: a version of its own of the same image."""
        path = self.folder / f"settings-{time.monotonic_ns()}.yaml"
        path.write_text(yaml.safe_dump(options), encoding="utf-8")
        return path

    # ---- Git
    def git(self, folder, *arguments):
        return run("git", "-C", folder, *arguments, env=self.environment)

    def newest(self):
        self.git(self.work, "fetch", "--quiet", "origin", "main")
        self.git(self.work, "reset", "--quiet", "--hard", "FETCH_HEAD")

    def push(self):
        self.git(self.work, "push", "--quiet", "origin", "HEAD:main")

    def revert(self, message=None):
        """The newest commit, as a person reverts it by hand (message: in place of Git's own)."""
        self.newest()
        self.git(self.work, "revert", "--no-edit", "HEAD")
        if message:
            self.git(self.work, "commit", "--quiet", "--amend", "--message", message)
        self.push()

    def switch_again(self):
        """Forward again after a rollback by one commit, without another roll-out: both slots run still."""
        self.revert("release(e2e): switch again\n\nRelease-Step: switch\n")
        self.must("switch")

    def watch_lasts(self, seconds):
        """A watch of so many seconds for this environment; None: as long as in production."""
        self.newest()
        path = self.work / "kubernetes/environments/e2e/watch.yaml"
        before = path.read_text(encoding="utf-8") if path.exists() else None
        text = re.sub(r"(?m)^duration_s: \S+", f"duration_s: {seconds}", (self.work / "kubernetes/environments/watch.yaml").read_text(encoding="utf-8"))
        if (text if seconds else None) == before:
            return
        if seconds:
            path.write_text(text, encoding="utf-8")
        else:
            path.unlink()
        self.git(self.work, "add", "--all")
        self.git(self.work, "commit", "--quiet", "--message", f"watch of {seconds or 300} s")
        self.push()

    def slots(self):
        return yaml.safe_load(self.git(self.bare, "show", f"main:{SLOTS}"))["slots"]

    def active(self):
        return self.slots()["active"]

    def commits(self, since):
        """Subjects of what came after this commit, oldest first."""
        return self.git(self.bare, "log", "--reverse", "--format=%s", f"{since}..main").splitlines()

    def head(self):
        return self.git(self.bare, "rev-parse", "main").strip()
