"""Pods killed, nodes drained and crashed, with requests under way."""

import time

from cases import case, want
from harness.cluster import ready, until


def after(world, load, *, twice=0):
    """Every acknowledged detection is at taky. -> words"""
    seen = world.peers.all_at_taky(load.runs)
    want(seen["twice"] <= twice, f"{seen['twice']} events came to taky twice")
    return f"all {load.total('acknowledged'):,} at taky, " + (f"{seen['twice']} of them twice" if seen["twice"] else "none twice")


@case("pod-delete")
def pod_delete(world):
    """Each pod in turn is deleted as a roll-out would (its grace time is its own)."""
    release, cluster = world.release, world.cluster
    active, _ = release.baseline()
    with release.watch_pods() as pods, release.load(60000, 200) as load:
        for pod in release.live_pods(active):
            cluster.kubectl("-n", release.space, "delete", "pod", pod["metadata"]["name"], "--wait=false")
            release.settled(3, 0, 120)
        load.finish(stop=True)
    load.want_none_failed()
    return f"3 pods deleted in turn, never fewer than {pods.least_ready(active)} ready; {load.figures()}; {after(world, load)}"


@case("pod-force")
def pod_force(world):
    """Each pod in turn is deleted with `--force --grace-period=0`."""
    release, cluster = world.release, world.cluster

    def kill(pod):
        cluster.kubectl("-n", release.space, "delete", "pod", pod["metadata"]["name"], "--force", "--grace-period=0")
        release.settled(3, 0, 120)
    return kill_each(world, kill, "3 pods deleted by force", 0.005)


@case("process-kill")
def process_kill(world):
    """The process of each pod in turn gets SIGKILL, which nobody knows of before; its container is started again."""
    release, cluster = world.release, world.cluster
    cluster.only_ours("kills processes of this machine")

    def kill(pod):
        cluster.kill_processes(pod["metadata"]["uid"], "/detection-api")

        def again():
            now = cluster.get("-n", release.space, "pod", pod["metadata"]["name"])
            return now["status"]["containerStatuses"][0]["restartCount"] > pod["status"]["containerStatuses"][0]["restartCount"] and ready(now)
        until(90, f"{pod['metadata']['name']} was started again", again)
    # The pod stays in the Service until the kubelet has seen it and said so: about a second for a third of the requests.
    return kill_each(world, kill, "SIGKILL to 3 processes", 0.05)


def kill_each(world, kill, what, share):
    """What was under way in a pod that dies may break off; asked again it is answered, and nothing acknowledged is lost."""
    release = world.release
    active, _ = release.baseline()
    with release.load(60000, 200, attempts=5, timeout=5) as load:
        for pod in release.live_pods(active):
            kill(pod)
        load.finish(stop=True)
    want(load.total("lost") == 0, f"{load.figures()}; {load.total('lost')} had no answer in five attempts: {load.problems}")
    want(load.failed <= share * load.total("requests"), f"{load.figures()}; first: {load.problems}")
    # An event that was on its way when its pod was killed may come again, with the same uid.
    words = after(world, load, twice=load.total("acknowledged"))
    again = f" ({load.problems}), answered when asked again" if load.failed else ""
    return f"{what} in turn; {load.figures()}{again}; {words}"


@case("drain")
def drain(world):
    """Every node in turn, with the budget of 2; all that is on it but PostgreSQL, taky and the clients."""
    release, cluster = world.release, world.cluster
    active, _ = release.baseline()
    times = []
    with release.watch_pods() as pods, release.load(120000, 200) as load:
        for node in cluster.nodes():
            began = time.monotonic()
            try:
                cluster.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--pod-selector=stays!=yes", "--timeout=150s", timeout=180)
                times.append(time.monotonic() - began)
            finally:
                cluster.kubectl("uncordon", node)
            release.settled(3, 0, 120)
        load.finish(stop=True)
    load.want_none_failed()
    least = pods.least_ready(active)
    want(least >= 2, f"only {least} pods were ready")
    words = ", ".join(f"{node} {seconds:.0f} s" for node, seconds in zip(cluster.nodes(), times))
    return f"drained in turn: {words}; never fewer than {least} ready; {load.figures()}; {after(world, load)}"


@case("crash")
def crash(world):
    """A node dies at once with its pods: the others go on, the lost pods come up elsewhere, nothing acknowledged is lost."""
    release, cluster = world.release, world.cluster
    cluster.only_ours("kills a node at once")
    active, _ = release.baseline()
    node = cluster.nodes()[-1]
    # After a drain the pods may be elsewhere; pods are not moved back by themselves.
    if not any(p["spec"]["nodeName"] == node for p in release.live_pods(active)):
        cluster.kubectl("-n", release.space, "rollout", "restart", f"deployment/detection-api-{active}")
        release.settled(3, 0, 180)
    there, noticed, took, load, words = crash_once(world, node, active)
    return (f"{node} with {there} pod(s): NotReady after {noticed:.0f} s, three pods ready elsewhere after {took:.0f} s; {load.figures()}, answered when asked "
            f"again ({words})")


def crash_once(world, node, active):
    """-> (pods of the slot that were on it, seconds until it was NotReady, seconds until three were ready elsewhere, load, words)"""
    release, cluster = world.release, world.cluster
    there = len([p for p in release.live_pods(active) if p["spec"]["nodeName"] == node])
    want(there, f"no pod is on {node}")
    try:
        with release.load(120000, 200, attempts=30, timeout=4) as load:
            began = time.time()
            cluster.crash(node)
            until(60, f"{node} is not ready", lambda: cluster.kubectl("get", "node", node, "--no-headers").split()[1].startswith("NotReady"))
            noticed = time.time() - began

            def again():
                return len([p for p in release.live_pods(active) if p["spec"]["nodeName"] != node]) >= 3
            until(180, "three pods are ready on the other nodes", again)
            took = time.time() - began
            time.sleep(5)
            load.finish(stop=True)
    finally:
        cluster.boot(node)
    release.settled(3, 0, 120)
    want(load.total("lost") == 0, f"{load.figures()}; {load.total('lost')} had no answer in 30 attempts: {load.failed_when(began)}: {load.problems}")
    return there, noticed, took, load, f"failed attempts after the crash: {load.failed_when(began)}; {load.problems}; {after(world, load, twice=load.total('acknowledged'))}"
