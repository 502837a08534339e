"""The release by slotctl, Git and Argo CD: there and back, and each way back under load; what a pod or a node costs that is lost.

Needs Argo CD beside the local cluster, and for the watch Prometheus (`tests/e2e/cluster/cluster install argocd prometheus`).
DETECTION_RELEASE_REPEATS: how often each way back is measured (default 5)."""

import contextlib
import os
import statistics
import time
from typing import NamedTuple

from cases import case, want
from cases.faults import after, crash_once
from harness.cluster import Watch, until
from harness.gitops import GitOps

REPEATS = int(os.environ.get("DETECTION_RELEASE_REPEATS", "5"))
RATE = 200
MANY = 10**6  # requests: the load is told when to end


@contextlib.contextmanager
def stand(world, *, figures=False):
    """GitOps at rest, with Prometheus where figures are wanted. The next test of the group gets it too, unless this one has failed."""
    if world.kept and world.kept.broken:
        world.leave()
    try:
        gitops = world.kept or begin(world)
        gitops.broken = True
        gitops.rest()
        if figures:
            gitops.watch_figures()
        yield gitops
    except BaseException:
        if world.kept:
            world.kept.evidence()
        raise
    gitops.broken = False


def begin(world):
    """A namespace, a database and taky's log that nothing else is in, then Argo CD and the first version."""
    release, cluster = world.release, world.cluster
    gitops = GitOps(world)
    world.kept = gitops
    if release.installed:
        cluster.helm("uninstall", "detection-api", "-n", release.space, "--wait", check=False)
        cluster.kubectl("delete", "namespace", release.space, "--ignore-not-found", "--timeout=180s", timeout=200)
        release.installed, release.values = False, release.base
    world.peers.afresh()
    release.prepare()
    gitops.start()
    release.token = release.make_token("deployment/detection-api-blue")
    return gitops


def other(slot):
    return "green" if slot == "blue" else "blue"


def moves(services):
    """-> [(time, slot)]: each time at which the Service was seen to select another slot."""
    found = []
    for when, _, thing in list(services.events):
        slot = thing["spec"]["selector"].get("slot")
        if not found or found[-1][1] != slot:
            found.append((when, slot))
    return found


def moved_at(services, slot, since):
    """When the Service was seen to move to it, after `since`."""
    return next((when for when, to in moves(services) if when >= since and to == slot), None)


def hook_time(world):
    """Seconds that the last fence Job took, from its making to its end (to a second: Kubernetes has no finer time)."""
    status = world.cluster.get("-n", world.release.space, "job", "detection-api-fence")["status"]
    began, ended = (time.mktime(time.strptime(status[key], "%Y-%m-%dT%H:%M:%SZ")) for key in ("startTime", "completionTime"))
    return ended - began


def none_lost(world, load):
    """No request failed, everything acknowledged came to taky once. -> words"""
    load.want_none_failed()
    at_taky = world.peers.all_at_taky(load.runs)
    want(at_taky["twice"] == 0, f"{at_taky['twice']} events came to taky twice")
    return f"{load.total('requests'):,} requests, 0 failed, {load.total('acknowledged'):,} acknowledged and all at taky"


def table(said):
    return ", ".join(f"{step['step']} {step['seconds']:.1f} s" for step in said["steps"]) + f"; together {said['seconds']:.1f} s"


def one_to(world, node, active):
    """A pod of the slot is on the node: the one that comes in place of a deleted one goes to the node that has none."""
    release = world.release
    at = {p["metadata"]["name"]: p["spec"]["nodeName"] for p in release.live_pods(active)}
    if node not in at.values():
        gone = next(name for name, where in at.items() if list(at.values()).count(where) > 1)
        world.cluster.kubectl("-n", release.space, "delete", "pod", gone, "--wait=false")
        release.settled(3, 0, 120)


