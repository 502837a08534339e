#!/usr/bin/python3
"""The manifests of the monitoring stack, as `kubectl kustomize observability` and each overlay of kubernetes/monitoring render them.

  restricted  every pod is as Pod Security `restricted` wants it but the collector and the node exporter; requests within the budget;
              pinned images; Prometheus' settings; nobody may read Secrets or all of anything; a network policy for each; ConfigMaps that fit
  kubeconform strict, each Kubernetes release in tests/chart/schemas, and a planted fault is found
  overlays    each environment's own: alerts with its name, its receivers (amtool), its rules, how long data are kept and on how large a volume, its registry
  kube-score, checkov   with the exceptions of exceptions.txt (the base alone)
"""

import argparse
import functools
import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
TOOLS = ROOT / ".cache" / "tools" / "bin"
SCHEMAS = ROOT / "tests" / "chart" / "schemas"
# Requests, and what is on disk: requirements.md, section 3. The collector's is for each node.
BUDGET = {"prometheus": ("250m", "512Mi", "10Gi"), "loki": ("250m", "256Mi", "20Gi"), "collector": ("100m", "128Mi", None), "grafana": ("100m", "256Mi", "1Gi")}
# Where an environment asks for less.
VOLUMES_OF = {"staging": {"prometheus": "5Gi", "loki": "10Gi"}}
OVERLAYS = ("staging", "prod", "airgap")
# Pods that cannot be `restricted`, and the fields in which they are not.
NODE_PODS = {"collector": {"hostPath", "root"}, "node-exporter": {"hostPath", "hostNetwork"}}
VOLUMES = {"configMap", "downwardAPI", "emptyDir", "projected", "secret", "csi", "persistentVolumeClaim", "ephemeral", "image"}


def need(*names):
    done = subprocess.run([ROOT / "scripts" / "chart_tools.sh", *names], capture_output=True, text=True)
    if done.returncode != 0:
        print(done.stderr.strip() or done.stdout.strip())
        sys.exit(done.returncode)


def render(folder="observability"):
    done = subprocess.run([TOOLS / "kubectl", "kustomize", ROOT / folder], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"manifests_test.py: {done.stderr.strip()}")
    return done.stdout


def breaches(spec):
    """In which of the fields that `restricted` looks at a pod is not so."""
    found = {name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)}
    found |= {kind for volume in spec.get("volumes", []) for kind in volume if kind not in VOLUMES | {"name"}}
    pod = spec.get("securityContext", {})
    if pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        found.add("seccomp")
    if not pod.get("runAsNonRoot") or pod.get("runAsUser") == 0:
        found.add("root")
    for container in spec["containers"] + spec.get("initContainers", []):
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            found.add("escalation")
        if own.get("capabilities") != {"drop": ["ALL"]}:
            found.add("capabilities")
        if own.get("readOnlyRootFilesystem") is not True:
            found.add("writable root")
    return found


def look_at_pods(workloads, volumes):
    for item in workloads:
        name, spec = item["metadata"]["name"], item["spec"]["template"]["spec"]
        wrong = breaches(spec) ^ NODE_PODS.get(name, set())
        if wrong:
            yield f"{name}: not as restricted as it is said to be: {sorted(wrong)}"
        for volume in spec.get("volumes", []):
            mounts = [m for c in spec["containers"] for m in c["volumeMounts"] if m["name"] == volume["name"]]
            if "hostPath" in volume and not all(m.get("readOnly") for m in mounts) and volume["hostPath"]["path"] != "/var/lib/detection-collector":
                yield f"{name}: writes to the node's {volume['hostPath']['path']}"
        for container in spec["containers"]:
            if not re.fullmatch(r"[a-z0-9.-]+\.[a-z]+/[a-z0-9/._-]+:v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?", container["image"]):
                yield f"{name}: the image {container['image']} is not pinned with its registry"
            for kind in ("requests", "limits"):
                missing = {"cpu", "memory", "ephemeral-storage"} - container["resources"][kind].keys()
                if missing:
                    yield f"{name}: no {kind} of {sorted(missing)}"
            if not {"livenessProbe", "readinessProbe"} <= container.keys():
                yield f"{name}: has not both probes"
        if name in BUDGET:
            requests = spec["containers"][0]["resources"]["requests"]
            claims = item["spec"].get("volumeClaimTemplates", [])
            has = (requests["cpu"], requests["memory"], claims[0]["spec"]["resources"]["requests"]["storage"] if claims else None)
            budget = (*BUDGET[name][:2], volumes.get(name, BUDGET[name][2]))
            if has != budget or len(spec["containers"]) != 1:
                yield f"{name}: asks for {has}, its budget is {budget}"


