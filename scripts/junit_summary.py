#!/usr/bin/python3
"""Counts a JUnit file of ctest.

usage: junit_summary.py FILE

stdout: "PASSED FAILED SKIPPED". stderr: each skipped test with its reason, each failed one with the end of its output.
"""

import sys
import xml.etree.ElementTree as ElementTree

LINES_SHOWN = 30


def output_of(case: ElementTree.Element) -> list[str]:
    return (case.findtext("system-out") or "").strip().splitlines()


def skip_reason(case: ElementTree.Element) -> str:
    lines = output_of(case)
    for at, line in enumerate(lines):
        if line.endswith("Skipped") and at + 1 < len(lines):
            return lines[at + 1].strip()
    skipped = case.find("skipped")
    return (skipped.get("message") or "no reason given") if skipped is not None else case.get("status", "")


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__, file=sys.stdout if sys.argv[1:2] in (["-h"], ["--help"]) else sys.stderr)
        return 0 if len(sys.argv) == 2 else 2
    passed = failed = skipped = 0
    for case in ElementTree.parse(sys.argv[1]).getroot().iter("testcase"):
        name = case.get("name")
        if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
            failed += 1
            print(f"  FAILED {name} ({case.get('time')} s)", file=sys.stderr)
            for line in output_of(case)[-LINES_SHOWN:]:
                print(f"    {line[:300]}", file=sys.stderr)
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            skipped += 1
            print(f"  SKIPPED {name}: {skip_reason(case)}", file=sys.stderr)
        else:
            passed += 1
    print(passed, failed, skipped)
    return 0


if __name__ == "__main__":
    sys.exit(main())
