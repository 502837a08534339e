#!/usr/bin/python3
"""slotctl itself, with a real Git repository, the real renderer and helm, and a cluster that a stand-in plays (world.py).

usage: driver_test.py [NAME...]      one line for each test, then a count; DETECTION_SLOTCTL_KILLS=all kills at every kind of call twice"""

import os
import subprocess
import sys
import threading
import time
import traceback

from stand import SLOTCTL, Stand, needs, skip

TESTS = []
DIGEST = "sha256:" + "ab" * 32
RELEASE = ("release", "--tag", "v2", "--digest", DIGEST)


def test(function):
    TESTS.append(function)
    return function


def want(held, words):
    if not held:
        raise AssertionError(words)


def done(result, words=""):
    code, out, err = result
    want(code == 0, f"{words}: exit {code}\n{out}{err}")
    return out


def refused(result, sign):
    code, out, err = result
    want(code == 1, f"exit {code}, not 1\n{out}{err}")
    want(sign in out + err, f"'{sign}' is not said:\n{out}{err}")


@test
def a_release_and_the_next_one_back(stand):
    """From commit to the old slot at 0; every commit renders; the next release goes to the other slot."""
    code, said = stand.json(*RELEASE)
    want(code == 0 and said["done"], said)
    want([step["step"] for step in said["steps"]] == ["deploy", "smoke", "switch", "watch", "finalize"], said)
    want(stand.commits() == ["release(prod): deploy v2 to green", "release(prod): switch to green (v2)", "release(prod): finalize: blue (0.1.0) to 0"], stand.commits())
    stand.settle()
    want(stand.world.serving == "green" and stand.world.ready == {"blue": 0, "green": 3}, stand.state())
    want(f'image: {{repository: "", tag: "v2", digest: "{DIGEST}"}}' in stand.slots(), stand.slots())
    code, words = stand.rendered()
    want(code == 0, words)
    trailers = stand.git(stand.bare, "log", "-3", "--format=%(trailers:key=Release-Step,valueonly)%(trailers:key=Release-Slot,valueonly)", "main").split()
    want(trailers == ["finalize", "blue", "switch", "green", "deploy", "green"], trailers)
    out = done(stand.run("release", "--tag", "v3"), "the next one")
    want("together" in out and stand.world.serving == "blue", out)
    want("tag: \"v3\"" in stand.slots() and not stand.world.wrong, stand.world.wrong)
    code, said = stand.json("status")
    want(code == 0 and said["phase"] == "at rest" and said["active"] == "blue" and said["drift"] == [], said)
    code, said = stand.json("verify")
    want(code == 0 and said["passed"] and len(said["checks"]) == 10, said)
    times = "; ".join(line.strip() for line in out.splitlines())
    return times


@test
def killed_once_at_every_kind_of_call(stand):
    """One release, its slotctl killed the first time at each kind of call in each phase, before or after it had its effect."""
    clean = Stand()
    try:
        done(clean.run(*RELEASE))
        clean.settle()
        labels, expected = list(clean.world.seen), clean.state()
    finally:
        clean.close()
    rounds = (("before", "after"), ("after", "before")) if os.environ.get("DETECTION_SLOTCTL_KILLS") == "all" else (("after", "before"),)
    killed = 0
    for turn in rounds:
        other = Stand() if killed else stand
        world = other.world
        world.kill_at = {label: turn[number % 2] for number, label in enumerate(labels)}
        for _ in range(3 * len(labels)):
            code, out, err = other.run(*RELEASE)
            if code == 0:
                break
            want(code == -9, f"exit {code}\n{out}{err}")
            killed += 1
        want(code == 0, "it never came to its end")
        # A process that begins again may do with less: not every kind of call must come up again.
        want(len(world.kill_at) <= 3, f"never reached: {world.kill_at}")
        other.settle()
        want(other.state() == expected, f"{other.state()}\nis not\n{expected}")
        want(not world.wrong, world.wrong)
        if other is not stand:
            other.close()
    left = list(stand.folder.glob("slotctl-*"))
    want(len(left) <= 1, f"folders of killed runs are left: {left}")
    return f"{killed} kills at {len(labels)} kinds of calls, the same end"