@case("release-loss", group="release")
def release_loss(world):
    """Without any release: a pod that is deleted (no request fails), and a node that dies with its pods, each so many times under load."""
    release, cluster = world.release, world.cluster
    cluster.only_ours("kills a node at once")
    active, _ = release.baseline()
    node = cluster.nodes()[-1]
    pods, nodes, failed, requests = [], [], 0, 0
    # The pods first: what a client sent to a dead node's address the kernel's connection tracking remembers for two minutes, and sends there
    # again what comes from the same port (nf_conntrack_tcp_timeout_syn_sent).
    with release.watch_pods() as watched, release.load(MANY, RATE) as load:
        for _ in range(REPEATS):
            began = time.time()
            cluster.kubectl("-n", release.space, "delete", "pod", release.live_pods(active)[0]["metadata"]["name"], "--wait=false")
            release.settled(3, 0, 120)
            pods.append(time.time() - began)
        load.finish(stop=True)
    load.want_none_failed()
    deleted = load.total("requests")
    want(watched.least_ready(active) >= 2, f"only {watched.least_ready(active)} pods were ready")
    after(world, load)
    for _ in range(REPEATS):
        one_to(world, node, active)
        _, noticed, took, load, _ = crash_once(world, node, active)
        nodes.append((took, noticed))
        failed += load.failed
        requests += load.total("requests")
    took = [seconds for seconds, _ in nodes]
    return (f"pod deleted: three ready again after {statistics.median(pods):.0f} s (median), {max(pods):.0f} s (worst), {REPEATS} times, 0 of {deleted:,} requests failed; node lost: "
            f"NotReady after {statistics.median(n for _, n in nodes):.0f} s, three pods ready elsewhere after {statistics.median(took):.0f} s (median), {max(took):.0f} s (worst), "
            f"{REPEATS} times, {failed} of {requests:,} requests failed and were answered when asked again; nothing acknowledged was lost")


@case("gitops-release", group="release", shares="gitops")
def gitops_release(world):
    """A whole release by `slotctl release`, unattended and under load, with its watch of five minutes; the next one goes back to blue, its watch
    cut to 30 s; `slotctl verify` after each."""
    figures = []
    with stand(world, figures=True) as gitops:
        first = gitops.active()
        # The same image by its digest, then by its tag again: for Kubernetes each is another version.
        for number, (slot, more) in enumerate(((other(first), ("--digest", world.digest())), (first, ())), 1):
            if number == 2:
                gitops.watch_lasts(30)
            with world.release.load(MANY, RATE) as load, world.release.watch_pods() as pods:
                began = time.time()
                said = gitops.must("release", "--tag", world.tag, *more, "--config", gitops.settings(read_cache=1000 + number))
                load.finish(stop=True)
            want(gitops.active() == slot, f"{gitops.active()} is active, not {slot}")
            want(len(world.release.pods(other(slot))) == 0, f"pods of {other(slot)} are left")
            want(world.release.fence() == slot, f"the fence is {world.release.fence()}")
            code, verified, words = gitops.slotctl("verify")
            want(code == 0, f"verify: {[check for check in verified.get('checks', []) if not check['passed']] or words}")
            figures.append(f"to {slot}: {table(said)}; fence Job {hook_time(world):.0f} s; at most {pods.most_pods(began)} pods; {none_lost(world, load)}; "
                           f"verify {len(verified['checks'])} of {len(verified['checks'])}")
    return "; ".join(figures)


class Way(NamedTuple):
    """One way back."""
    seconds: float  # until the Service selects the old slot again
    ready: int  # pods of it then
    hook: float  # seconds of the fence Job
    bad: float  # seconds for which the other slot had the traffic


@contextlib.contextmanager
def ways(world):
    """A load, and what measures each way back during it. -> measure(prepare, go); nothing may fail or be lost."""
    release = world.release
    with release.load(MANY, RATE) as load, Watch(world.cluster, release.space, "service", "detection-api") as services, release.watch_pods() as pods:
        def measure(gitops, prepare, go):
            """go: goes back and -> the time from which that counts."""
            prepare()
            live = gitops.active()
            back, went = other(live), max((when for when, to in moves(services) if to == live), default=0.0)
            began = go()
            seen = until(30, f"the Service selects {back}", lambda: moved_at(services, back, max(began, went)), pause=0.1)
            until(30, f"the fence is {back}", lambda: release.fence() == back)
            return Way(seen - began, pods.least_ready(back, seen), hook_time(world), seen - went)
        measure.load = load
        yield measure
        load.finish(stop=True)
    load.want_none_failed()


def summary(name, rows, most, *more):
    times = [row.seconds for row in rows]
    want(max(times) <= most, f"{name}: {', '.join(f'{seconds:.1f}' for seconds in times)} s; asked for: {most}")
    want(min(row.ready for row in rows) >= 3, f"{name}: only {min(row.ready for row in rows)} pods were ready when the Service moved")
    return (f"{name}: median {statistics.median(times):.1f} s, worst {max(times):.1f} s of {len(rows)} (asked for: < {most} s); {min(row.ready for row in rows)} or more ready pods at the "
            f"first answer; fence Job median {statistics.median(row.hook for row in rows):.0f} s, worst {max(row.hook for row in rows):.0f} s" + "".join(f"; {words}" for words in more))


