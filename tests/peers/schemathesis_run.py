#!/usr/bin/python3
"""Tries a running service against its own OpenAPI document with schemathesis.

usage: schemathesis_run.py --api URL --metrics URL --token-file FILE --out FOLDER [--examples N] [--seed N]

Every check and every phase, authenticated by the token in FILE (its credential must not be one that the run can revoke:
a token without an API key behind it). /metrics is tried on its own port. Also holds each example of the document against
its schema. Exit code: 0 nothing was found, 1 something was, 77 the environment is not there (setup_venv.sh schemathesis).
"""

import argparse
import json
import pathlib
import subprocess
import sys
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
BIN = HERE.parents[1] / ".cache" / "venv" / "schemathesis" / "bin"
PHASES = "examples,coverage,fuzzing"

# Runs inside the environment, which has the validator: every example of a body or an answer against its schema.
CHECK_EXAMPLES = r"""
import json, sys
import jsonschema_rs
document = json.load(open(sys.argv[1]))
components = document["components"]
wrong = checked = 0
def resolve(one):
    while "$ref" in one:
        target = document
        for part in one["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        one = target
    return one
def check(where, form):
    global wrong, checked
    schema = {**form["schema"], "components": components}
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    for name, one in form.get("examples", {}).items():
        checked += 1
        for error in validator.iter_errors(resolve(one)["value"]):
            wrong += 1
            print(f"{where}: example {name}: {error.message} at {list(error.instance_path)}")
for path, operations in document["paths"].items():
    for method, operation in operations.items():
        for media, form in operation.get("requestBody", {}).get("content", {}).items():
            check(f"{method} {path} {media}", form)
        for status, answer in operation["responses"].items():
            for media, form in resolve(answer).get("content", {}).items():
                check(f"{method} {path} {status} {media}", form)
print(f"{checked} examples checked, {wrong} wrong")
sys.exit(1 if wrong or not checked else 0)
"""


def run(arguments: list[str], log: pathlib.Path) -> int:
    """The command's exit code; what it says goes to the log, and its end to our own output where it failed."""
    with log.open("w", encoding="utf-8") as out:
        status = subprocess.run(arguments, stdout=out, stderr=subprocess.STDOUT, cwd=log.parent, check=False).returncode
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    if status != 0:
        print("\n".join(lines[-400:]))
    else:
        print("\n".join(line for line in lines if "generated" in line or "checked" in line))
    return status


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--api", required=True)
    parser.add_argument("--metrics", required=True)
    parser.add_argument("--token-file", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--examples", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if not (BIN / "schemathesis").exists():
        print("SKIPPED: no environment for schemathesis (tests/peers/setup_venv.sh schemathesis)")
        return 77
    out = pathlib.Path(given.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    document = out / "openapi.json"
    with urllib.request.urlopen(given.api + "/openapi.json", timeout=20) as answer:
        document.write_text(json.dumps(json.load(answer)), encoding="utf-8")
    examples = run([str(BIN / "python"), "-c", CHECK_EXAMPLES, str(document)], out / "examples.log")

    # The token is in a file of the run, not in the list of processes.
    token = pathlib.Path(given.token_file).read_text(encoding="utf-8").strip()
    config = out / "schemathesis.toml"
    settings = (HERE / "schemathesis.toml").read_text(encoding="utf-8")
    settings = settings.replace('"schemathesis_hooks.py"', json.dumps(str(HERE / "schemathesis_hooks.py")))
    config.write_text(f'{settings}\n[headers]\nAuthorization = "Bearer {token}"\n', encoding="utf-8")
    common = [str(BIN / "schemathesis"), "--config-file", str(config), "run", str(document), "--checks", "all",
              "--max-examples", str(given.examples), "--workers", "1", "--seed", str(given.seed),
              "--continue-on-failure", "--no-color", "--report", "junit", "--generation-database", "none"]
    api = run([*common, "--url", given.api, "--exclude-path", "/metrics", "--phases", PHASES + ",stateful",
               "--report-dir", str(out / "api")], out / "api.log")
    # One operation alone has no links to follow.
    metrics = run([*common, "--url", given.metrics, "--include-path", "/metrics", "--phases", PHASES,
                   "--report-dir", str(out / "metrics")], out / "metrics.log")
    return 1 if examples or api or metrics else 0


if __name__ == "__main__":
    sys.exit(main())
