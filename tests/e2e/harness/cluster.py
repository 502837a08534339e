"""A Kubernetes: the one that KUBECONFIG names, or else one of our own on this machine (tests/e2e/cluster)."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time

HERE = pathlib.Path(__file__).resolve().parents[1]
ROOT = HERE.parents[1]
LOCAL = HERE / "cluster" / "cluster"
HOME = pathlib.Path(os.environ.get("DETECTION_CLUSTER_HOME", "/var/lib/detection-cluster"))


class Failure(Exception):
    """What a test found wrong, in words."""


class NotHere(Exception):
    """Why something cannot be tested here."""


def run(*command, text=None, timeout=600, check=True, env=None):
    """-> standard output. A command that fails is a Failure with its last words."""
    try:
        done = subprocess.run([str(part) for part in command], input=text, text=True, capture_output=True, timeout=timeout, env=env)
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{command[0]} did not end in {timeout} s: {' '.join(map(str, command))[:200]}") from error
    if check and done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip())[-900:]
        raise Failure(f"{' '.join(map(str, command))[:200]} ended with {done.returncode}: {words}")
    return done.stdout


class Cluster:
    def __init__(self, keep=False):
        self.keep, self.ours = keep, not os.environ.get("KUBECONFIG")
        self.images = []  # (archive, NAME:TAG) to be loaded into whichever nodes there are
        self.environment = dict(os.environ)
        self.made = False
        if self.ours:
            if not (HOME / "installed").exists():
                raise NotHere(f"no KUBECONFIG is set, and the local cluster is not installed: {LOCAL.relative_to(ROOT)} install (once, about 20 minutes)")
            if os.geteuid() != 0:
                raise NotHere("the local cluster needs root; set KUBECONFIG to use another one")
            self.environment["PATH"] = f"{HOME}/env:{HOME}/bin:{self.environment['PATH']}"
            self.environment["KUBECONFIG"] = f"{HOME}/pki/admin.kubeconfig"
        else:
            for tool in ("kubectl", "helm"):
                if not shutil.which(tool):
                    raise NotHere(f"KUBECONFIG is set, but there is no {tool}")

    # ---- the machine
    def up(self, nodes):
        """A cluster of at least so many nodes; a local one with fewer is made anew."""
        if not self.ours:
            if len(self.nodes()) < nodes:
                raise NotHere(f"needs {nodes} nodes, this cluster has {len(self.nodes())}")
            return False
        if os.path.exists("/run/netns/kube-net"):
            if len(list((HOME / "nodes").iterdir())) >= nodes:
                return False
            run(LOCAL, "down")
        run(LOCAL, "up", nodes, timeout=240)
        self.made = True
        for archive in self.images:
            run(LOCAL, "load", archive)
        return True

    def down(self):
        if self.ours and self.made and not self.keep:
            run(LOCAL, "down", check=False)

    def load(self, archive):
        if not self.ours:
            return  # a foreign cluster pulls them: --image-prefix
        self.images.append(archive)
        if os.path.exists("/run/netns/kube-net"):
            run(LOCAL, "load", archive)

    def crash(self, node):
        self.only_ours("kills a node at once")
        run(LOCAL, "crash", node.removeprefix("kube-"))

    def boot(self, node):
        run(LOCAL, "boot", node.removeprefix("kube-"), timeout=120)
        self.kubectl("wait", "--for=condition=Ready", f"node/{node}", "--timeout=90s")

    def kill_processes(self, pod_uid, program):
        """SIGKILL to the processes of a pod that run this program; the nodes' processes are this machine's."""
        killed = 0
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().split(b"\0")[0].decode()
                if command == program and pod_uid in (folder / "cgroup").read_text(encoding="ascii"):
                    os.kill(int(folder.name), signal.SIGKILL)
                    killed += 1
            except OSError:
                continue  # it has ended meanwhile
        if killed == 0:
            raise Failure(f"no process {program} of the pod {pod_uid} was found")

    def only_ours(self, why):
        if not self.ours:
            raise NotHere(f"{why}: only on the local cluster")

    # ---- the API
    def kubectl(self, *arguments, text=None, timeout=180, check=True):
        return run("kubectl", *arguments, text=text, timeout=timeout, check=check, env=self.environment)

    def helm(self, *arguments, timeout=600, check=True):
        return run("helm", *arguments, timeout=timeout, check=check, env=self.environment)

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def version(self):
        return json.loads(self.kubectl("get", "--raw", "/version"))["gitVersion"]

    def items(self, *arguments):
        return self.get(*arguments)["items"]

    def apply(self, *objects):
        self.kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def nodes(self):
        return sorted(node["metadata"]["name"] for node in self.items("nodes"))

    def start(self, *command):
        """A command that goes on beside the test; its standard output can be read."""
        return subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=self.environment)

    def execute(self, namespace, pod, *command, text=None, timeout=120, check=True):
        standing = ["-i"] if text is not None else []
        return self.kubectl("-n", namespace, "exec", *standing, pod, "--", *command, text=text, timeout=timeout, check=check)


def until(seconds, what, look, pause=0.5):
    """Waits until look() is true and returns what it said."""
    ends = time.monotonic() + seconds
    while True:
        if seen := look():
            return seen
        if time.monotonic() > ends:
            raise Failure(f"after {seconds} s still not: {what}")
        time.sleep(pause)


class Watch:
    """What the API server tells of the objects of one kind, each event with the time at which it was seen."""

    def __init__(self, cluster, namespace, *what):
        self.events = []
        self.process = cluster.start("kubectl", "-n", namespace, "get", *what, "--watch", "--output-watch-events", "-o", "json")
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:  # one event a line
            event = json.loads(line)
            self.events.append((time.time(), event["type"], event["object"]))
            self.seen(*self.events[-1])

    def seen(self, when, kind, thing):
        """For those who want to know at once."""

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.thread.join(timeout=5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def leaving(pod):
    return "deletionTimestamp" in pod["metadata"]


class PodWatch(Watch):
    """Pods of the service over time: history is a list of (time, {slot: (ready, living)}); leaving ones count as neither."""

    def __init__(self, cluster, namespace):
        self.pods, self.history = {}, []
        super().__init__(cluster, namespace, "pods", "-l", "app.kubernetes.io/name=detection-api,slot")
        until(20, "the pods are known", lambda: self.events and time.time() - self.events[-1][0] > 1, pause=0.1)
        del self.history[:-1]  # what it was like while they came in one by one

    def seen(self, when, kind, pod):
        self.pods[pod["metadata"]["uid"]] = pod
        if kind == "DELETED" or pod["status"].get("phase") in ("Succeeded", "Failed"):
            del self.pods[pod["metadata"]["uid"]]
        counts = {}
        for one in list(self.pods.values()):
            if not leaving(one):
                had = counts.get(one["metadata"]["labels"]["slot"], (0, 0))
                counts[one["metadata"]["labels"]["slot"]] = (had[0] + ready(one), had[1] + 1)
        self.history.append((when, counts))

    def least_ready(self, slot, since=0.0):
        """Also what it was at that time."""
        before = [counts for when, counts in self.history if when < since][-1:]
        return min(counts.get(slot, (0, 0))[0] for counts in before + [counts for when, counts in self.history if when >= since])

    def most_pods(self, since=0.0):
        return max((sum(living for _, living in counts.values()) for when, counts in self.history if when >= since), default=0)
