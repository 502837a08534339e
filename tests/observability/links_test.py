#!/usr/bin/python3
"""Every relative link of the pages about observability leads to a file (and heading) that is there, every link of an alert to
its runbook and to a dashboard, and every command of a runbook is one that the program has. usage: links_test.py BINARY"""
import re
import subprocess
import sys

import yaml

import sources

PAGES = ["observability/**/*.md", "docs/observability.md", "docs/adrs/ADR-009-*.md"]
DASHBOARDS = {"detection-pipeline", "tak-integration", "infrastructure", "audit-trail"}


def anchors(path):
    """The anchors that a Markdown page has, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", text)).strip().lower().replace(" ", "-") for text in headings}


def link_faults(path):
    text = re.sub(r"^\s*```.*?^\s*```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        if not there.exists():
            yield f"{path.relative_to(sources.ROOT)}: {target} is not there"
        elif anchor and there.suffix == ".md" and anchor not in anchors(there):
            yield f"{path.relative_to(sources.ROOT)}: {target} has no such heading"


def alert_faults():
    links = yaml.safe_load((sources.OBSERVABILITY / "environments.yaml").read_text(encoding="utf-8"))["links"]
    uids = {board["uid"] for _, board in sources.dashboards()} or DASHBOARDS
    for name, (_, _, rule) in sources.alerts().items():
        runbook = rule["annotations"]["runbook_url"].removeprefix(links["runbooks"] + "/")
        board = rule["annotations"]["dashboard_url"].removeprefix(links["dashboards"] + "/")
        if not (sources.RUNBOOKS / runbook).exists():
            yield f"{name}: there is no runbook {runbook}"
        if board not in uids:
            yield f"{name}: there is no dashboard {board}"


def command_faults(binary):
    """`detection-api WORDS --option`: the words are subcommands, the options theirs."""
    pages = [*sorted(sources.RUNBOOKS.glob("*.md")), sources.ROOT / "docs/observability.md"]
    used = {match for path in pages for match in re.findall(r"detection-api ((?:[a-z]+ )*[a-z]+)\b((?: --[a-z-]+(?:[ =][^ |`\n]+)?)*)",
                                                           path.read_text(encoding="utf-8"))}
    for words, options in sorted(used):
        help_text, command = "", []
        for word in words.split():
            run = subprocess.run([binary, *command, word, "--help"], capture_output=True, text=True, check=False)
            if run.returncode != 0 or not run.stdout.startswith(("Usage", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ")):
                break
            command, help_text = [*command, word], run.stdout
        if not command and words.split()[0] in SUBCOMMANDS:
            yield f"detection-api {words}: no such subcommand"
        for option in re.findall(r"--[a-z-]+", options if command else ""):
            if option not in help_text:
                yield f"detection-api {' '.join(command)} has no option {option}"


# What a sentence may begin with after the program's name; anything else ("detection-api answers") is prose.
SUBCOMMANDS = {"serve", "locate", "token", "health", "smoke", "config", "migrate", "key", "audit", "slot", "tak", "backup", "restore", "verify"}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    pages = [path for pattern in PAGES for path in sorted(sources.ROOT.glob(pattern))]
    found = [fault for path in pages for fault in link_faults(path)]
    found += alert_faults()
    found += command_faults(sys.argv[1])
    print("\n".join(found), end="\n" if found else "")
    print(f"{len(pages)} pages; {len(found)} faults")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
