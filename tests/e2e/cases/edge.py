"""The edge profile: one pod on SQLite with a volume of its own."""

import json
import time

from cases import case, want
from cases.install import detection
from harness.cluster import until
from harness.jobs import ended, release_job, started_now
from harness.peers import NAMESPACE, TAKY, namespace, secret
from harness.release import EDGE_SPACE as SPACE, SELECTOR, Release

@case("edge")
def edge(world):
    """values-edge.yaml with this cluster's addresses: post, back up on the node of the volume, delete the pod, and the data is still there."""
    cluster, peers = world.cluster, world.peers
    release = Release(cluster, peers, world.prefix, world.tag, space=SPACE, profile="values-edge.yaml")
    release.base = {key: release.base[key] for key in ("image", "tak", "networkPolicy", "serviceMonitor")} | {
        "namespace": {"name": SPACE}, "persistence": {"data": {"storageClass": "ssd"}, "backup": {"storageClass": "standard"}}}
    release.values = release.base
    cluster.apply(namespace(SPACE))
    cluster.apply(secret(SPACE, "jwt-signing-key", secret_key=world.release.jwt_key), secret(SPACE, "tak-server-credentials", endpoint=f"tcp://{TAKY}:8087"))
    try:
        took = release.upgrade()
        release.token = release.make_token(deployment="deployment/detection-api")
        claim = cluster.get("-n", SPACE, "pvc", "detection-data")
        want(claim["status"]["phase"] == "Bound" and claim["spec"]["resources"]["requests"]["storage"] == "50Gi", f"the volume: {claim['spec']}, {claim['status']}")
        posted = []
        for number in range(20):
            body = detection(number)
            status, text, _ = peers.http("load-1", f"{release.url}/api/v1/detections", token=release.token, body=body)
            want(status == 201, f"the POST was answered {status}: {text[:300]}")
            posted.append(body["detection_id"])

        def names():
            return [p["metadata"]["name"] for p in cluster.items("-n", SPACE, "pods", "-l", SELECTOR + ",app.kubernetes.io/component=api")]
        backup = backed_up(cluster)
        (old,) = names()
        began = time.monotonic()
        cluster.kubectl("-n", SPACE, "delete", "pod", old)
        cluster.kubectl("-n", SPACE, "rollout", "status", "deployment/detection-api", "--timeout=120s")
        want(old not in names(), f"{old} is still there")
        again = time.monotonic() - began
        for one in posted:
            status, text, _ = peers.http("load-1", f"{release.url}/api/v1/detections/{one}", token=release.token)
            want(status == 200, f"{one} after the pod was deleted: {status} {text[:200]}")
        grep = 'cat /var/lib/taky/cot/* | grep -c "uid=.DET[.]$1"'
        for one in posted:
            until(30, f"{one} is in taky's log", lambda uid=one: int(cluster.execute(NAMESPACE, "taky", "/bin/sh", "-c", grep, "sh", uid, check=False) or 0) == 1)
        status, text, _ = peers.http("load-1", f"{release.url}/api/v1/audit/verify", token=release.token)
        want(status == 200 and json.loads(text)["valid"], f"the audit chain: {status} {text[:200]}")
        return f"installed in {took:.0f} s on a volume of 50Gi ({claim['spec']['storageClassName']}); 20 of 20 detections there after the pod was deleted (ready again after {again:.0f} s), each at taky once; {backup}"
    finally:
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def backed_up(cluster):
    """The release's Job, and one of the CronJob: each on the node that holds the volume. -> words"""
    (service,) = cluster.items("-n", SPACE, "pods", "-l", SELECTOR + ",app.kubernetes.io/component=api")
    jobs = [release_job(cluster, SPACE), started_now(cluster, SPACE, "detection-backup")]
    for job in jobs:
        ended(cluster, SPACE, job)
    nodes = [p["spec"]["nodeName"] for job in jobs for p in cluster.items("-n", SPACE, "pods", "-l", f"batch.kubernetes.io/job-name={job}")]
    want(len(nodes) >= 2 and set(nodes) == {service["spec"]["nodeName"]}, f"the backups ran on {nodes}, the service is on {service['spec']['nodeName']}")
    return f"two backups on the node of the volume, of {len(cluster.nodes())}"