def look_at_rights(objects):
    for item in objects:
        for rule in item.get("rules", []) if item["kind"] in ("Role", "ClusterRole") else []:
            if "*" in rule["verbs"] + rule["resources"] + rule["apiGroups"] or set(rule["verbs"]) - {"get", "list", "watch"}:
                yield f"{item['metadata']['name']}: may {rule['verbs']} {rule['resources']}"
            if set(rule["resources"]) - {"pods", "nodes", "nodes/metrics"}:
                yield f"{item['metadata']['name']}: reads {rule['resources']}"
        if item["kind"] == "ServiceAccount" and item.get("automountServiceAccountToken") is not False:
            yield f"{item['metadata']['name']}: its token is mounted unless a pod says otherwise"
        if item["kind"] == "Secret":
            yield "there is a Secret among the manifests"


def look(objects, volumes=None):
    """-> what is wrong, in words. volumes: where an environment's differ from the budget"""
    workloads = [o for o in objects if o["kind"] in ("StatefulSet", "DaemonSet", "Deployment")]
    names = {o["metadata"]["name"] for o in workloads}
    yield from look_at_pods(workloads, volumes or {})
    yield from look_at_rights(objects)
    policies = [o for o in objects if o["kind"] == "NetworkPolicy"]
    if not any(p["spec"]["podSelector"] == {} and p["spec"]["policyTypes"] == ["Ingress", "Egress"] and len(p["spec"]) == 2 for p in policies):
        yield "nothing denies by default"
    aimed = {p["spec"]["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name") for p in policies}
    for name in sorted(names - aimed):
        yield f"{name}: no network policy"
    if missing := set(BUDGET) | set(NODE_PODS) | {"alertmanager"} - names:
        missing -= names
        if missing:
            yield f"missing: {sorted(missing)}"
    for item in objects:
        if item["kind"] == "ConfigMap" and len(json.dumps(item)) > 250_000:
            yield f"{item['metadata']['name']}: {len(json.dumps(item))} bytes, more than kubectl apply keeps"
        if item["kind"] == "ConfigMap" and item.get("immutable") is not True:
            yield f"{item['metadata']['name']}: can be changed under those who have read it"


def look_at_prometheus(text, days=15):
    """Its settings in the cluster: how often, for how long, and the labels that rules and panels rely on."""
    settings = yaml.safe_load(text)
    often = (settings["global"]["scrape_interval"], settings["global"]["evaluation_interval"], settings["storage"]["tsdb"]["retention"]["time"])
    if often != ("15s", "30s", f"{days}d"):
        yield f"prometheus.yml: scraped, evaluated, kept: {often}"
    jobs = {job["job_name"]: job for job in settings["scrape_configs"]}
    given = {rule.get("target_label") for rule in jobs["detection-api"]["relabel_configs"]}
    if not {"namespace", "pod", "slot"} <= given:
        yield f"prometheus.yml: the service's series get the labels {sorted(filter(None, given))}"
    for job in ("kubelet-cadvisor", "kubelet", "node-exporter", "monitoring"):
        if job not in jobs:
            yield f"prometheus.yml: no job {job}"


