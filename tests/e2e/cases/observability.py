"""The monitoring stack beside the service: what is scraped, what the rules say of a healthy release, and a detection's logs."""

import json
import time

from cases import case, want
from cases.install import detection
from harness.cluster import until
from harness.monitoring import SPACE as MONITORING, Monitoring
from harness.peers import NAMESPACE

LABELS = {"namespace", "app", "slot", "level"}
ALERTS = 19  # of the requirements; those of the platform come on top


def story(world, monitoring, slot):
    """Posts one, waits until its whole way is found by its id. -> seconds"""
    release, body = world.release, detection()
    began = time.monotonic()
    status, text, _ = world.peers.http("load-1", f"{release.url}/api/v1/detections", token=release.token, body=body)
    want(status == 201, f"the POST was answered {status}: {text[:300]}")
    found = json.loads(text)["detection_id"]

    def look():
        rows = monitoring.lines(found, release.space)
        return rows if {"detection_accepted", "detection_delivered"} <= {json.loads(line)["event"] for line, _ in rows} else None
    rows = until(60, f"the story of {found} is in Loki", look, pause=0.3)
    took = time.monotonic() - began
    want(took <= 10, f"its story was found after {took:.1f} s")
    slots, pods = ({labels[key] for _, labels in rows} for key in ("slot", "pod"))
    want(slots == {slot}, f"the lines are of the slots {slots}")
    want(pods <= {p["metadata"]["name"] for p in release.pods(slot)}, f"the lines are of the pods {pods}")
    return took


def scraped(monitoring, slots):
    """The service's pods by slot, as the rules see them."""
    wanted = {json.dumps({"slot": slot}): count for slot, count in slots.items() if count}
    until(90, f"pods by slot: {slots}", lambda: monitoring.query('count by (slot) (up{job="detection-api"} == 1)') == wanted, pause=3)


def wrong_labels(monitoring):
    return [stream for stream in monitoring.streams() if set(stream) != LABELS]


def quiet(monitoring, seconds, seen):
    """Looks at the alerts for so long; seen gets the pending ones."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        alerts = monitoring.alerts()
        seen.update(name for name, state in alerts.items() if state == "pending")
        firing = [name for name, state in alerts.items() if state == "firing"]
        want(not firing, f"on a healthy release these alerts fire: {firing}")
        time.sleep(5)


@case("observability")
def observability(world):
    """Prometheus, Alertmanager, collector and node exporter as `kubectl apply -k observability` makes them, and Loki or what stands in for it: every
    target answers, a detection's story by its id, two slots at once and a switch under load with no alert."""
    release, cluster = world.release, world.cluster
    old, new = release.baseline()
    # As in production: the namespace monitoring may read the metrics.
    release.upgrade({"networkPolicy": {"metrics": [{"namespace": NAMESPACE, "podLabels": {"role": "scraper"}}, {"namespace": MONITORING}]}})
    release.settled(3, 0, 120)
    monitoring, nodes, pending = Monitoring(cluster, world.prefix), len(cluster.nodes()), set()
    began = time.monotonic()
    try:
        monitoring.start()
        ready = time.monotonic() - began
        jobs = {"kubelet-cadvisor": nodes, "kubelet": nodes, "node-exporter": nodes, "collector": nodes, "prometheus": 1, "alertmanager": 1, "loki": 1}
        monitoring.wait_up({**jobs, "detection-api": 3})
        rules = monitoring.rules()
        bad = [rule for rule in rules if rule[2] == "err"]
        want(not bad, f"rules that fail: {bad[:3]}")
        alerts = {name for kind, name, *_ in rules if kind == "alerting"}
        want(len(alerts) >= ALERTS, f"only {len(alerts)} alerts are loaded: {sorted(alerts)}")
        took = [story(world, monitoring, old)]
        for expression in ('container_memory_working_set_bytes{namespace="detection-system", container!=""}', "kubelet_running_pods", "node_load1"):
            want(until(60, f"{expression} is there", lambda e=expression: monitoring.query(e), pause=3), expression)
        with release.load(1_000_000, 100) as load:
            release.upgrade({"slots": {new: {"state": "running", "minReplicas": 3}}}, wait=False)
            release.settled(3, 3, 180)
            scraped(monitoring, {old: 3, new: 3})
            quiet(monitoring, 75, pending)
            release.upgrade({"slots": {"active": new}}, wait=False)
            until(60, f"{new} delivers, as Prometheus sees it", lambda: monitoring.query('max by (slot) (release_slot_active{job="detection-api"} == 1)')
                  == {json.dumps({"slot": new}): 1.0}, pause=3)
            quiet(monitoring, 150, pending)  # longer than the two minutes of the quickest alerts
            took.append(story(world, monitoring, new))
            release.upgrade({"slots": {old: {"state": "idle"}, new: {"minReplicas": None}}}, wait=False)
            release.settled(3, 0, 180)
            scraped(monitoring, {new: 3})
            quiet(monitoring, 150, pending)
            load.finish(stop=True)
        load.want_none_failed()
        want(not wrong_labels(monitoring), f"labels of streams: {wrong_labels(monitoring)[:2]}")
        told = [a["labels"]["alertname"] for a in monitoring.ask("alertmanager", "/api/v2/alerts") if a["labels"]["alertname"] != "Watchdog"]
        want(not told, f"Alertmanager was told of {told}")
        restarts = {p["metadata"]["name"]: s["restartCount"] for p in cluster.items("-n", MONITORING, "pods") for s in p["status"].get("containerStatuses", []) if s["restartCount"]}
        want(not restarts, f"restarts in {MONITORING}: {restarts}")
        streams = len(monitoring.streams())
    finally:
        monitoring.stop()
    return (f"the stack was ready after {ready:.0f} s, {sum(jobs.values()) + 3} targets all up, {len(rules)} rules with {len(alerts)} alerts; a detection's story by its id "
            f"{took[0]:.1f} s ({old}) and {took[1]:.1f} s ({new}) after the command; two slots at once, the switch and the old slot's end under load: none fired"
            f" ({', '.join(sorted(pending)) or 'none'} was pending); {streams} streams with the four labels in {'Loki' if monitoring.loki else 'what stands in for Loki'}; {load.figures()}")
