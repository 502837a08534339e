#!/usr/bin/python3
"""Every line of refusals.txt: helm must refuse those values, and say why. usage: refusals.py HELM"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile

import yaml

HERE = pathlib.Path(__file__).resolve().parent
CHART = HERE.parent.parent / "kubernetes/chart"


def cases():
    for number, line in enumerate((HERE / "refusals.txt").read_text(encoding="utf-8").splitlines(), 1):
        if line and not line.startswith("#"):
            profile, override, says = (part.strip() for part in line.split(" | "))
            values = {}
            for item in override.split("; "):
                path, _, text = item.partition("=")
                place = values
                *parents, last = path.split(".")
                for key in parents:
                    place = place.setdefault(key, {})
                place[last] = yaml.safe_load(text)
            yield number, profile, override, values, says.split(" & ")


def template(helm, profile, values, folder):
    """helm template with a profile and an override: exit code, what it said."""
    path = pathlib.Path(folder) / f"{os.getpid()}-{id(values)}.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    command = [helm, "template", "detection-api", str(CHART)]
    if profile != "-":
        command += ["--values", str(CHART / f"values-{profile}.yaml")]
    run = subprocess.run(command + ["--values", str(path)], capture_output=True, text=True, check=False)
    return run.returncode, run.stderr


def main():
    helm, failures, table = sys.argv[1], [], list(cases())
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        # What is refused below must not be refused without the override.
        for profile in sorted({case[1] for case in table}):
            code, said = template(helm, profile, {}, folder)
            if code != 0:
                failures.append(f"the profile {profile} alone is refused: {said}")
        answers = pool.map(lambda case: template(helm, case[1], case[3], folder), table)
        for (number, profile, override, _, says), (code, said) in zip(table, answers):
            flat = " ".join(said.split())
            if code == 0:
                failures.append(f"refusals.txt:{number}: {profile} with {override} is not refused")
            elif not all(part in flat for part in says):
                failures.append(f"refusals.txt:{number}: {profile} with {override}: expected '{' & '.join(says)}', helm said: {flat}")
    if len({(case[1], case[2]) for case in table}) < 200:
        failures.append(f"only {len(table)} cases are different; 200 are wanted")
    print("\n".join(failures) if failures else f"{len(table)} values refused, each with its reason")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
