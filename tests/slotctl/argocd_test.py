#!/usr/bin/python3
"""kubernetes/argocd against the manifests that it is to apply: nothing that a project refuses, nothing that heals what it must not."""

import copy
import pathlib
import re
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
ARGOCD, MANIFESTS = ROOT / "kubernetes/argocd", ROOT / "kubernetes/manifests"
ENVIRONMENTS = sorted(path.name for path in ARGOCD.iterdir() if path.is_dir())
MONITORED = {"staging", "prod", "airgap"}
WAVE = "argocd.argoproj.io/sync-wave"


def documents(*paths):
    return [item for path in paths for item in yaml.safe_load_all(path.read_text(encoding="utf-8")) if item]


def of(environment):
    """(kind, name) -> object of what is applied by hand and what that brings."""
    found = documents(ARGOCD / f"root-{environment}.yaml", *sorted((ARGOCD / environment).glob("*.yaml")))
    return {(item["kind"], item["metadata"]["name"]): item for item in found}


def monitoring_objects():
    """What observability/kustomization.yaml lists; its ConfigMaps are generated."""
    kustomization = yaml.safe_load((ROOT / "observability/kustomization.yaml").read_text(encoding="utf-8"))
    return documents(*(ROOT / "observability" / name for name in kustomization["resources"])) + [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "monitoring"}}]


def group(item):
    return item["apiVersion"].rpartition("/")[0]


CLUSTER_SCOPED = {"Namespace", "ClusterRole", "ClusterRoleBinding"}


def refused(project, item):
    """Why a project would not let this object be applied, or nothing."""
    spec, kind, name = project["spec"], item["kind"], item["metadata"]["name"]
    if kind in CLUSTER_SCOPED:
        allowed = any(entry["group"] == group(item) and entry["kind"] == kind and entry.get("name", name) == name for entry in spec["clusterResourceWhitelist"])
        return None if allowed else f"{kind} {name} is not in clusterResourceWhitelist"
    if not any(entry["group"] == group(item) and entry["kind"] == kind for entry in spec["namespaceResourceWhitelist"]):
        return f"{kind} {name} is not in namespaceResourceWhitelist"
    if item["metadata"]["namespace"] not in {entry["namespace"] for entry in spec["destinations"]}:
        return f"{kind} {name}: {item['metadata']['namespace']} is no destination"
    return None


def rules(objects):
    """What is wrong with the Applications and projects of an environment, one sentence each."""
    found = []
    for (kind, name), item in objects.items():
        spec = item["spec"]
        if item["metadata"]["namespace"] != "argocd":
            found.append(f"{name} is not in argocd")
        if kind != "Application":
            continue
        policy = spec["syncPolicy"]
        options = set(policy["syncOptions"])
        secrets = spec["project"] == "detection-secrets"
        if policy["automated"] != {"enabled": True, "prune": not secrets, "selfHeal": True, "allowEmpty": False}:
            found.append(f"{name}: automated is {policy['automated']}")
        if "ignoreDifferences" in spec or any(option.startswith("RespectIgnoreDifferences") for option in options):
            found.append(f"{name} ignores differences")
        if policy["retry"]["refresh"] is not True or policy["retry"]["limit"] != 5:
            found.append(f"{name}: retry is {policy['retry']}")
        wanted = {"ServerSideApply=true", "FailOnSharedResource=true"}
        if "root" not in name:
            wanted |= {"ApplyOutOfSyncOnly=true"} | ({"CreateNamespace=true"} if secrets else {"PruneLast=true", "CreateNamespace=false"})
        if options != wanted:
            found.append(f"{name}: syncOptions are {sorted(options)}")
        if item["metadata"].get("finalizers"):
            found.append(f"{name} would take its objects with it")
        project = objects.get(("AppProject", spec["project"]))
        if project is None:
            found.append(f"{name}: there is no project {spec['project']}")
            continue
        if spec["source"]["repoURL"] not in project["spec"]["sourceRepos"]:
            found.append(f"{name}: its repository is not the project's")
        if {key: spec["destination"][key] for key in ("server", "namespace")} not in project["spec"]["destinations"]:
            found.append(f"{name}: its destination is not the project's")
        if not (ROOT / spec["source"]["path"]).is_dir():
            found.append(f"{name}: there is no {spec['source']['path']}")
        if "sources" in spec:
            found.append(f"{name} has several sources: slotctl reads the one revision")
        if spec["source"]["path"].startswith("kubernetes/sealed-secrets") != secrets:
            found.append(f"{name}: {spec['source']['path']} in the project {spec['project']}")
        if spec["source"]["targetRevision"] != "main":
            found.append(f"{name} follows {spec['source']['targetRevision']}")
    return found


