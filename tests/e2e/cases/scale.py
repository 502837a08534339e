"""More pods and fewer: the autoscaler, and a slot at its maximum while it is rolled out."""

import time

from cases import case, want
from harness.cluster import Watch, until


@case("autoscaler")
def autoscaler(world):
    """3 to 5 to 3 pods by load; requests and windows are shortened by values, the production ones stand in the rendered manifest."""
    release, cluster = world.release, world.cluster
    active, _ = release.baseline()
    release.upgrade({
        "resources": {"requests": {"cpu": "50m"}},
        "autoscaling": {"maxReplicas": 5, "scaleUp": {"stabilizationSeconds": 0, "pods": 2, "periodSeconds": 15},
                        "scaleDown": {"stabilizationSeconds": 15, "pods": 2, "periodSeconds": 15}}}, wait=False)
    release.settled(3, 0, 150)
    until(120, "the autoscaler has figures", lambda: current(release, active) is not None, pause=2)
    idle_percent = current(release, active)
    with Watch(cluster, release.space, "hpa", f"detection-api-{active}") as scaler, release.watch_pods() as pods:
        began = time.time()
        with release.load(600000, 500, attempts=1) as load:
            until(240, "five ready pods", lambda: len(release.live_pods(active)) == 5, pause=2)
            up = time.time() - began
            busy_percent = current(release, active)
            load.finish(stop=True)
        ended = time.time()
        until(300, "three pods again", lambda: len(release.live_pods(active)) == 3 and len(release.pods(active)) == 3, pause=2)
        down = time.time() - ended
    load.want_none_failed()
    wanted = [thing["status"].get("desiredReplicas", 3) for _, _, thing in scaler.events]
    want(max(wanted) == 5, f"the autoscaler wanted {wanted}")
    want(pods.least_ready(active) >= 3, f"only {pods.least_ready(active)} pods were ready")
    return f"CPU {idle_percent} % of the request idle, {busy_percent} % under load: 3 to 5 ready pods in {up:.0f} s, back to 3 in {down:.0f} s; {load.figures()}"


def current(release, slot):
    """CPU in % of the request, as the autoscaler sees it."""
    for metric in release.cluster.get("-n", release.space, "hpa", f"detection-api-{slot}")["status"].get("currentMetrics") or []:
        if metric.get("resource", {}).get("name") == "cpu":
            return metric["resource"]["current"].get("averageUtilization")
    return None


@case("quota", nodes=5)
def quota(world):
    """Both slots at their maximum, and one is rolled out: the quota that the chart computed holds all of it."""
    release, cluster = world.release, world.cluster
    active, other = release.baseline()
    release.upgrade({"autoscaling": {"minReplicas": 10, "maxReplicas": 10}, "slots": {other: {"state": "running"}}}, wait=False)
    release.settled(10, 10, 300)
    before = {p["metadata"]["name"] for p in release.live_pods(active)}
    most = {}
    with Watch(cluster, release.space, "resourcequota") as quotas, release.watch_pods() as pods:
        began = time.time()
        release.upgrade({"slots": {active: {"config": {"read_cache": 1024}}}}, wait=False)
        until(300, "every pod of the slot is a new one", lambda: not before & {p["metadata"]["name"] for p in release.pods(active)}, pause=2)
        release.settled(10, 10, 120)
        took = time.time() - began
    for _, _, thing in quotas.events:
        for key in ("pods", "requests.cpu", "requests.memory"):
            most[key] = max(most.get(key, 0), quantity(thing["status"]["used"].get(key, "0")))
    hard = {key: quantity(value) for key, value in quotas.events[0][2]["spec"]["hard"].items() if key in most}
    refused = [e["message"] for e in cluster.items("-n", release.space, "events") if "exceeded quota" in (e.get("message") or "")]
    want(not refused, f"refused by the quota: {refused[:2]}")
    want(most["pods"] > 20, f"there were never more than {most['pods']} pods")
    want(pods.least_ready(active) >= 10, f"only {pods.least_ready(active)} pods of {active} were ready")
    pending = [p["metadata"]["name"] for p in release.pods() if p["status"]["phase"] == "Pending"]
    want(not pending, f"pending: {pending}")
    return (f"10 and 10 pods, one slot rolled out in {took:.0f} s, never fewer than 10 ready; at most {most['pods']:.0f} pods of {hard['pods']:.0f}, "
            f"CPU {most['requests.cpu']:.2f} of {hard['requests.cpu']:.2f}, memory {most['requests.memory'] / 2**30:.1f} of {hard['requests.memory'] / 2**30:.1f} GiB; "
            "0 refused, 0 pending")


def quantity(text):
    for suffix, factor in (("Ki", 2**10), ("Mi", 2**20), ("Gi", 2**30), ("m", 1e-3), ("k", 1e3), ("M", 1e6), ("G", 1e9)):
        if text.endswith(suffix):
            return float(text[:-len(suffix)]) * factor
    return float(text)
