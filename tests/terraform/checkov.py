#!/usr/bin/python3
"""checkov over terraform/, each environment with its modules; what exceptions.txt allows, with its reason, is left out.
usage: checkov.py CHECKOV"""
import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TERRAFORM = HERE.parents[1] / "terraform"


def exceptions():
    """(check, pattern of the resource) -> reason."""
    for line in (HERE / "exceptions.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield tuple(part.strip() for part in line.split("|"))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    command = [sys.argv[1], "-d", str(TERRAFORM), "--framework", "terraform", "--skip-download", "--quiet", "--compact", "-o", "json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(run.stdout)
    if report["summary"]["parsing_errors"] or not report["summary"]["passed"]:
        sys.exit(f"checkov could not read terraform/: {run.stdout[:500]}")
    allowed, used, findings = list(exceptions()), set(), set()
    for result in report["results"]["failed_checks"]:
        match = [entry for entry in allowed if entry[0] == result["check_id"] and re.search(entry[1], result["resource"])]
        used.update(match)
        if not match:
            findings.add(f"{result['resource']}: {result['check_id']}: {result['check_name']}")
    findings.update(f"exceptions.txt: {check} {pattern} is needed no longer" for check, pattern, reason in allowed if (check, pattern, reason) not in used)
    print("\n".join(sorted(findings)) or f"{report['summary']['passed']} checks pass, {len(allowed)} exceptions")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
