"""A release when something is wrong: slotctl killed at each of its steps, a full quota, what it needs away, a cluster changed by hand.
Needs what cases/release.py needs."""

import statistics
import time

from cases import case, want
from cases.release import MANY, RATE, REPEATS, moved_at, none_lost, other, stand
from harness.cluster import Watch, until

MOST_KILLS = 6  # of a step


def full_sync(gitops):
    """One more sync of the newest commit, as somebody asks for it: Argo CD then heals at once again, and not after a while that grows."""
    before = gitops.application()["status"]["operationState"].get("finishedAt")
    gitops.cluster.kubectl("-n", "argocd", "patch", "application", gitops.application()["metadata"]["name"], "--type", "merge", "-p",
                           f'{{"operation":{{"initiatedBy":{{"username":"e2e"}},"sync":{{"revision":"{gitops.head()}","prune":true,"syncOptions":["ServerSideApply=true","ApplyOutOfSyncOnly=true"]}}}}}}')
    until(120, "one more sync is done", lambda: gitops.application()["status"]["operationState"].get("finishedAt") not in (None, before), pause=0.5)
    gitops.synced()


@case("gitops-heal", group="release", shares="gitops")
def gitops_heal(world):
    """The Service's selector moved by hand to a slot without pods is put back by Argo CD; with auto-sync paused `slotctl status` names what differs,
    and slotctl refuses to go on; when it is on again that is put back too."""
    cluster, release, healed = world.cluster, world.release, []
    with stand(world) as gitops:
        live = gitops.active()
        with release.load(MANY, RATE, attempts=30, timeout=4) as load, Watch(cluster, release.space, "service", "detection-api") as services:
            for _ in range(REPEATS):
                full_sync(gitops)
                began = time.time()
                cluster.kubectl("-n", release.space, "patch", "service", "detection-api", "--type", "merge", "-p", f'{{"spec":{{"selector":{{"slot":"{other(live)}"}}}}}}')
                wrong = until(10, "the patch is there", lambda since=began: moved_at(services, other(live), since), pause=0.05)
                healed.append(until(60, "it is healed", lambda since=wrong: moved_at(services, live, since), pause=0.05) - wrong)
            load.finish(stop=True)
        want(load.total("lost") == 0, f"{load.total('lost')} had no answer in 30 attempts: {load.problems}")
        at_taky = world.peers.all_at_taky(load.runs)

        def automated(enabled):
            cluster.kubectl("-n", "argocd", "patch", "application", gitops.application()["metadata"]["name"], "--type", "merge", "-p",
                            f'{{"spec":{{"syncPolicy":{{"automated":{{"enabled":{str(enabled).lower()}}}}}}}}}')
        automated(False)
        try:
            began = time.time()
            cluster.kubectl("-n", release.space, "patch", "hpa", f"detection-api-{live}", "--type", "merge", "-p", '{"spec":{"maxReplicas":11}}')
            sign = f"HorizontalPodAutoscaler detection-api-{live} is not as Git says"

            def drifted():
                drift = gitops.must("status")["drift"]
                return drift if sign in drift else None
            drift = until(60, f"`slotctl status` says: {sign}", drifted)
            told = time.time() - began
            want("auto-sync is paused" in drift, drift)
            gitops.refuses(("auto-sync of", "is paused", '"enabled":true'), "deploy", "--config", gitops.settings(read_cache=9000))
        finally:
            automated(True)
        began = time.time()
        until(60, "the autoscaler is as Git says", lambda: cluster.get("-n", release.space, "hpa", f"detection-api-{live}")["spec"]["maxReplicas"] == 10, pause=0.2)
        resumed = time.time() - began
        until(30, "there is no drift", lambda: not gitops.must("status")["drift"])
    return (f"a selector moved by hand was back after {statistics.median(healed):.1f} s (median), {max(healed):.1f} s (worst) of {len(healed)}; meanwhile {load.failed} of "
            f"{load.total('requests'):,} requests failed and were answered when asked again, all {load.total('acknowledged'):,} acknowledged at taky ({at_taky['twice']} twice); paused: "
            f"`slotctl status` named the drift {told:.1f} s after it, deploy refused; auto-sync on again: put back after {resumed:.1f} s")