class Applications(unittest.TestCase):
    def test_each_environment_keeps_the_rules(self):
        self.assertEqual(ENVIRONMENTS, ["airgap", "dev", "prod", "staging"])
        for environment in ENVIRONMENTS:
            self.assertEqual(rules(of(environment)), [], environment)
            names = {name for kind, name in of(environment) if kind == "Application"}
            expected = {f"detection-{name}-{environment}" for name in ("root", "api", "secrets", *(("monitoring", "monitoring-secrets") if environment in MONITORED else ()))}
            self.assertEqual(names, expected)

    def test_a_planted_fault_is_found(self):
        def planted(name, change):
            objects = copy.deepcopy(of("prod"))
            change(objects["Application", name]["spec"])
            return rules(objects)
        faults = (lambda s: s["syncPolicy"]["automated"].update(selfHeal=False), lambda s: s.update(ignoreDifferences=[{"kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]),
                  lambda s: s["syncPolicy"]["syncOptions"].remove("ApplyOutOfSyncOnly=true"), lambda s: s["source"].update(path="kubernetes/manifests/production"),
                  lambda s: s.update(project="default"), lambda s: s["destination"].update(namespace="default"), lambda s: s["source"].update(repoURL="https://example.com/x.git"))
        for change in faults:
            self.assertEqual(len(planted("detection-api-prod", change)), 1)
        for change in (lambda s: s["syncPolicy"]["automated"].update(prune=True), lambda s: s.update(project="detection-system"), lambda s: s["source"].update(path="kubernetes/manifests/prod"),
                       lambda s: s["destination"].update(namespace="sealed-secrets"), lambda s: s.update(sources=[s["source"]])):
            self.assertNotEqual(planted("detection-secrets-prod", change), [])

    def test_environments_differ_in_their_names_alone(self):
        for name in ("detection-api.yaml", "monitoring.yaml", "secrets.yaml", "monitoring-secrets.yaml"):
            texts = {re.sub(rf"\b{environment}\b", "ENV", (ARGOCD / environment / name).read_text(encoding="utf-8"))
                     for environment in ENVIRONMENTS if (ARGOCD / environment / name).exists()}
            self.assertEqual(len(texts), 1, name)
        self.assertEqual(len({re.sub(rf"\b{environment}\b", "ENV", (ARGOCD / f"root-{environment}.yaml").read_text(encoding="utf-8")) for environment in ENVIRONMENTS}), 1)

    def test_one_repository(self):
        urls = {url for path in ARGOCD.rglob("*.yaml") for url in re.findall(r"https://[^\s\]]+\.git", path.read_text(encoding="utf-8"))}
        self.assertEqual(len(urls), 1)


class Projects(unittest.TestCase):
    def test_let_through_every_manifest_and_no_secret(self):
        for environment in ENVIRONMENTS:
            objects = of(environment)
            project = objects["AppProject", "detection-system"]
            for item in documents(*sorted((MANIFESTS / environment).glob("*.yaml"))):
                self.assertIsNone(refused(project, item), environment)
            self.assertIsNotNone(refused(project, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "namespace": "detection-system"}}))
            self.assertIsNotNone(refused(project, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}))
            self.assertIsNotNone(refused(project, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x", "namespace": "default"}}))
            if environment in MONITORED:
                for item in monitoring_objects():
                    self.assertIsNone(refused(objects["AppProject", "detection-monitoring"], item), environment)

    def test_only_sealed_secrets_pass_where_those_are_and_they_pass_nowhere_else(self):
        def sealed(space):
            return {"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {"name": "x", "namespace": space}}
        for environment in ENVIRONMENTS:
            objects = of(environment)
            project = objects["AppProject", "detection-secrets"]
            self.assertEqual(project["spec"]["namespaceResourceWhitelist"], [{"group": "bitnami.com", "kind": "SealedSecret"}])
            self.assertEqual({entry["kind"] for entry in project["spec"]["clusterResourceWhitelist"]}, {"Namespace"})
            self.assertIsNone(refused(project, sealed("detection-system")))
            # The controller's namespace holds the keys: no Application reaches it.
            for kind, name in objects:
                if kind == "AppProject":
                    self.assertNotIn("sealed-secrets", {entry["namespace"] for entry in objects[kind, name]["spec"]["destinations"]}, name)
                    if name != "detection-secrets":
                        self.assertIsNotNone(refused(objects[kind, name], sealed("detection-system")), name)


class Waves(unittest.TestCase):
    def test_projects_before_secrets_before_what_mounts_them(self):
        for environment in ENVIRONMENTS:
            waves = {name: int(item["metadata"]["annotations"][WAVE]) for (_, name), item in of(environment).items() if "root" not in name}
            projects = {name for kind, name in of(environment) if kind == "AppProject"}
            for name, wave in waves.items():
                self.assertEqual(wave, -1 if name in projects else 0 if "secrets" in name else 1, name)

    def test_nothing_that_may_wait_for_ever_stands_before_the_services(self):
        late = {"PersistentVolumeClaim", "HorizontalPodAutoscaler", "ServiceMonitor"}
        for environment in ENVIRONMENTS:
            waves = {}
            for item in documents(*sorted((MANIFESTS / environment).glob("*.yaml"))):
                waves.setdefault(item["kind"], set()).add(int(item["metadata"].get("annotations", {}).get(WAVE, 0)))
            self.assertEqual(waves["Service"], {2}, environment)
            for kind in late & waves.keys():
                self.assertGreater(min(waves[kind]), 2, f"{environment}: {kind}")
            self.assertLess(max(waves["Deployment"]), 1)
            # The fence between the pods and the selectors, the migration before the pods; the first backup, which waits for
            # something to back up, holds up nothing.
            self.assertEqual({number for number in waves["Job"] if number <= 2}, {-1, 1})


if __name__ == "__main__":
    unittest.main()
