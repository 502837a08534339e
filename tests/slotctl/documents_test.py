#!/usr/bin/python3
"""Each command that the documents of a release show is run: slotctl and git against the stand, in the state that a comment before the block
names; kubectl against a real API server, where one is."""

import concurrent.futures
import re
import shlex
import shutil
import signal
import subprocess
import sys

import yaml
from apiserver import ApiServer, why_not
from stand import ROOT, SLOTCTL, TOOLS, Stand, executable, needs, skip
from world import ENVIRONMENT

PAGES = ("docs/architecture/phase05-deployment-strategy.md", "docs/adrs/ADR-007-gitops-argocd.md")
COMMIT, DIGEST = "c" * 40, "d" * 64
BEFORE = {"at rest": [], "warming": ["deploy"], "watching": ["deploy", "switch"], "finalized": ["release"]}
APPLICATION = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": f"detection-api-{ENVIRONMENT}", "namespace": "argocd"},
               "spec": {"syncPolicy": {"automated": {"enabled": True}}}, "status": {"operationState": {"phase": "Running", "message": "waiting"}}}


def blocks(page):
    """-> [(state, [command, ...])]; every fenced block must have a state."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [(state, body) for state, body in re.findall(r"(?:<!-- stand: ([a-z ]+) -->\n)?```\w*\n(.*?)```", text, flags=re.S)]
    for state, body in found:
        if not state:
            raise AssertionError(f"{page}: a block without a state: {body[:80]}")
        commands = [line for line in body.splitlines() if line.strip() and not line.startswith("#")]
        yield state, [re.sub(r"\s{2,}#.*$", "", line).replace("COMMIT", COMMIT).replace("DIGEST", DIGEST) for line in commands]


def inline(page):
    """Subcommands that are named in the running text."""
    return set(re.findall(r"`slotctl ([a-z]+)", (ROOT / page).read_text(encoding="utf-8")))


def unfenced(page):
    return re.sub(r"```\w*\n.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.S)


def whole_commands(page):
    """Of kubectl, in the running text: they are run as well."""
    return [command.replace("ENV", ENVIRONMENT) for command in re.findall(r"`(kubectl [^`]+)`", unfenced(page))]


def not_run(page):
    """Whole commands of slotctl in the running text, where no test runs them."""
    return [f"`{command}` stands outside of a block: nothing runs it" for command in re.findall(r"`(slotctl [^`]*--env [^`]*)`", unfenced(page))]


def on_stand(state, commands):
    stand = Stand()
    try:
        clone, bin_folder = stand.folder / "clone", stand.folder / "bin"
        bin_folder.mkdir()
        places = f"--kubernetes-url {stand.world.url} --prometheus-url {stand.world.url} --kubectl {stand.kubectl}"
        executable(bin_folder / "slotctl", f"#!/bin/sh\ncase $1 in status|verify) exec {SLOTCTL} \"$@\" {places};; esac\nexec {SLOTCTL} \"$@\" {places} --pause 0.1 --timeout 60\n")
        (bin_folder / "kubectl").symlink_to(stand.kubectl)  # exec alone
        environment = stand.environment | {"PATH": f"{bin_folder}:{stand.environment['PATH']}"}
        for step in BEFORE[state]:
            code, out, err = stand.run(step, *(["--tag", "v2"] if step in ("deploy", "release") else []))
            if code != 0:
                return [f"{step} before it: {out}{err}"]
        subprocess.run(["git", "clone", "--quiet", str(stand.bare), str(clone)], env=environment, check=True)
        (clone / "settings.yaml").write_text("read_cache: 2048\n", encoding="utf-8")
        faults = []
        for command in commands:
            done = subprocess.run(shlex.split(command), cwd=clone, env=environment, capture_output=True, text=True, timeout=240, check=False)
            if done.returncode != 0:
                faults.append(f"`{command}` in '{state}': exit {done.returncode}: {done.stdout}{done.stderr}")
        return faults + stand.world.wrong
    finally:
        stand.close()


def incident_faults(page):
    """Every critical alert stands in exactly one of the levels of which somebody is woken."""
    rows = re.findall(r"(?m)^\| (SEV-[1-4]) \|.*\| ([^|]*) \|$", (ROOT / page).read_text(encoding="utf-8"))
    named = [alert for level, alerts in rows if level in ("SEV-1", "SEV-2") for alert in re.findall(r"`(\w+)`", alerts)]
    critical = [rule["alert"] for name in ("detection", "platform") for group in yaml.safe_load((ROOT / f"observability/prometheus/rules/{name}-alerts.yaml").read_text(encoding="utf-8"))["groups"]
                for rule in group["rules"] if rule.get("labels", {}).get("severity") == "critical"]
    return [f"{alert} is critical and not in the table, or in it twice" for alert in critical if named.count(alert) != 1] + [f"{alert} is not critical" for alert in named if alert not in critical]


def on_api_server(all_commands):
    kubectl = TOOLS / "kubectl" if (TOOLS / "kubectl").exists() else shutil.which("kubectl")
    api = ApiServer(kubectl)
    try:
        objects = [item for name in ("service", "resourcequota") for item in yaml.safe_load_all((ROOT / f"kubernetes/manifests/{ENVIRONMENT}/{name}.yaml").read_text(encoding="utf-8"))]
        api.apply(APPLICATION, *objects)
        faults = []
        for command in all_commands:
            done = api.kubectl(*shlex.split(command)[1:], check=False)
            if done.returncode != 0:
                faults.append(f"`{command}`: {done.stderr}")
        slot = api.get("-n", "detection-system", "service", "detection-api")["spec"]["selector"]["slot"]
        automated = api.get("-n", "argocd", "application", APPLICATION["metadata"]["name"])["spec"]["syncPolicy"]["automated"]
        if slot != "blue" or automated != {"enabled": True}:
            faults.append(f"after them the Service selects {slot}, auto-sync is {automated}")
        return faults
    finally:
        api.close()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended on the way out
    if why := needs():
        skip(why)
    passed = failed = 0

    def report(name, faults):
        nonlocal passed, failed
        passed, failed = passed + (not faults), failed + bool(faults)
        print(f"{'FAILED' if faults else 'ok'} {name}{': ' if faults else ''}{'; '.join(faults)}", flush=True)

    for_kubectl = []
    with concurrent.futures.ThreadPoolExecutor(2) as two:  # they wait half of the time
        for page in PAGES:
            found = list(blocks(page))
            for_kubectl += [command for state, commands in found if state == "kubectl" for command in commands] + whole_commands(page)
            on_stands = [(state, commands, two.submit(on_stand, state, commands)) for state, commands in found if state != "kubectl"]
            for state, commands, faults in on_stands:
                report(f"{len(commands)} commands in '{state}': {commands[0][:60]}", faults.result())
    for page in PAGES:
        said = subprocess.run([str(SLOTCTL), "--help"], capture_output=True, text=True, check=True).stdout
        report(f"subcommands that {page.rpartition('/')[2]} names",
               [f"there is no `slotctl {name}`" for name in inline(page) if not re.search(rf"(?m)^  {name}\b", said)] + not_run(page))
    report("critical alerts by level of incident", incident_faults(PAGES[0]))
    wrong = [command for command in for_kubectl if not command.startswith("kubectl ")]
    report(f"{len(for_kubectl)} commands of kubectl are nothing else", wrong)
    if why := why_not():
        print(f"SKIPPED {len(for_kubectl)} commands of kubectl: {why}")
    else:
        report(f"{len(for_kubectl)} commands of kubectl against kube-apiserver", on_api_server(for_kubectl))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