def killed(gitops, *arguments):
    """Kills slotctl at its first line of progress, a new one at its second, and so on; the last one may end. -> kills"""
    for lines in range(1, MOST_KILLS + 1):
        driven = gitops.begin(*arguments)
        until(300, f"`{driven.words}` says {lines} things", lambda d=driven, n=lines: len(d.lines) >= n or d.process.poll() is not None, pause=0.01)
        if not driven.kill():
            want(driven.process.returncode == 0, f"`{driven.words}` ended with {driven.process.returncode}: {driven.progress[-900:]}")
            return lines - 1
    gitops.must(*arguments)
    return MOST_KILLS


def whole(world, gitops, live, config):
    """The state in which a release or a rollback ends that nobody has killed: Git, Service, fence, pods."""
    slots, idle = gitops.slots(), other(live)
    want(slots["active"] == live and slots[live]["state"] == "running" and slots[live]["config"] == config, slots)
    want(slots[idle]["state"] == "idle" and slots[idle]["minReplicas"] is None and slots[live]["minReplicas"] is None, slots)
    said = gitops.must("status")
    want(said["phase"] == "at rest" and said["serving"] == live and not said["drift"], said)
    want(world.release.fence() == live, f"the fence is {world.release.fence()}")
    until(60, "three ready pods and no others", lambda: len(world.release.live_pods(live)) == 3 and not world.release.pods(idle), pause=1)


@case("gitops-killed", group="release", shares="gitops")
def gitops_killed(world):
    """SIGKILL to slotctl at each line of its progress in each of its steps, begun again each time: the end, and the commits, are those of a run that
    nobody killed. The watch is cut to 20 s."""
    kills = {}
    with stand(world, figures=True) as gitops:
        live, before = gitops.active(), gitops.slots()
        gitops.watch_lasts(20)
        start, settings = gitops.head(), gitops.settings(read_cache=6000)
        with world.release.load(MANY, RATE) as load:
            for step, more in (("deploy", ("--config", settings)), ("smoke", ()), ("switch", ()), ("watch", ()), ("finalize", ())):
                kills[step] = killed(gitops, step, *more)
            whole(world, gitops, other(live), {"read_cache": 6000})
            steps = [subject.split(": ", 1)[1].split(" ")[0].rstrip(":") for subject in gitops.commits(start)]
            want(steps == ["deploy", "switch", "finalize"], gitops.commits(start))
            start = gitops.head()
            kills["rollback"] = killed(gitops, "rollback")
            kills["finalize"] += killed(gitops, "finalize")
            whole(world, gitops, live, before[live]["config"] or {})
            steps = [subject.split(": ", 1)[1].split(" ")[0].rstrip(":") for subject in gitops.commits(start)]
            want(steps == ["warm", "roll", "finalize"], gitops.commits(start))
            load.finish(stop=True)
        lost = none_lost(world, load)
    want(all(kills.values()), f"not killed in each step: {kills}")
    return (f"{sum(kills.values())} kills ({', '.join(f'{step} {count}' for step, count in kills.items())}): a release to {other(live)} with three commits and a rollback from 0 pods with "
            f"three, each ended as one that is not killed; {lost}")


def quota(world, pods):
    """No more pods than these in the namespace; None: as the chart has it."""
    world.cluster.kubectl("-n", world.release.space, "delete", "resourcequota", "e2e-full", "--ignore-not-found")
    if pods is not None:
        world.cluster.kubectl("-n", world.release.space, "create", "quota", "e2e-full", f"--hard=pods={pods}")