def check_restricted(text):
    objects = [o for o in yaml.safe_load_all(text) if o]
    wrong = [*look(objects), *look_at_prometheus((ROOT / "observability" / "kubernetes" / "prometheus.yml").read_text(encoding="utf-8"))]
    # It must find what is planted.
    planted = yaml.safe_load(json.dumps(objects))
    loki = next(o for o in planted if o["kind"] == "StatefulSet" and o["metadata"]["name"] == "loki")
    loki["spec"]["template"]["spec"]["containers"][0]["securityContext"]["capabilities"] = {"drop": []}
    loki["spec"]["template"]["spec"]["containers"][0]["image"] = "docker.io/grafana/loki:latest"
    loki["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["memory"] = "1Gi"
    if len(set(look(planted)) - set(wrong)) != 3:
        wrong.append("planted faults were not found")
    return wrong, f"{len(objects)} objects"


def configuration(objects, name):
    """The ConfigMap of that name, and whether something mounts it: its name ends in a hash of what it holds."""
    (found,) = [o for o in objects if o["kind"] == "ConfigMap" and re.fullmatch(rf"{name}-[a-z0-9]+", o["metadata"]["name"])]
    return found["data"], found["metadata"]["name"] in json.dumps([o for o in objects if o["kind"] in ("StatefulSet", "DaemonSet")])


def gibibytes(objects, name):
    (item,) = [o for o in objects if o["kind"] == "StatefulSet" and o["metadata"]["name"] == name]
    return int(item["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"].removesuffix("Gi"))


def routes_of(text):
    """-> (receiver of what is critical, of the dead man's switch), as amtool reads the configuration."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        subprocess.run(["amtool", "check-config", file.name], capture_output=True, text=True, check=True)
        return tuple(subprocess.run(["amtool", "config", "routes", "test", f"--config.file={file.name}", *labels], capture_output=True, text=True, check=True).stdout.strip()
                     for labels in (("alertname=ServiceDown", "severity=critical", "team=detection"), ("alertname=Watchdog", "severity=info", "team=platform")))


def look_at_overlay(environment, objects, settings):
    """What differs between environments, in the objects that are applied there. settings: observability/environments.yaml"""
    kept = settings["monitoring"][environment]
    maps = {name: configuration(objects, name) for name in ("prometheus-config", "prometheus-rules", "alertmanager-config", "loki-config")}
    yield from (f"nothing mounts {name}" for name, (_, mounted) in maps.items() if not mounted)
    text = maps["prometheus-config"][0]["prometheus.yml"]
    yield from look_at_prometheus(text, kept["metrics_days"])
    prometheus, loki = yaml.safe_load(text), yaml.safe_load(maps["loki-config"][0]["loki.yaml"])["limits_config"]
    if prometheus["global"].get("external_labels") != {"environment": environment}:
        yield f"alerts leave with the labels {prometheus['global'].get('external_labels')}"
    size = prometheus["storage"]["tsdb"]["retention"]["size"]
    # A fifth of the volume is for what is not compacted yet.
    if size != f"{kept['metrics_gigabytes']}GB" or int(size[:-2]) * 1e9 > 0.8 * gibibytes(objects, "prometheus") * 2**30:
        yield f"Prometheus keeps up to {size} on a volume of {gibibytes(objects, 'prometheus')}Gi"
    hours = 24 * kept["logs_days"]
    if (loki["retention_period"], loki["reject_old_samples_max_age"], loki["max_query_length"]) != (f"{hours}h", f"{hours}h", f"{hours + 25}h"):
        yield f"Loki keeps {loki['retention_period']}, takes {loki['reject_old_samples_max_age']}, asks over {loki['max_query_length']}"
    rules = maps["prometheus-rules"][0]
    if rules["environment.yaml"] != (ROOT / f"observability/prometheus/environments/{environment}.yaml").read_text(encoding="utf-8") or len(rules) != 4:
        yield f"the rules are {sorted(rules)}, or not of {environment}"
    receivers = routes_of(maps["alertmanager-config"][0]["alertmanager.yaml"])
    if receivers != ("page" if kept["pages"] == "webhook" else "mail-platform", "watchdog" if kept["watchdog"] else "nobody"):
        yield f"what is critical goes to {receivers[0]}, the dead man's switch to {receivers[1]}"
    images = {c["image"].split("/")[0] for o in objects if o["kind"] in ("StatefulSet", "DaemonSet") for c in o["spec"]["template"]["spec"]["containers"]}
    if (images == {"registry.internal.example.com"}) != (environment == "airgap"):
        yield f"images come from {sorted(images)}"
    classes = {o["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] for o in objects if o["kind"] == "StatefulSet"}
    if classes != {"standard" if environment == "staging" else "ssd"}:
        yield f"volumes are of {sorted(classes)}"


def check_overlays(text):
    if not shutil.which("amtool"):
        print("SKIPPED: amtool is not there; scripts/setup.sh test installs it")
        sys.exit(77)
    settings = yaml.safe_load((ROOT / "observability/environments.yaml").read_text(encoding="utf-8"))
    base, wrong, rendered = identities(text), [], {}
    for environment in OVERLAYS:
        rendered[environment] = render(f"kubernetes/monitoring/{environment}")
        objects = [o for o in yaml.safe_load_all(rendered[environment]) if o]
        if identities(rendered[environment]) != base:
            wrong.append(f"{environment}: other objects than the base: {sorted(identities(rendered[environment]) ^ base)}")
        wrong += [f"{environment}: {words}" for words in (*look(objects, VOLUMES_OF.get(environment, {})), *look_at_overlay(environment, objects, settings))]
        # The oldest and the newest: what lies between differs in nothing that a patch touches.
        wrong += [f"{environment}: {words}" for words in conform(rendered[environment], releases()[:1] + releases()[-1:])]
    # It must find what is planted: an overlay that forgot what it is for.
    if len(list(look_at_overlay("staging", [o for o in yaml.safe_load_all(rendered["prod"]) if o], settings))) < 6:
        wrong.append("prod's objects pass as those of staging")
    return wrong, f"{len(OVERLAYS)} overlays of {len(base)} objects"


def identities(text):
    """Kind and name of every object, without the hash of what a ConfigMap holds."""
    return {(o["kind"], re.sub(r"-[a-z0-9]{10}$", "", o["metadata"]["name"]) if o["kind"] == "ConfigMap" else o["metadata"]["name"]) for o in yaml.safe_load_all(text) if o}


def releases():
    return sorted(SCHEMAS.glob("v*"), key=lambda path: [int(part) for part in path.name[1:].split(".")])


def conform(text, chosen):
    for release in chosen:
        command = [TOOLS / "kubeconform", "-strict", "-schema-location", f"{release}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"]
        done = subprocess.run(command, input=text, capture_output=True, text=True)
        if done.returncode != 0:
            yield f"{release.name}: {done.stdout.strip()[:800]}"


def check_kubeconform(text):
    wrong = list(conform(text, releases()))
    planted = text.replace("readOnlyRootFilesystem", "readOnlyRootFileSystem")
    wrong += [f"{release.name}: a planted fault was not found" for release in releases() if not list(conform(planted, [release]))]
    return wrong, f"{', '.join(release.name for release in releases())}"


def check_linter(name, text):
    specification = importlib.util.spec_from_file_location("linters", ROOT / "tests" / "chart" / "linters.py")
    linters = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(linters)
    allowed = []
    for line in (HERE / "exceptions.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            tool, check, item, _ = (part.strip() for part in line.split("|"))
            if tool == name:
                allowed.append((check, item))
    used, wrong = set(), []
    # ConfigMaps hold nothing that these look at, and checkov reads dashboards for long.
    objects = [o for o in yaml.safe_load_all(text) if o and o["kind"] != "ConfigMap"]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "monitoring.yaml"
        path.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
        for check, _, kind, item, said in {"kube-score": linters.kube_score, "checkov": linters.checkov}[name](str(TOOLS / name), path):
            match = [entry for entry in allowed if entry[0] == check and entry[1] in ("*", f"{kind}/{item}")]
            used.update(match)
            if not match:
                wrong.append(f"{kind}/{item}: {check}: {said}")
    wrong += [f"exceptions.txt: {name} {check} {item} is needed no longer" for check, item in allowed if (check, item) not in used]
    return wrong, f"{len(objects)} objects, {len(allowed)} exceptions"


CHECKS = {"restricted": check_restricted, "kubeconform": check_kubeconform, "overlays": check_overlays, "kube-score": functools.partial(check_linter, "kube-score"),
          "checkov": functools.partial(check_linter, "checkov")}
QUICK = ["restricted", "kubeconform", "overlays"]


def main():
    parser = argparse.ArgumentParser(prog="tests/observability/kubernetes/manifests_test.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="Exit 0: clean, 1: findings, 2: wrong usage, 77: a tool cannot be had here (says why).")
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=f"{', '.join(CHECKS)}; none: {', '.join(QUICK)}")
    chosen = parser.parse_args().checks or QUICK
    for name in chosen:
        if name not in CHECKS:
            parser.error(f"there is no check '{name}'; there are: {', '.join(CHECKS)}")
    need("kubectl", "kubeconform", *(name for name in chosen if name.startswith(("kube-", "checkov"))))
    text, status = render(), 0
    for name in chosen:
        wrong, figures = CHECKS[name](text)
        print("\n".join(f"{name}: {words}" for words in wrong or [figures]))
        status = 1 if wrong else status
    return status


if __name__ == "__main__":
    sys.exit(main())
