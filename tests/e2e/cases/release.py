"""The release by slotctl, Git and Argo CD: there and back, each way back under load, a manual change healed.

Needs Argo CD beside the local cluster (`tests/e2e/cluster/cluster install argocd`), for the watch Prometheus and its companions
(`... install argocd otelcol prometheus`). DETECTION_RELEASE_REPEATS: how often each way back is measured (default 5)."""

import contextlib
import os
import statistics
import subprocess
import time

from cases import case, want
from harness.cluster import Watch, until
from harness.gitops import GitOps
from harness.monitoring import Monitoring

REPEATS = int(os.environ.get("DETECTION_RELEASE_REPEATS", "5"))
RATE = 200


@contextlib.contextmanager
def stand(world, *, monitored=True):
    """GitOps on a namespace of its own, with the monitoring stack; everything is gone afterwards."""
    release, cluster = world.release, world.cluster
    gitops = GitOps(world)
    monitoring = Monitoring(cluster, world.prefix) if monitored else None
    if release.installed:
        cluster.helm("uninstall", "detection-api", "-n", release.space, "--wait", check=False)
        cluster.kubectl("delete", "namespace", release.space, "--ignore-not-found", "--timeout=180s")
        release.installed = False
    try:
        release.prepare()
        gitops.start()
        release.token = release.make_token("deployment/detection-api-blue")
        if monitoring:
            monitoring.start()
        yield gitops
    finally:
        if monitoring:
            monitoring.stop()
        gitops.stop()
        release.installed, release.token = False, ""
        release.values = release.base


def moved_at(services, slot, since):
    """When the Service was first seen to select it, after `since`."""
    return next((when for when, _, thing in list(services.events) if when >= since and thing["spec"]["selector"].get("slot") == slot), None)


def other(slot):
    return "green" if slot == "blue" else "blue"


def hook_time(world):
    """How long the last fence Job took, and its name's time; in seconds."""
    status = world.cluster.get("-n", world.release.space, "job", "detection-api-fence")["status"]
    began, ended = (time.mktime(time.strptime(status[key], "%Y-%m-%dT%H:%M:%SZ")) for key in ("startTime", "completionTime"))
    return ended - began


def none_lost(world, load):
    """No request failed, everything acknowledged came to taky once."""
    load.want_none_failed()
    at_taky = world.peers.all_at_taky(load.runs)
    want(at_taky["twice"] == 0, f"{at_taky['twice']} events came to taky twice")
    return f"{load.total('requests'):,} requests, 0 failed, {load.total('acknowledged'):,} acknowledged and all at taky"


def row(said):
    return ", ".join(f"{step['step']} {step['seconds']:.1f} s" for step in said["steps"]) + f"; together {said['seconds']:.1f} s"


@case("gitops-release", group="release")
def gitops_release(world):
    """A whole release by `slotctl release`, unattended and under load, and the next one back to blue; `slotctl verify` after each."""
    figures = []
    with stand(world) as gitops:
        for number, slot in enumerate(("green", "blue"), 1):
            with world.release.load(10**6, RATE) as load:
                said = gitops.must("release", "--config", gitops.settings(read_cache=1000 + number))
                load.finish(stop=True)
            want(gitops.active() == slot, f"{gitops.active()} is active, not {slot}")
            want(len(world.release.pods(other(slot))) == 0, f"pods of {other(slot)} are left")
            want(world.release.fence() == slot, f"the fence is {world.release.fence()}")
            code, verified, _ = gitops.slotctl("verify")
            want(code == 0, f"verify: {[check for check in verified['checks'] if not check['passed']]}")
            figures.append(f"to {slot}: {row(said)}; fence Job {hook_time(world):.0f} s; {none_lost(world, load)}")
    return "; ".join(figures)


def measured(world, gitops, prepare, go, start):
    """One way back under load. -> (seconds until the Service selects the old slot, ready pods of it then, hook seconds)"""
    with world.release.load(10**6, RATE) as load:
        prepare()
        live = gitops.active()
        back = other(live)
        with Watch(world.cluster, world.release.space, "service", "detection-api") as services, world.release.watch_pods() as pods:
            began = start() if start else time.time()
            go()
            seen = until(120, f"the Service selects {back}", lambda: moved_at(services, back, began), pause=0.2)
            ready = pods.least_ready(back, seen)
        load.finish(stop=True)
    none_lost(world, load)
    until(30, f"the fence is {back}", lambda: world.release.fence() == back)
    return seen - began, ready, hook_time(world)