@case("gitops-quota", group="release", shares="gitops")
def gitops_quota(world):
    """A full quota stops a deploy with what to do: where not even the migration gets a pod, and where the slot gets too few. With room it goes on."""
    signs = ("exceeded quota", "describe resourcequota", "slotctl rollback")
    with stand(world) as gitops, world.release.load(MANY, RATE) as load:
        live, command = gitops.active(), ("deploy", "--config", gitops.settings(read_cache=7000))
        try:
            quota(world, 3)
            hook = gitops.refuses((*signs, "detection-api-migrate"), *command)
            quota(world, 5)
            slot = gitops.refuses((*signs, "does not get its pods"), *command)
        finally:
            quota(world, None)
        want(gitops.active() == live and load.failed == 0, gitops.slots())
        began = time.time()
        # A controller that was refused asks again after a while that grows: the same command until then.
        until(400, "the deploy goes on", lambda: gitops.slotctl(*command)[0] == 0)
        took = time.time() - began
        gitops.must("rollback")
        load.finish(stop=True)
        lost = none_lost(world, load)
    return f"no pod for the migration: refused after {hook:.0f} s; too few for the slot: after {slot:.0f} s; with room again the same command was done after {took:.0f} s; {lost}"


@case("gitops-away", group="release", shares="gitops")
def gitops_away(world):
    """Git, Prometheus and Argo CD away in the middle of a release: slotctl stops with what to do, nothing moves, and goes on when they are back."""
    cluster, figures = world.cluster, []
    with stand(world, figures=True) as gitops, world.release.load(MANY, RATE) as load:
        live = gitops.active()
        gitops.watch_lasts(20)
        away = gitops.bare.with_suffix(".away")
        command = ("deploy", "--config", gitops.settings(read_cache=8000))
        driven = gitops.begin(*command)
        driven.wait_for("asking Argo CD")
        gitops.bare.rename(away)
        try:
            code, _, words = driven.finish()
            want(code == 1 and "Git is away" in words and "git ls-remote" in words and "run the same command again" in words, words)
            figures.append(f"Git away in a deploy: stopped after {time.time() - driven.began:.0f} s")
            figures.append(f"at the start: after {gitops.refuses(('Git cannot be read', 'git ls-remote'), 'status'):.1f} s")
        finally:
            away.rename(gitops.bare)
        gitops.must(*command)
        gitops.must("switch")

        cluster.kubectl("-n", "monitoring", "scale", "statefulset/prometheus", "--replicas=0")
        cluster.kubectl("-n", "monitoring", "wait", "--for=delete", "pod/prometheus-0", "--timeout=90s")
        try:
            took = gitops.refuses(("no verdict", "Both slots stay as they are", "Bring Prometheus back", "slotctl rollback"), "watch")
        finally:
            cluster.kubectl("-n", "monitoring", "scale", "statefulset/prometheus", "--replicas=1")
        want(gitops.active() == other(live) and gitops.must("status")["phase"] == "watching", gitops.slots())
        cluster.kubectl("-n", "monitoring", "rollout", "status", "statefulset/prometheus", "--timeout=120s")
        gitops.must("watch")
        figures.append(f"Prometheus away in a watch: no verdict after {took:.0f} s, and the watch passed when it was back")

        for part in ("controller", "repo-server"):
            to = other(gitops.active())
            with gitops.argocd_stopped(part):
                took = gitops.refuses(("not done after 30 s", "Argo CD has yet to look at", "repository server reach Git", "the same command goes on"), "rollback", "--to", to, "--timeout", 30)
                serving = cluster.get("-n", world.release.space, "service", "detection-api")["spec"]["selector"]["slot"]
                want(serving == other(to), f"the Service selects {serving}")
            gitops.must("rollback", "--to", to)
            figures.append(f"Argo CD's {part} stopped in a rollback: after {took:.0f} s (--timeout 30), and it was done when that was back")
        load.finish(stop=True)
        lost = none_lost(world, load)
    return "; ".join((*figures, lost))
