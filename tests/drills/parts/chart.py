"""What the chart configures, rendered by helm: the drills of continuous protection use these very texts."""

import json
import subprocess
import tempfile

import yaml
from harness.child import Failure, Skip
from harness.service import ROOT

TOOLS = ROOT / ".cache" / "tools" / "bin"


def tool(name):
    """One of scripts/chart_tools.sh, made when it is not there."""
    done = subprocess.run([ROOT / "scripts/chart_tools.sh", name], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise (Skip if done.returncode == 77 else Failure)((done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2].removeprefix("SKIPPED: "))
    return TOOLS / name


def rendered(profile, values, kind):
    """-> the objects of that kind which the chart makes with this profile and these values"""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(values, file)
        file.flush()
        chart = ROOT / "kubernetes/chart"
        done = subprocess.run([tool("helm"), "template", "drill", chart, "-f", chart / f"values-{profile}.yaml", "-f", file.name], capture_output=True, text=True,
                              check=False)
    if done.returncode != 0:
        raise Failure(f"helm template: {done.stderr}")
    return [each for each in yaml.safe_load_all(done.stdout) if each and each["kind"] == kind]