@test
def two_at_once(stand):
    """The same release by two processes at once, each step once in Git; and a rollback beside a watch."""
    processes = [stand.start(*RELEASE) for _ in range(2)]
    results = [process.communicate(timeout=300) for process in processes]
    for process, (out, err) in zip(processes, results):
        want(process.returncode == 0, f"exit {process.returncode}\n{out}{err}")
    want(len(stand.commits()) == 3 and not stand.world.wrong, stand.commits())
    want(stand.world.serving == "green", stand.state())
    return "three commits by two processes"


@test
def bad_figures_roll_back(stand):
    """The watch finds them, rolls back by itself and says so; the same version is not taken again; finalize takes it down."""
    stand.world.bad_figures = {"v2"}
    began = time.monotonic()
    refused(stand.run("release", "--tag", "v2"), "rolled back, since errors 10.00 % > 1.00 %")
    took = time.monotonic() - began
    want(stand.world.serving == "blue" == stand.world.fence, stand.state())
    refused(stand.run("deploy", "--tag", "v2"), "rolled back from")
    done(stand.run("finalize"))
    want(stand.world.wanted["green"] == 0, stand.state())
    refused(stand.run("rollback"), "what it was rolled back from")
    return f"{took:.1f} s from the first commit to blue again, by the stand-in's clock"


@test
def rollbacks(stand):
    """Given up before the switch; back to the standby; back to a finalized slot by two commits; each repeated without effect."""
    first = stand.slots()
    stand.world.bad_smoke = {"v2"}
    done(stand.run("deploy", "--tag", "v2"))
    refused(stand.run("switch"), "No traffic has moved")
    for _ in range(2):
        done(stand.run("rollback"))
    want(stand.slots() == first and len(stand.commits()) == 2, stand.slots())
    done(stand.run("deploy", "--tag", "v3"))
    done(stand.run("switch"))
    for _ in range(2):
        done(stand.run("rollback"))
    want(stand.world.serving == "blue" and len(stand.commits()) == 5, stand.commits())
    done(stand.run("finalize"))
    done(stand.run("release", "--tag", "v4"))
    before = len(stand.commits())
    done(stand.run("rollback"))
    want(stand.world.serving == "blue" and len(stand.commits()) == before + 2, stand.commits())
    want(not stand.world.wrong, stand.world.wrong)
    return f"{len(stand.commits())} commits"


@test
def what_is_away(stand):
    """Git, Kubernetes, Argo CD and Prometheus away and a full quota: each stops it with what to do, and nothing has moved."""
    short = {"--timeout": "6"}  # for waiting alone: what takes its time (the commit) is done before
    refused(stand.run("deploy", "--tag", "v2", places={"--repository": f"file://{stand.folder}/no.git"}), "git ls-remote")
    stand.bare.rename(stand.bare.with_suffix(".away"))
    refused(stand.run("status"), "Git cannot be read")
    stand.bare.with_suffix(".away").rename(stand.bare)
    refused(stand.run("status", places={"--kubernetes-url": "http://127.0.0.1:1"}), "Kubernetes API cannot be reached")
    stand.world.argocd_away = True
    done(stand.run("deploy", "--tag", "v2", "--git-only"))
    refused(stand.run("deploy", "--tag", "v2", places=short), "kubectl -n argocd get pods")
    stand.world.quota_full = True
    stand.world.argocd_away = False
    refused(stand.run("deploy", "--tag", "v2", places=short), "exceeded quota")
    stand.world.quota_full = False
    done(stand.run("deploy", "--tag", "v2"), "and it goes on from there")
    done(stand.run("switch"))
    refused(stand.run("watch", places={"--prometheus-url": "http://127.0.0.1:1"}), "Bring Prometheus back")
    want(len(stand.commits()) == 2 and stand.world.serving == "green", stand.commits())
    stand.world.spool["blue"] = 7
    done(stand.run("watch"))
    refused(stand.run("finalize", places=short), "still holds 21 detections in its spools")
    stand.world.spool["blue"] = 0
    done(stand.run("finalize"))
    want(not stand.world.wrong, stand.world.wrong)
    return "6 faults"


