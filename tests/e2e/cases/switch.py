"""Blue to green and what follows: the release as its operator makes it, one commit (`helm upgrade`) after the other."""

import time

from cases import case, want
from harness.cluster import Watch, until


def service_moved(watch, slot):
    return next((when for when, _, thing in list(watch.events) if thing["spec"]["selector"].get("slot") == slot), None)


def fence_follows(world, new, old):
    """The fence in the database and in the metrics: the new slot's pods deliver, the old one's do not."""
    release = world.release
    want(release.fence() == new, f"the fence is {release.fence()!r}, not {new}")

    def look():
        return all(release.metrics(pod).get(f'release_slot_active{{slot="{slot}"}}') == wanted
                   for slot, wanted in ((new, 1), (old, 0)) for pod in release.live_pods(slot))
    until(10, f"release_slot_active is 1 in {new} and 0 in {old}", look)
    for pod in release.live_pods(new):
        info = [series for series in release.metrics(pod) if series.startswith("detection_api_info{") and f'slot="{new}"' in series]
        want(info, f"detection_api_info of {pod['metadata']['name']} does not name {new}")


@case("switch", quick=True)
def switch(world):
    """The other slot is warmed, gets the traffic under load, and the old one is taken to 0; nothing fails, nothing is lost."""
    release, cluster, least = world.release, world.cluster, world.requests
    old, new = release.baseline()
    # The long run warms under load too; in the short one there would not be the time.
    warm = {"slots": {new: {"state": "running", "minReplicas": 3}}}
    if world.quick:
        release.upgrade(warm, wait=False)
        release.settled(3, 3, 120)
    with Watch(cluster, release.space, "service", "detection-api") as services, release.watch_pods() as pods, \
            release.load(least if not world.quick else least * 10, world.rate) as load:
        if not world.quick:
            release.upgrade(warm, wait=False)
            release.settled(3, 3, 120)
            time.sleep(20)
        smoke = release.smoke(new)
        commit = time.time()
        release.upgrade({"slots": {"active": new}}, wait=False)
        seen = until(30, f"the Service selects {new}", lambda: service_moved(services, new), pause=0.1)
        fence_follows(world, new, old)
        time.sleep(5 if world.quick else 60)
        final = time.time()
        release.upgrade({"slots": {old: {"state": "idle"}, new: {"minReplicas": None}}}, wait=False)
        release.settled(3, 0, 120)
        gone = time.time()
        if world.quick:
            time.sleep(max(0.0, least / world.rate - (time.time() - load.began)))
        load.finish(stop=world.quick)
    load.want_none_failed()
    want(load.total("requests") >= least, f"only {load.total('requests')} requests were sent")
    want(load.total("per_second") >= 200, f"only {load.total('per_second')} requests a second")
    want(all(result["requests"] >= 0.45 * load.total("requests") for result in load.results), f"not half of each kind: {load.figures()}")
    first, last = load.slot(new)[0] - seen, load.slot(old)[1] - seen
    want(first <= 2, f"the first answer of {new} came {first:.2f} s after the Service's update")
    want(last <= 10, f"{old} still answered {last:.1f} s after it: kept connections stay there")
    want(first > -0.5, f"{new} answered {-first:.2f} s before the Service's update was seen")
    want(pods.least_ready(new, seen) >= 3,
         f"{new} had fewer than three ready pods after the switch")
    at_taky = world.peers.all_at_taky(load.runs)
    want(at_taky["twice"] == 0, f"{at_taky['twice']} events came to taky twice")
    answers = {slot: load.slot(slot)[2] for slot in (old, new)}
    return (f"{load.figures()}; smoke of {new}: {smoke}; commit to Service {seen - commit:.1f} s, first {new} answer {max(first, 0):.2f} s after the Service's update was seen, "
            f"last {old} answer {last:.1f} s after it, on a kept connection; {old} was told to go at {final - seen:.1f} s and was gone at {gone - seen:.1f} s; "
            f"/health named {old} {answers[old]:,} and {new} {answers[new]:,} times; all {load.total('acknowledged'):,} at taky, none twice; fence moved with it")


@case("fence", quick=True)
def fence(world):
    """What is posted now comes to taky from pods of the active slot alone."""
    release, peers = world.release, world.peers
    active, _ = release.baseline()
    with release.load(400, 100) as load:
        load.finish()
    load.want_none_failed()
    senders = peers.all_at_taky(load.runs)["senders"]
    live = {p["status"]["podIP"] for p in release.live_pods(active)}
    want(set(senders) <= live, f"taky has events from {senders}, the pods of {active} are {live}")
    return f"{load.total('acknowledged')} detections, all delivered by {len(senders)} of the {len(live)} pods of {active}"


