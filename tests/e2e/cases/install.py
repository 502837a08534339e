"""The installation, what a detection does in it, and how fast a pod is ready."""

import json
import os
import time

from cases import case, want
from harness.cluster import ready, until
from harness.peers import CONTAINER_SECURITY, NAMESPACE, POD_SECURITY, pod, secret


def detection(number=0):
    return {"detection_id": f"{os.urandom(4).hex()}-0000-4000-8000-{number:012x}", "pixel_x": 512, "pixel_y": 384, "object_class": "vehicle",
            "ai_confidence": 0.92, "source": "e2e", "camera_id": "mast-1", "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "sensor_metadata": {"location_lat": 48, "location_lon": 11, "location_elevation": 100, "elevation_reference": "agl", "heading": 45,
                                "pitch": -60, "roll": 0, "focal_length": 1000, "image_width": 1024, "image_height": 768}}


@case("install", quick=True)
def install(world):
    """The chart under enforced Pod Security `restricted`; migration and fence ran; every object is there; no pod restarted."""
    release, cluster = world.release, world.cluster
    began = time.monotonic()
    active, _ = release.baseline()
    took = time.monotonic() - began
    labels = cluster.get("namespace", release.space)["metadata"]["labels"]
    want(labels.get("pod-security.kubernetes.io/enforce") == "restricted", f"Pod Security is not enforced: {labels}")
    jobs = {job["metadata"]["name"]: job["status"] for job in cluster.items("-n", release.space, "jobs")}
    for hook in ("migrate", "fence"):
        done = [name for name, status in jobs.items() if hook in name and status.get("succeeded")]
        want(done, f"no {hook} Job has succeeded: {jobs}")
    want(release.fence() == active, f"the fence is {release.fence()!r}, the active slot {active}")
    want(release.restarts() == 0, f"{release.restarts()} restarts: {release.words()}")
    nodes = {p["spec"]["nodeName"] for p in release.pods()}
    want(len(nodes) == 3, f"the three pods are on {sorted(nodes)}")
    cluster.helm("test", "detection-api", "-n", release.space, "--timeout", "90s")
    return f"three pods ready on three nodes {took:.0f} s after the command, with both hooks; 0 restarts; helm test passed"


@case("post", quick=True)
def post(world):
    """A detection posted through the Service reaches taky, whose log names its uid; a wrong token is refused."""
    release, peers = world.release, world.peers
    release.baseline()
    body = detection()
    began = time.monotonic()
    status, text, _ = peers.http("load-1", f"{release.url}/api/v1/detections", token=release.token, body=body)
    want(status == 201, f"the POST was answered {status}: {text[:300]}")
    uid = json.loads(text)["cot"]["uid"]
    grep = 'grep -hc "$1" /var/lib/taky/cot/* | sort -n | tail -n 1'
    until(20, f"{uid} is in taky's log", lambda: world.cluster.execute(NAMESPACE, "taky", "/bin/sh", "-c", grep, "sh", uid).strip() not in ("", "0"), pause=0.2)
    took = time.monotonic() - began
    status, _, _ = peers.http("load-1", f"{release.url}/api/v1/detections", token="wrong", body=body)
    want(status == 401, f"a wrong token was answered {status}")

    def delivered():
        _, answer, _ = peers.http("load-1", f"{release.url}/api/v1/detections/{body['detection_id']}", token=release.token)
        return json.loads(answer)["delivery"]["state"] == "delivered"
    until(20, "its state is delivered", delivered)
    return f"201 through the Service, {uid} in taky's log at most {took:.1f} s after the command (three `kubectl exec` in it), then `delivered`"


READY = """
import json, os, time, urllib.request
began = None
while began is None:
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                command = file.read().split(b"\\0")
            if command[0] == b"/detection-api":
                with open(f"/proc/{name}/stat") as file:
                    began = int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        except OSError:
            pass
    time.sleep(0.002)
while True:
    try:
        with urllib.request.urlopen("http://127.0.0.1:8000/ready", timeout=1) as answer:
            if answer.status == 200:
                break
    except OSError:
        time.sleep(0.002)
print(json.dumps({"ready_s": time.clock_gettime(time.CLOCK_BOOTTIME) - began}), flush=True)
import signal
signal.sigwait([signal.SIGTERM])
"""


@case("ready", quick=True)
def ready_at_once(world):
    """The image in a restricted pod: from the start of its process to the first 200 of /ready, seen from beside it; three pods."""
    cluster, times = world.cluster, []
    cluster.apply(secret(NAMESPACE, "jwt-signing-key", secret_key=os.urandom(36).hex()))
    for number in range(3):
        name = f"ready-{number}"
        beside = pod(NAMESPACE, name, "load:test", ["/usr/bin/python3", "-c", READY], labels={"role": "ready"}, prefix=world.prefix, shareProcessNamespace=True)
        beside["spec"]["volumes"] += [{"name": "data", "emptyDir": {}}, {"name": "key", "secret": {"secretName": "jwt-signing-key"}}]
        beside["spec"]["containers"].append({
            "name": "service", "image": world.image, "imagePullPolicy": "IfNotPresent", "securityContext": CONTAINER_SECURITY,
            "args": ["serve", "--data-dir", "/var/lib/detection", "--jwt-key-file", "/etc/detection/jwt/secret_key"],
            "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
            "volumeMounts": [{"name": "data", "mountPath": "/var/lib/detection"}, {"name": "key", "mountPath": "/etc/detection/jwt"}]})
        want(POD_SECURITY.items() <= beside["spec"]["securityContext"].items(), "the pod is not a restricted one")
        cluster.apply(beside)
        said = until(60, f"{name} says how long it took", lambda: cluster.kubectl("-n", NAMESPACE, "logs", name, "-c", "main", check=False).strip())
        times.append(json.loads(said)["ready_s"])
        want(ready(cluster.get("-n", NAMESPACE, "pod", name)), f"{name} is not ready")
        cluster.kubectl("-n", NAMESPACE, "delete", "pod", name, "--wait=false")
    want(max(times) <= 1, f"ready after {times} s")
    return "ready " + ", ".join(f"{t:.2f}" for t in times) + " s after the start of the process"