@test
def a_commit_that_is_refused(stand):
    """A server that takes no commit, and values that do not render: nothing changes, and the reason is said."""
    hook = stand.bare / "hooks/pre-receive"
    text = hook.read_text(encoding="utf-8")
    hook.write_text("#!/bin/sh\necho 'this branch is frozen' >&2\nexit 1\n", encoding="utf-8")
    refused(stand.run("deploy", "--tag", "v2"), "this branch is frozen")
    hook.write_text(text, encoding="utf-8")
    config = stand.folder / "config.yaml"
    config.write_text("no_such_option: 1\n", encoding="utf-8")
    refused(stand.run("deploy", "--config", str(config)), "no_such_option")
    config.write_text("read_cache: 2048\n", encoding="utf-8")
    done(stand.run("deploy", "--config", str(config)))
    want("read_cache: 2048" in stand.slots(), stand.slots())
    want(len(stand.commits()) == 1, stand.commits())
    return "frozen branch, unknown option; settings released"


@test
def dry_runs_and_git_only(stand):
    """--dry-run shows the commit and makes none; --git-only makes it without a cluster; --from takes an image over."""
    out = done(stand.run("deploy", "--tag", "v2", "--dry-run"))
    want('+    image: {repository: "", tag: "v2", digest: ""}' in out and "kubernetes/manifests/prod/deployment.yaml" in out, out)
    want(stand.commits() == [], stand.commits())
    out = done(stand.run("deploy", "--from", "staging", "--dry-run"))
    want("is live already" in out, out)
    done(stand.run("deploy", "--tag", "v2", "--git-only", places={"--kubernetes-url": "http://127.0.0.1:1"}))
    want(len(stand.commits()) == 1, stand.commits())
    out = done(stand.run("deploy", "--tag", "v2", "--git-only", places={"--kubernetes-url": "http://127.0.0.1:1"}))
    want("in Git already" in out and len(stand.commits()) == 1, out)
    return "one commit"


@test
def usage(stand):
    """Wrong usage is exit 2 with a sentence; help names every step."""
    for arguments, sign in ((("deploy",), "say what to deploy"), (("deploy", "--tag", "latest"), "names no version"), (("deploy", "--tag", "v2", "--digest", "sha256:1"), "64 hexadecimal"),
                            (("smoke", "--slot", "red"), "red"), (("nothing",), ""), (("switch", "--prometheus", "x"), "NAMESPACE/SERVICE:PORT")):
        code, out, err = stand.run(*arguments)
        want(code == 2 and sign in out + err, f"{arguments}: exit {code} {out}{err}")
    program = str(SLOTCTL)
    said = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    for name in ("deploy", "smoke", "switch", "watch", "finalize", "rollback", "release", "status", "verify"):
        want(name in said, said)
        want(subprocess.run([program, name, "--help"], capture_output=True, check=False).returncode == 0, name)
    return "9 subcommands"


def main():
    if why := needs():
        skip(why)
    chosen = sys.argv[1:]
    unknown = set(chosen) - {function.__name__ for function in TESTS}
    if unknown:
        print(f"driver_test.py: no such test: {', '.join(unknown)}; there are: {', '.join(function.__name__ for function in TESTS)}", file=sys.stderr)
        return 2
    selected = [function for function in TESTS if not chosen or function.__name__ in chosen]
    results, gate = [], threading.Semaphore(2)  # they wait most of the time

    def one(function):
        with gate:
            stand, began = Stand(), time.monotonic()
            try:
                outcome, words = "ok", function(stand)
            except Exception:  # pylint: disable=broad-except  # the others go on
                outcome, words = "FAILED", traceback.format_exc(limit=-1)
            finally:
                stand.close()
            results.append(outcome == "ok")
            print(f"{outcome} {function.__name__} ({time.monotonic() - began:.1f} s) {words}", flush=True)

    threads = [threading.Thread(target=one, args=(function,)) for function in selected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