@case("second-commit")
def second_commit(world):
    """The commit after a switch changes a setting of the live slot: the pods are replaced, and there are as many as before."""
    release = world.release
    active, _ = release.baseline()
    with release.watch_pods() as pods, release.load(60000, 100) as load:
        began = time.time()
        release.upgrade({"slots": {active: {"config": {"read_cache": 2048}}}}, wait=False)
        before = {p["metadata"]["name"] for p in release.live_pods(active)}
        until(150, "the pods are new ones", lambda: not before & {p["metadata"]["name"] for p in release.pods(active)})
        release.settled(3, 0, 120)
        took = time.time() - began
        load.finish(stop=True)
    load.want_none_failed()
    least = pods.least_ready(active, began)
    want(least >= 3, f"there were only {least} ready pods meanwhile")
    scale = world.cluster.get("-n", release.space, "deployment", f"detection-api-{active}")["spec"]["replicas"]
    want(scale == 3, f"the Deployment wants {scale} pods")
    return f"3 pods before, never fewer than {least} ready, 3 after {took:.0f} s, all of them new; {load.figures()}"


@case("idle", quick=True)
def idle(world):
    """A slot at 0 uses nothing: no pod, no autoscaler, none of the quota."""
    release, cluster = world.release, world.cluster
    active, other = release.baseline()
    want(not release.pods(other), f"pods of {other}: {release.words()}")
    scalers = [h["metadata"]["name"] for h in cluster.items("-n", release.space, "hpa")]
    want(scalers == [f"detection-api-{active}"], f"autoscalers: {scalers}")
    endpoints = [e for s in cluster.items("-n", release.space, "endpointslices", "-l", "kubernetes.io/service-name=detection-api-preview") for e in s.get("endpoints") or []]
    want(not endpoints, f"detection-api-preview has endpoints: {endpoints}")

    def used():
        status = cluster.items("-n", release.space, "resourcequota")[0]["status"]
        return status["used"] if status["used"].get("pods") == "3" else None
    counted = until(60, "the quota counts three pods", used, pause=2)
    want(counted.get("requests.cpu") == "750m", f"the quota counts {counted}")
    return f"{other}: 0 pods, no autoscaler, no endpoints; the quota counts pods {counted['pods']}, CPU {counted['requests.cpu']}, memory {counted['requests.memory']}"


def bad_green(world, tag, sign):
    """A release whose image cannot run: the idle slot never becomes ready, gets no traffic, and the live one goes on."""
    release, cluster = world.release, world.cluster
    active, other = release.baseline()
    with release.watch_pods() as pods, release.load(60000, 200) as load:
        # A commit without the migration, which the bad image would not get past: here it is the slot's own gate that is looked at.
        release.upgrade({"slots": {other: {"state": "running", "minReplicas": 3, "image": {"tag": tag}}}, "hooks": {"migrate": {"enabled": False}}}, wait=False)
        reason = until(90, f"a pod of {other} says {sign}", lambda: waiting_reason(release, other, sign))
        time.sleep(15)
        backends = [e for s in cluster.items("-n", release.space, "endpointslices", "-l", "kubernetes.io/service-name=detection-api-preview")
                    for e in s.get("endpoints") or [] if e["conditions"].get("ready")]
        want(not backends, f"detection-api-preview has ready endpoints: {backends}")
        status, _, _ = world.peers.http("load-1", f"http://detection-api-preview.{release.space}.svc.cluster.local:8000/health", timeout=3)
        want(status == 0, f"the preview Service answered {status}")
        # Switched all the same: the hook that moves the fence is of that image too, fails, and the Service stays.
        release.upgrade({"slots": {"active": other}, "hooks": {"migrate": {"enabled": True}}}, wait=False, timeout=25, check=False)
        selected = cluster.get("-n", release.space, "service", "detection-api")["spec"]["selector"]["slot"]
        want(selected == active, f"the Service selects {selected}")
        want(release.fence() == active, f"the fence is {release.fence()}")
        load.finish(stop=True)
    want(load.slot(other) is None, f"{other} answered {load.slot(other)} times")
    load.want_none_failed()
    want(all(counts.get(other, (0, 0))[0] == 0 for _, counts in pods.history), f"a pod of {other} was ready")
    want(pods.least_ready(active) >= 3, f"{active} had {pods.least_ready(active)} ready pods")
    release.values["slots"]["active"] = active
    release.baseline()
    return f"{reason}; 0 answers of {other}, also when the same commit names it active (its hooks fail: Service and fence stay); {load.figures()}"


def waiting_reason(release, slot, sign):
    for pod in release.pods(slot):
        for status in pod["status"].get("containerStatuses", []):
            for state in (status.get("state", {}), status.get("lastState", {})):
                for kind in state.values():
                    if kind.get("reason", "") in sign:
                        return kind["reason"]
    return None


@case("green-missing")
def green_missing(world):
    """The image's tag is not there."""
    return bad_green(world, "no-such-tag", ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"))


@case("green-exits")
def green_exits(world):
    """The image's process ends."""
    return bad_green(world, "exits", ("CrashLoopBackOff", "Error"))
