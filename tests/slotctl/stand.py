"""A real Git repository with this tree's kubernetes/, the world beside it, and slotctl run against both."""

import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time

from world import ENVIRONMENT, World

ROOT = pathlib.Path(__file__).resolve().parents[2]
SLOTCTL = pathlib.Path(os.environ.get("SLOTCTL", ROOT / "build/dev/bin/slotctl"))
TOOLS = ROOT / ".cache/tools/bin"
WATCH = {"duration_s": "1.5", "interval_s": "0.2", "metrics_away_most_s": "1"}

FAKE_KUBECTL = """#!/usr/bin/python3
# kubectl exec, as slotctl calls it; the world answers.
import json, sys, urllib.parse, urllib.request
arguments = sys.argv[1:]
pod, command = arguments[arguments.index("exec") + 1], arguments[arguments.index("--") + 2:]
form = urllib.parse.urlencode({"pod": pod, "command": json.dumps(command)}).encode()
with urllib.request.urlopen("%s/exec", form, timeout=10) as answer:
    done = json.load(answer)
sys.stdout.write(done["out"])
sys.exit(done["code"])
"""
HOOK = """#!/bin/bash
cat >/dev/null
exec 3<>/dev/tcp/127.0.0.1/%d || exit 0
body=when=${0##*/}
printf 'POST /hook HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nContent-Length: %%d\\r\\n\\r\\n%%s' "${#body}" "$body" >&3
cat <&3 >/dev/null
"""


def executable(path, text):
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


class Stand:
    def __init__(self, environment=ENVIRONMENT):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slotctl-test-"))
        self.environment = {**os.environ, "HOME": str(self.folder), "TMPDIR": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1",
                            "PATH": f"{TOOLS}:{os.environ['PATH']}"}
        for role in ("AUTHOR", "COMMITTER"):
            self.environment |= {f"GIT_{role}_NAME": "release test", f"GIT_{role}_EMAIL": "test@example.com"}
        work, self.bare = self.folder / "work", self.folder / "origin.git"
        shutil.copytree(ROOT / "kubernetes", work / "kubernetes", ignore=shutil.ignore_patterns("__pycache__"))
        watch = work / "kubernetes/environments/watch.yaml"
        text = watch.read_text(encoding="utf-8")
        for key, value in WATCH.items():
            text = re.sub(rf"(?m)^{key}: \S+", f"{key}: {value}", text)
        watch.write_text(text, encoding="utf-8")
        self.git(work, "init", "--quiet", "--initial-branch=main")
        self.git(work, "add", "--all")
        self.git(work, "commit", "--quiet", "--message=the beginning")
        subprocess.run(["git", "clone", "--quiet", "--bare", str(work), str(self.bare)], env=self.environment, check=True)
        self.world = World(self.bare)
        for name in ("pre-receive", "post-receive"):
            executable(self.bare / "hooks" / name, HOOK % self.world.server.server_port)
        self.kubectl = self.folder / "kubectl"
        executable(self.kubectl, FAKE_KUBECTL % self.world.url)

    def git(self, folder, *arguments):
        return subprocess.run(["git", "-C", str(folder), *arguments], env=self.environment, check=True, capture_output=True, text=True).stdout

    def close(self):
        self.world.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *arguments, **options):
        places = {"--repository": f"file://{self.bare}", "--kubernetes-url": self.world.url, "--prometheus-url": self.world.url, "--kubectl": str(self.kubectl)}
        if arguments[0] not in ("status", "verify"):
            places |= {"--pause": "0.1", "--timeout": "60"}
        places |= options.pop("places", {})
        command = [str(SLOTCTL), *arguments, "--env", ENVIRONMENT]
        for key, value in places.items():
            command += [key, value]
        process = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.world.process = process
        return process

    def run(self, *arguments, **options):
        """-> (exit code, standard output, standard error); -9: killed"""
        process = self.start(*arguments, **options)
        try:
            out, err = process.communicate(timeout=300)
        finally:
            process.kill()
        return process.returncode, out, err

    def json(self, *arguments, **options):
        code, out, err = self.run(*arguments, "--json", **options)
        try:
            return code, json.loads(out)
        except ValueError as error:
            raise AssertionError(f"{arguments} said no JSON: {out!r} {err!r}") from error

    # ---- what is there
    def slots(self):
        return self.git(self.bare, "show", f"main:kubernetes/environments/{ENVIRONMENT}/slots.yaml")

    def commits(self):
        """Subjects, oldest first, without the first."""
        return self.git(self.bare, "log", "--reverse", "--format=%s", "main").splitlines()[1:]

    def settle(self, seconds=5):
        """Until Argo CD has the newest commit, without being asked to look: it polls too."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            world = self.world
            with world.lock:
                world.refresh = True
            time.sleep(0.2)
            with world.lock:
                if world.synced == world.head() and world.phase != "Running" and world.ready == world.wanted:
                    return
        raise AssertionError("the world does not settle")

    def state(self):
        world = self.world
        with world.lock:
            return self.slots(), world.serving, world.fence, dict(world.ready), self.commits()

    def rendered(self):
        """What kubernetes/render --check says of the branch."""
        folder = self.folder / "check"
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["git", "clone", "--quiet", str(self.bare), str(folder)], env=self.environment, check=True)
        done = subprocess.run([str(folder / "kubernetes/render"), "--check", ENVIRONMENT], env=self.environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


def needs():
    """Why it cannot be tested here, or nothing."""
    if not SLOTCTL.exists():
        return f"there is no {SLOTCTL}: cmake --build --preset dev --target slotctl-program"
    if not (TOOLS / "helm").exists() and not shutil.which("helm"):
        return "helm is not there: scripts/chart_tools.sh helm"
    return None


def skip(why):
    print(f"SKIPPED {why}")
    sys.exit(77)
