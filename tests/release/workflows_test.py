#!/usr/bin/python3
"""The workflows: pins, rights, and that what they run is there."""

import pathlib
import re
import subprocess
import sys
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github/workflows"
PIN = re.compile(r"^[A-Za-z0-9._/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
STAGES = {"deploy": "4 and 5", "smoke": "6", "switch": "7 and 8", "watch": "9", "finalize": "10a", "back": "10b"}


def workflows():
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yml"))}


def faults(text):
    """What is wrong with one workflow."""
    found = [f"not pinned by digest with its version beside it: {used}" for used in re.findall(r"(?m)^\s*(?:- )?uses: (.*)$", text)
             if not used.startswith("./") and not PIN.match(used)]
    body = yaml.safe_load(text)
    if "permissions" not in body:
        found.append("has no permissions of its own: it would have the repository's default")
    for name, job in body["jobs"].items():
        if "uses" not in job and "timeout-minutes" not in job:
            found.append(f"{name} has no time limit")
        for step in job.get("steps", []):
            if "${{" in step.get("run", ""):
                found.append(f"{name}: an expression in a script can be turned into commands; hand it over by env: {step['run'][:60]}")
            if step.get("uses", "").startswith("actions/checkout@") and body.get("permissions", {}).get("contents") == "read" \
                    and step["with"].get("persist-credentials") is not False:
                found.append(f"{name}: leaves the token of a reader in the checkout")
    return found


class Workflows(unittest.TestCase):
    def test_no_faults(self):
        for name, text in workflows().items():
            self.assertEqual(faults(text), [], name)

    def test_planted_faults_are_found(self):
        text = workflows()["release.yml"]
        pin = re.search(r"checkout@[0-9a-f]{40} # v[\d.]+", text)[0]
        for old, new in ((pin, "checkout@v4"), (pin, pin.split(" ")[0]), ("permissions:\n  contents: read\n", ""), ("    timeout-minutes: 45\n", ""),
                         ('"$PART"', "${{ matrix.part }}"), (", persist-credentials: false", "")):
            self.assertIn(old, text)
            self.assertNotEqual(faults(text.replace(old, new, 1)), [], old)

    def test_one_action_is_one_digest(self):
        pins = {}
        for text in workflows().values():
            for action, digest, version in re.findall(r"uses: ([^@\s]+)@([0-9a-f]{40}) # (\S+)", text):
                pins.setdefault(action, set()).add((digest, version))
        self.assertEqual({action: len(found) for action, found in pins.items()}, dict.fromkeys(pins, 1))

    def test_what_they_run_is_there_and_helps(self):
        # In what is run, not in paths of results.
        runs = [step.get("run", "") for text in workflows().values() for job in yaml.safe_load(text)["jobs"].values() for step in job.get("steps", [])]
        scripts = {word for run in runs for word in re.findall(r"(?<![\w/-])(?:scripts|kubernetes|image)/[\w/.-]+", run) if word not in ("image/", "build/image")}
        self.assertGreater(len(scripts), 8)
        for word in sorted(scripts):
            self.assertTrue((ROOT / word).is_file(), f"{word} is not there")
            done = subprocess.run([ROOT / word, "--help"], capture_output=True, text=True, timeout=60, check=False)
            self.assertTrue(done.returncode == 0 and "usage:" in done.stdout, word)

    def test_every_stage_is_there_in_its_order(self):
        steps = yaml.safe_load(workflows()["rollout.yml"])["jobs"]["rollout"]["steps"]
        runs = [(step.get("name", ""), step["run"].split()[-1]) for step in steps if "rollout --env" in step.get("run", "")]
        self.assertEqual([stage for _, stage in runs], list(STAGES))
        for name, stage in runs:
            self.assertTrue(name.startswith(STAGES[stage]), name)
        jobs = yaml.safe_load(workflows()["release.yml"])["jobs"]
        self.assertEqual(list(jobs), ["check", "image", "dev"])
        self.assertEqual((jobs["image"]["needs"], jobs["dev"]["needs"]), ("check", "image"))

    def test_only_a_verified_image_is_rolled_out(self):
        steps = [step.get("run", "") for step in yaml.safe_load(workflows()["rollout.yml"])["jobs"]["rollout"]["steps"]]
        gate = next(number for number, run in enumerate(steps) if "scripts/release/verify" in run)
        first = next(number for number, run in enumerate(steps) if "rollout --env" in run)
        self.assertLess(gate, first)

    def test_the_signing_key_is_in_one_job_alone(self):
        holders = [(name, job) for name, text in workflows().items() for job, body in yaml.safe_load(text)["jobs"].items()
                   if "RELEASE_SIGNING_KEY" in yaml.safe_dump(body)]
        self.assertEqual(holders, [("release.yml", "image")])
        self.assertNotIn("pull_request_target", "".join(workflows().values()))


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
