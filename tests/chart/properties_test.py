#!/usr/bin/python3
"""What must hold of the rendered chart as a whole, over all profiles and every state of a release. Needs HELM in the environment."""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "kubernetes/chart"
PROFILES = sorted(path.stem.removeprefix("values-") for path in CHART.glob("values-*.yaml"))
# What the chart sets itself, or cannot mount: not options of `config`.
SET_BY_CHART = {"config", "data_dir", "database_url", "database_credentials", "process_name", "spool_max_bytes", "jwt_key_file", "jwt_key_dir",
                "listen", "metrics_listen", "tak_sink", "tak_credentials", "slot", "tls_cert_file", "tls_key_file", "class_map",
                "shutdown_grace", "drain_delay"}


def render(profile, values=None):
    """Every object of a profile, by (kind, name)."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as override:
        yaml.safe_dump(values or {}, override)
        override.flush()
        command = [os.environ["HELM"], "template", "detection-api", str(CHART), "--values", str(CHART / f"values-{profile}.yaml")]
        run = subprocess.run(command + ["--values", override.name], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise AssertionError(run.stderr)
    objects = [item for item in yaml.safe_load_all(run.stdout) if item]
    named = {(item["kind"], item["metadata"]["name"]): item for item in objects}
    assert len(named) == len(objects), "two objects have one name"
    return named


def pod_specs(objects):
    for key, item in objects.items():
        if key[0] == "Pod":
            yield key, item["metadata"], item["spec"]
        elif key[0] in ("Deployment", "Job"):
            yield key, item["spec"]["template"]["metadata"], item["spec"]["template"]["spec"]


def changed(before, after):
    """Names of the objects that differ; the pod of `helm test` is no part of the release."""
    return {key for key in before.keys() | after.keys() if key[0] != "Pod" and before.get(key) != after.get(key)}


def state(active="blue", blue="running", green="idle", of_green=None):
    return {"slots": {"active": active, "blue": {"state": blue}, "green": {"state": green, **(of_green or {})}}}


class Profiles(unittest.TestCase):
    def test_each_renders_alone_into_the_one_namespace(self):
        for profile in PROFILES:
            for key, item in render(profile, {"namespace": {"create": True}}).items():
                expected = None if key[0] == "Namespace" else "detection-system"
                self.assertEqual(item["metadata"].get("namespace"), expected, f"{profile}: {key}")

    def test_none_holds_a_secret(self):
        for profile in PROFILES:
            self.assertNotIn("Secret", {key[0] for key in render(profile)})

    def test_nothing_outside_is_referred_to(self):
        for profile in PROFILES:
            text = json.dumps(list(render(profile).values()))
            for host in re.findall(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|io|net|dev)\b(?!/)", text):
                self.assertTrue(host.endswith("internal.example.com"), f"{profile}: {host}")
            for image in re.findall(r'"(?:image|imageName)": "([^"]+)"', text):
                self.assertRegex(image, r"^registry\.internal\.example\.com/.+:[^:]+$", profile)
                self.assertNotRegex(image, r":latest(@|$)")

    def test_every_pod_is_restricted(self):
        for profile in PROFILES:
            for key, _, spec in pod_specs(render(profile)):
                with self.subTest(profile=profile, pod=key):
                    self.assertIs(spec["automountServiceAccountToken"], False)
                    self.assertIs(spec["enableServiceLinks"], False)
                    security = spec["securityContext"]
                    self.assertEqual((security["runAsUser"], security["runAsGroup"], security["fsGroup"]), (10001, 10001, 10001))
                    self.assertIs(security["runAsNonRoot"], True)
                    self.assertEqual(security["seccompProfile"], {"type": "RuntimeDefault"})
                    self.assertFalse({"hostNetwork", "hostPID", "hostIPC"} & spec.keys())
                    for container in spec["containers"]:
                        self.assertEqual(container["securityContext"], {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                                        "capabilities": {"drop": ["ALL"]}})
                        for section in ("requests", "limits"):
                            self.assertEqual(container["resources"][section].keys(), {"cpu", "memory", "ephemeral-storage"})
                        volumes = {volume["name"] for volume in spec.get("volumes", [])}
                        self.assertEqual({mount["name"] for mount in container.get("volumeMounts", [])}, volumes)
                    for volume in spec.get("volumes", []):
                        self.assertLessEqual(volume.keys() - {"name"}, {"secret", "projected", "emptyDir", "persistentVolumeClaim"})
                        self.assertTrue(volume.get("emptyDir", {"sizeLimit": 1}).get("sizeLimit"))

    def test_every_selector_finds_the_pods_it_is_for(self):
        for profile in PROFILES:
            objects = render(profile, {} if profile == "edge" else state(green="running"))
            api = [meta["labels"] for key, meta, _ in pod_specs(objects) if key[0] == "Deployment"]
            others = [meta["labels"] for key, meta, _ in pod_specs(objects) if key[0] != "Deployment"]
            for key, item in objects.items():
                selector = None
                if key[0] == "Service":
                    selector = item["spec"]["selector"]
                elif key[0] in ("PodDisruptionBudget", "Deployment"):
                    selector = item["spec"]["selector"]["matchLabels"]
                if selector:
                    found = [labels for labels in api if selector.items() <= labels.items()]
                    wanted = 1 if profile == "edge" or key[1] != "detection-api-metrics" else 2
                    self.assertEqual(len(found), wanted, f"{profile}: {key}")
                    self.assertFalse([labels for labels in others if selector.items() <= labels.items()], f"{profile}: {key} takes a job")

    def test_every_template_has_unit_tests(self):
        suites = "".join(path.read_text(encoding="utf-8") for path in CHART.glob("tests/*_test.yaml"))
        for path in CHART.glob("templates/**/*.yaml"):
            self.assertIn(str(path.relative_to(CHART)), suites)

    def test_the_environments_are_these(self):
        self.assertEqual(PROFILES, ["airgap", "dev", "edge", "prod", "staging"])
        self.assertEqual(sorted(path.name for path in (ROOT / "kubernetes/manifests").iterdir()), PROFILES)
        for name in ("deployment service ingress configmap pvc hpa networkpolicy pdb serviceaccount servicemonitor").split():
            self.assertTrue((CHART / f"templates/{name}.yaml").exists(), name)


class Release(unittest.TestCase):
    """The commits of a release, one after the other."""
    steady = state()
    started = state(green="running", of_green={"image": {"tag": "new"}, "minReplicas": 5})
    switched = state(active="green", green="running", of_green={"image": {"tag": "new"}, "minReplicas": 5})
    finalized = state(active="green", blue="idle", green="running", of_green={"image": {"tag": "new"}, "minReplicas": None})

    def deployments(self, objects):
        return {name: item for (kind, name), item in objects.items() if kind == "Deployment"}

    def test_a_start_touches_the_idle_slot_only(self):
        difference = changed(render("prod", self.steady), render("prod", self.started))
        self.assertEqual(difference, {("Deployment", "detection-api-green"), ("HorizontalPodAutoscaler", "detection-api-green"),
                                      ("Job", "detection-api-migrate")})

    def test_a_switch_touches_the_services_and_the_fence_only(self):
        difference = changed(render("prod", self.started), render("prod", self.switched))
        self.assertEqual(difference, {("Service", "detection-api"), ("Service", "detection-api-preview"), ("Job", "detection-api-fence"),
                                      ("Job", "detection-api-migrate")})
        without = {"hooks": {"migrate": {"enabled": False}}}
        difference = changed(render("prod", {**self.started, **without}), render("prod", {**self.switched, **without}))
        self.assertEqual(difference, {("Service", "detection-api"), ("Service", "detection-api-preview"), ("Job", "detection-api-fence")})

    def test_a_finalization_scales_the_old_slot_down_and_lets_the_new_one_shrink(self):
        # The backups' jobs take the image of a slot that runs: here, and only here, that becomes the new one.
        before, after = render("prod", self.switched), render("prod", self.finalized)
        self.assertEqual({item for item in changed(before, after) if not item[1].startswith("detection-backup")} - {("Job", "detection-api-migrate")},
                         {("Deployment", "detection-api-blue"), ("HorizontalPodAutoscaler", "detection-api-blue"),
                          ("HorizontalPodAutoscaler", "detection-api-green")})
        self.assertEqual(after["Deployment", "detection-api-blue"]["spec"]["replicas"], 0)
        self.assertNotIn(("HorizontalPodAutoscaler", "detection-api-blue"), after)

    def test_a_running_slot_never_has_a_number_and_an_idle_one_never_an_autoscaler(self):
        for values in (self.steady, self.started, self.switched, self.finalized):
            objects = render("prod", values)
            for slot in ("blue", "green"):
                running = values["slots"][slot]["state"] == "running"
                spec = objects["Deployment", f"detection-api-{slot}"]["spec"]
                self.assertEqual("replicas" in spec, not running)
                self.assertEqual(("HorizontalPodAutoscaler", f"detection-api-{slot}") in objects, running)

    def test_any_later_change_of_the_live_slot_leaves_its_number_alone(self):
        for more in ({"config": {"log_level": "debug"}}, {"image": {"tag": "newer"}}, {"config": {"red_policy": "send"}}):
            values = state(active="green", blue="idle", green="running", of_green={"image": {"tag": "new"}, **more})
            spec = render("prod", values)["Deployment", "detection-api-green"]["spec"]
            self.assertNotIn("replicas", spec)

    def test_selectors_are_the_same_in_every_state(self):
        seen = {}
        for values in (self.steady, self.started, self.switched, self.finalized, {"image": {"tag": "x"}}):
            for name, item in self.deployments(render("prod", values)).items():
                self.assertEqual(seen.setdefault(name, item["spec"]["selector"]), item["spec"]["selector"])
        self.assertEqual(len(seen), 2)

    def test_a_setting_of_the_idle_slot_leaves_the_live_one_alone(self):
        before = self.deployments(render("prod", self.started))
        values = state(green="running", of_green={"image": {"tag": "new"}, "minReplicas": 5, "config": {"log_level": "debug"}})
        after = self.deployments(render("prod", values))
        self.assertEqual(before["detection-api-blue"], after["detection-api-blue"])
        self.assertNotEqual(before["detection-api-green"], after["detection-api-green"])

    def test_waves_are_in_order(self):
        objects = render("airgap", {"namespace": {"create": True}, "hooks": {"runner": "argocd"}})
        waves = {key: int(item["metadata"]["annotations"].get("argocd.argoproj.io/sync-wave", 99)) for key, item in objects.items()}
        order = [[("Namespace", "detection-system"), ("NetworkPolicy", "default-deny"), ("ServiceAccount", "detection-api")],
                 [("Cluster", "detection-db")], [("Job", "detection-api-migrate")],
                 [("Deployment", "detection-api-blue"), ("PodDisruptionBudget", "detection-api-blue")], [("Job", "detection-api-fence")],
                 [("Service", "detection-api"), ("Ingress", "detection-api")], [("HorizontalPodAutoscaler", "detection-api-blue")]]
        self.assertEqual([{waves[key] for key in keys} for keys in order], [{-3}, {-2}, {-1}, {0}, {1}, {2}, {3}])


class Schema(unittest.TestCase):
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

    def test_is_closed_at_every_level(self):
        def walk(node, where):
            if isinstance(node, list):
                for number, item in enumerate(node):
                    walk(item, f"{where}/{number}")
            elif isinstance(node, dict):
                if node.get("type") == "object" and where != "/properties/global":
                    closed = node.get("additionalProperties") is False or ("propertyNames" in node and "additionalProperties" in node)
                    self.assertTrue(closed, f"{where} is open")
                for key, item in node.items():
                    walk(item, f"{where}/{key}")
        walk(self.schema, "")

    def test_every_value_must_be_there(self):
        self.assertEqual(set(self.schema["required"]), self.schema["properties"].keys() - {"global"})

    def test_options_are_those_of_the_service(self):
        page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8").split("## Settings of a sink")[0]
        rows = re.findall(r"^\| `--([a-z0-9-]+)`.*? \| `(DETECTION_[A-Z0-9_]+)` \|", page, re.MULTILINE)
        known = {flag.replace("-", "_") for flag, _ in rows}
        self.assertEqual(set(self.schema["$defs"]["config"]["properties"]), known - SET_BY_CHART)
        self.assertLessEqual(SET_BY_CHART, known)
        backup = (ROOT / "docs/backup.md").read_text(encoding="utf-8")
        environment = {name for _, name in rows} | set(re.findall(r"\bDETECTION_BACKUP_[A-Z0-9_]+", backup))
        sinks = {"tak": {"sinks": [{"name": "hq", "url": "tls://a.internal.example.com:8089"}]}, "secrets": {"jwtKeys": "keys"}}
        for profile in PROFILES:
            objects = render(profile, sinks)
            used = {name for (kind, _), item in objects.items() if kind == "ConfigMap" for name in item["data"]}
            for _, _, spec in pod_specs(objects):
                used |= {entry["name"] for container in spec["containers"] for entry in container.get("env", [])}
            self.assertLessEqual(used, environment, profile)


if __name__ == "__main__":
    unittest.main(verbosity=1)