def rolled_back(gitops):
    """`slotctl rollback`, from the moment of the command."""
    began = time.time()
    gitops.must("rollback")
    return began


@case("gitops-smoke", group="release", shares="gitops")
def gitops_smoke(world):
    """A version whose smoke test fails gets no request, however often it is tried; and one whose image is not there stops with its name."""
    release = world.release
    with stand(world) as gitops:
        live, bad, times = gitops.active(), gitops.settings(max_range=10), []
        with release.load(MANY, RATE) as load:
            for _ in range(REPEATS):  # the slot is rolled out by the first; it runs, and refuses every detection as out of range
                code, said, words = gitops.slotctl("release", "--config", bad)
                want(code == 1 and said["steps"][-1]["step"] == "smoke" and "No traffic has moved" in words, words)
                times.append(said["steps"][-1]["seconds"])
            gave_up = gitops.must("rollback")["seconds"]
            load.finish(stop=True)
        want(load.slot(other(live)) is None, f"{other(live)} answered {load.slot(other(live))}")
        lost = none_lost(world, load)
        missing = gitops.refuses(("ErrImagePull", "no-such-tag", "rollback"), "deploy", "--tag", "no-such-tag")
        gitops.must("rollback")
    return (f"smoke test fails: 0 requests on {other(live)}, 0 s, {REPEATS} times (found {statistics.median(times):.1f} s after the roll-out, median); the release is given up in "
            f"{gave_up:.1f} s; {lost}; an image that is not there: refused after {missing:.0f} s, with its name")


@case("gitops-bad-figures", group="release", shares="gitops")
def gitops_bad_figures(world):
    """The watch finds bad figures and goes back by itself: no fix of the new version is GREEN any more. Start: right after a switch, the old slot warm."""
    rows = []
    with stand(world, figures=True) as gitops:
        def watch():
            driven = gitops.begin("watch")
            code, _, words = driven.finish()
            want(code == 1 and "rolled back, since GREEN" in words, f"{words}; {driven.progress[-900:]}")
            return driven.said_at("rolling back:")

        with ways(world) as measure:
            gitops.must("deploy", "--config", gitops.settings(green_ce90=0.001, read_cache=3000))
            for number in range(REPEATS):
                if number:
                    time.sleep(45)  # and the switch: nothing of the time before may be left in the watch's window
                rows.append(measure(gitops, gitops.switch_again if number else lambda: gitops.must("switch"), watch))
        lost = none_lost(world, measure.load)
        gitops.must("finalize")
    bad = [row.bad for row in rows]
    return summary("bad figures, from the verdict to the Service", rows, 60,
                   f"the bad version had the traffic for {statistics.median(bad):.1f} s (median), {max(bad):.1f} s (worst), from the Service's move to its move back", lost)


@case("gitops-warm", group="release", shares="gitops")
def gitops_warm(world):
    """Found after the switch: `slotctl rollback`; and a wrong setting: `git revert` by hand, brought to the cluster by the same command. Start: the
    old slot warm, on standby."""
    def reverted():
        began = time.time()
        gitops.revert()
        gitops.must("rollback")
        return began

    rows, settings = [], []
    with stand(world) as gitops, ways(world) as measure:
        gitops.must("deploy", "--config", gitops.settings(read_cache=4000))
        for number in range(REPEATS):
            rows.append(measure(gitops, gitops.switch_again if number else lambda: gitops.must("switch"), lambda: rolled_back(gitops)))
        for _ in range(REPEATS):
            settings.append(measure(gitops, gitops.switch_again, reverted))
        gitops.must("finalize")
    return "; ".join((summary("after the switch, standby warm, `slotctl rollback`", rows, 60), summary("a setting, `git revert` and push", settings, 60), none_lost(world, measure.load)))


@case("gitops-finalized", group="release", shares="gitops")
def gitops_finalized(world):
    """Found after the roll-out: `slotctl rollback` warms the old slot, then switches. Start: finalized, the old slot at 0 pods."""
    def back():
        """Where the slot before is the one that was rolled back from, it is named."""
        began, to = time.time(), other(gitops.active())
        gitops.must("rollback", *(("--to", to) if rows else ()))
        return began

    rows = []
    with stand(world) as gitops, ways(world) as measure:
        gitops.must("deploy", "--config", gitops.settings(read_cache=5000))
        gitops.must("switch")
        for _ in range(REPEATS):
            rows.append(measure(gitops, lambda: gitops.must("finalize", "--without-watch"), back))
        gitops.must("finalize")
    return summary("after the roll-out, from 0 pods, `slotctl rollback`", rows, 120, none_lost(world, measure.load))
