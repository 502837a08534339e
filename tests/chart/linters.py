#!/usr/bin/python3
"""kube-score or checkov over every profile as it renders; what exceptions.txt allows, with its reason, is left out.
usage: linters.py kube-score|checkov HELM TOOL"""
import json
import pathlib
import subprocess
import sys
import tempfile

import yaml

HERE = pathlib.Path(__file__).resolve().parent
CHART = HERE.parent.parent / "kubernetes/chart"


def exceptions(tool):
    """(check, profile, object) -> reason; '*' stands for any."""
    for line in (HERE / "exceptions.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, check, profile, item, reason = (part.strip() for part in line.split("|"))
            if name == tool:
                yield check, profile, item, reason


def kube_score(tool, path):
    run = subprocess.run([tool, "score", "--kubernetes-version", "v1.33", "-o", "json", str(path)], capture_output=True, text=True, check=False)
    for item in json.loads(run.stdout):
        for result in item["checks"] or []:
            if not result["skipped"] and result["grade"] < 10:  # 10: almost OK, nothing to do; 5: warning; 1: critical
                said = "; ".join(comment["summary"] for comment in result["comments"] or [])
                yield result["check"]["id"], item["object_name"].split("/")[0], item["type_meta"]["kind"], item["object_meta"]["name"], said


def checkov(tool, path):
    command = [tool, "-f", str(path), "--framework", "kubernetes", "--skip-download", "--quiet", "--compact", "-o", "json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(run.stdout)
    if report["summary"]["parsing_errors"] or not report["summary"]["passed"]:
        sys.exit(f"linters.py: checkov could not read {path}: {run.stdout[:500]}")
    for result in report["results"]["failed_checks"]:
        kind, *_, name = result["resource"].split(".")
        yield result["check_id"], kind, kind, name, result["check_name"]


def main():
    which, helm, tool = sys.argv[1:4]
    allowed = list(exceptions(which))
    used, findings, looked = set(), [], 0
    with tempfile.TemporaryDirectory() as folder:
        for values in sorted(CHART.glob("values-*.yaml")):
            profile = values.stem.removeprefix("values-")
            command = [helm, "template", "detection-api", str(CHART), "-n", "detection-system", "--values", str(values),
                       "--set", f"namespace.create=true,image.digest=sha256:{'0' * 64}"]  # by digest, as a release names it
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            path = pathlib.Path(folder) / f"{profile}.yaml"
            path.write_text(run.stdout, encoding="utf-8")
            looked += len([item for item in yaml.safe_load_all(run.stdout) if item])
            for check, _, kind, name, said in {"kube-score": kube_score, "checkov": checkov}[which](tool, path):
                match = [entry for entry in allowed if entry[0] == check and entry[1] in ("*", profile) and entry[2] in ("*", f"{kind}/{name}")]
                used.update(match)
                if not match:
                    findings.append(f"{profile}: {kind}/{name}: {check}: {said}")
    findings += [f"exceptions.txt: {which} {entry[0]} {entry[1]} {entry[2]} is needed no longer" for entry in allowed if entry not in used]
    print("\n".join(findings) if findings else f"{looked} objects clean, {len(allowed)} exceptions")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
