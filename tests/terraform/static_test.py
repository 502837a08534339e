#!/usr/bin/python3
"""What can be seen of terraform/ without its program: versions, lock files, storage classes, names, the quantities of the costs."""
import pathlib
import re
import subprocess
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
TERRAFORM = ROOT / "terraform"
ENVIRONMENTS = ("dev", "staging", "prod")
PROVIDER = "5.100.0"


def text(path):
    return (ROOT / path).read_text(encoding="utf-8")


def number(source, name):
    return int(re.search(rf"^\s*{name}\s*= (\d+)", source, re.MULTILINE).group(1))


class Pinned(unittest.TestCase):
    def test_every_root_pins_the_provider_exactly_and_its_lock_file_agrees(self):
        for folder in ("bootstrap", *(f"environments/{name}" for name in ENVIRONMENTS)):
            self.assertIn(f'version = "{PROVIDER}"', text(f"terraform/{folder}/versions.tf"), folder)
            lock = text(f"terraform/{folder}/.terraform.lock.hcl")
            self.assertRegex(lock, rf'version     = "{re.escape(PROVIDER)}"', folder)
            self.assertRegex(lock, r'"h1:[A-Za-z0-9+/]{43}="', folder)

    def test_every_folder_asks_for_the_same_program(self):
        asked = {re.search(r'required_version = "([^"]+)"', path.read_text(encoding="utf-8")).group(1) for path in TERRAFORM.glob("**/versions.tf")}
        self.assertEqual(asked, {">= 1.11.0, < 2.0.0"})

    def test_modules_are_those_of_this_tree(self):
        for path in TERRAFORM.glob("**/*.tf"):
            for source in re.findall(r'^module .*?^  source = "([^"]+)"', path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
                self.assertTrue(source.startswith("../"), f"{path}: {source}")

    def test_every_state_is_remote_locked_and_its_own(self):
        keys = set()
        for name in ENVIRONMENTS:
            source = text(f"terraform/environments/{name}/versions.tf")
            self.assertRegex(source, r'backend "s3" \{')
            self.assertRegex(source, r"use_lockfile = true")
            self.assertRegex(source, r"encrypt +=\s*true")
            keys.add(re.search(r'key +=\s*"([^"]+)"', source).group(1))
        self.assertEqual(keys, {f"{name}/terraform.tfstate" for name in ENVIRONMENTS})


class Private(unittest.TestCase):
    def test_no_account_no_key_no_password(self):
        for path in sorted(TERRAFORM.glob("**/*.tf")):
            source = path.read_text(encoding="utf-8")
            self.assertNotRegex(source, r"\b\d{12}\b", f"{path}: an account")
            self.assertNotRegex(source, r"AKIA[A-Z0-9]{16}", f"{path}: an access key")
            self.assertNotRegex(source, r"^\s*(password|master_password)\s*=", f"{path}: a password")

    def test_production_has_no_variable_that_opens_the_api(self):
        self.assertNotIn("api_public_cidrs", text("terraform/environments/prod/variables.tf") + text("terraform/environments/prod/main.tf"))


class Chart(unittest.TestCase):
    def test_storage_classes_of_the_chart_exist_encrypted_and_kept(self):
        classes = {one["metadata"]["name"]: one for one in yaml.safe_load_all(text("terraform/cluster/storage-classes.yaml"))}
        volumes = yaml.safe_load(text("kubernetes/chart/values.yaml"))["persistence"]
        self.assertEqual({volume["storageClass"] for volume in volumes.values()}, set(classes))
        for one in classes.values():
            self.assertEqual((one["provisioner"], one["parameters"]["encrypted"], one["reclaimPolicy"]), ("ebs.csi.aws.com", "true", "Retain"))

    def test_the_roles_subjects_are_the_charts(self):
        source = text("terraform/modules/iam/variables.tf")
        account = yaml.safe_load(text("kubernetes/manifests/prod/serviceaccount.yaml"))["metadata"]
        self.assertIn(f'{{ namespace = "{account["namespace"]}", service_accounts = ["{account["name"]}"] }}', source)

    def test_a_backup_job_of_the_chart_runs_as_the_account_that_has_the_role(self):
        for path in sorted((ROOT / "kubernetes/manifests").glob("*/*backup*cronjob*.yaml")):
            for job in yaml.safe_load_all(path.read_text(encoding="utf-8")):
                pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
                self.assertIn(f'"{pod["serviceAccountName"]}"', text("terraform/modules/iam/variables.tf"), path)

    def test_committed_infrastructure_values_have_only_what_terraform_says(self):
        for path in sorted((ROOT / "kubernetes/environments").glob("*/infrastructure.yaml")):
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
            self.assertEqual(set(values), {"database", "config"}, path)


class Costs(unittest.TestCase):
    def test_quantities_are_those_of_the_environments(self):
        costs = yaml.safe_load(text("terraform/costs.yaml"))
        endpoints = len(re.findall(r'"', re.search(r"interface_endpoints = \[(.*)\]", text("terraform/environments/prod/main.tf")).group(1))) // 2
        for name in ENVIRONMENTS:
            source, quantities = text(f"terraform/environments/{name}/main.tf"), costs["environments"][name]
            node = re.search(r'instance_type = "([^"]+)"', source).group(1)
            server = re.search(r'instance_class +=\s*"([^"]+)"', source).group(1)
            servers = 2 if re.search(r"multi_az +=\s*true", source) else 1
            nat = 3 if re.search(r"nat_per_zone +=\s*true", source) else 1
            keys = sum(len(re.findall(r'^resource "aws_kms_key"', path.read_text(encoding="utf-8"), re.MULTILINE)) for path in TERRAFORM.glob("modules/*/*.tf"))
            self.assertEqual(quantities, {
                "cluster": 1, node: number(source, "desired"), "node_disk": 50 * number(source, "desired"), "nat": nat, "address": nat,
                "endpoint": 3 * endpoints if name == "prod" else 0, server: servers, "db_storage": servers * number(source, "storage_gb"),
                "key": keys, "alarm": 3, "secret": 1}, name)

    def test_the_table_is_what_they_give(self):
        run = subprocess.run([TERRAFORM / "tools/cost_table", "--check"], capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)


if __name__ == "__main__":
    unittest.main()