def summary(name, rows, most):
    times = [took for took, _, _ in rows]
    want(max(times) <= most, f"{name}: the worst took {max(times):.1f} s, over {most}")
    return (f"{name}: median {statistics.median(times):.1f} s, worst {max(times):.1f} s of {len(rows)}; at the first answer {min(ready for _, ready, _ in rows)} or more pods "
            f"ready, fence Job {max(hook for *_, hook in rows):.0f} s at most")


@case("gitops-rollback", group="release")
def gitops_rollback(world):
    """Each way back, measured under load: a smoke test that fails, an image that is missing, bad figures (the watch by itself), after the roll-out
    (standby warm, and finalized), a configuration."""
    release, figures = world.release, []
    with stand(world) as gitops:
        # A smoke test that fails: the slot runs, and refuses every detection as out of range.
        for number in range(REPEATS):
            with release.load(10**6, RATE) as load:
                live = gitops.active()
                code, said, _ = gitops.slotctl("release", "--config", gitops.settings(max_range=10, read_cache=2000 + number))
                want(code == 1 and said["steps"][-1]["step"] == "smoke", said)
                gitops.must("rollback")
                load.finish(stop=True)
            want(load.slot(other(live)) is None, f"{other(live)} answered {load.slot(other(live))}")
            none_lost(world, load)
        figures.append(f"smoke failure: 0 requests on the new slot, {REPEATS} times")
        code, said, _ = gitops.slotctl("deploy", "--tag", "no-such-tag")
        want(code == 1, said)
        gitops.must("rollback")
        figures.append(f"missing image: refused after {said['seconds']:.0f} s: {said['steps'][-1]['text'][:120]}")

        def switched(**options):
            gitops.must("deploy", "--config", gitops.settings(**options))
            gitops.must("switch")

        # Bad figures: no fix of the new slot is GREEN any more. The time is that from the Service's move to it until it is back.
        bad = []
        for number in range(REPEATS):
            def watch():
                code, said, _ = gitops.slotctl("watch")
                want(code == 1 and "rolled back" in said["steps"][-1]["text"], said)
            number_of = 3000 + number
            bad.append(measured(world, gitops, lambda n=number_of: switched(green_ce90=0.001, read_cache=n), watch, None))
            gitops.must("finalize")
        figures.append(summary("bad figures, from the switch to the old slot", bad, 60))

        warm = []
        for number in range(REPEATS):
            warm.append(measured(world, gitops, lambda n=number: switched(read_cache=4000 + n), lambda: gitops.must("rollback"), None))
            gitops.must("finalize")
        figures.append(summary("after the switch, standby warm", warm, 60))

        finalized = []
        for number in range(REPEATS):
            def finished(n=number):
                switched(read_cache=5000 + n)
                gitops.must("finalize", "--without-watch")
            finalized.append(measured(world, gitops, finished, lambda: gitops.must("rollback"), None))
            gitops.must("finalize")
        figures.append(summary("after the roll-out, from 0 pods", finalized, 120))
    return "; ".join(figures)


@case("gitops-heal", group="release")
def gitops_heal(world):
    """A manual change is put back by Argo CD and shown as drift by `slotctl status`; a slotctl that is killed goes on; Argo CD away stops it."""
    cluster, release = world.cluster, world.release
    with stand(world, monitored=False) as gitops:
        live = gitops.active()
        healed = []
        for _ in range(REPEATS):
            with Watch(cluster, release.space, "service", "detection-api") as services:
                time.sleep(1)
                began = time.time()
                cluster.kubectl("-n", release.space, "patch", "service", "detection-api", "--type", "merge", "-p", f'{{"spec":{{"selector":{{"slot":"{other(live)}"}}}}}}')
                until(10, "the patch is there", lambda: moved_at(services, other(live), began), pause=0.1)
                healed.append(until(60, "it is healed", lambda: moved_at(services, live, moved_at(services, other(live), began)), pause=0.1) - began)
            time.sleep(30)  # the next heal is delayed by how many there were
        command = ["deploy", "--config", gitops.settings(read_cache=6000)]
        killed = 0
        for seconds in (0.5, 1, 2, 4, 8, 16):
            with contextlib.suppress(subprocess.TimeoutExpired):
                gitops.slotctl_for(seconds, *command)
            killed += 1
        gitops.must(*command)
        want(gitops.slots().count("read_cache: 6000") == 1, gitops.slots())
        gitops.must("switch")
    return f"healed after {', '.join(f'{seconds:.1f}' for seconds in healed)} s; slotctl killed {killed} times in a deploy, then done"
