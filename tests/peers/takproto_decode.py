#!/usr/bin/python3
"""Decodes TAK Protocol v1 with takproto (other people's code and schema) for a test.

usage: takproto_decode.py FILE

FILE has a frame or a datagram in hexadecimal on each line; a line of JSON is printed for each: the fields that are set,
by takproto's own names, or {"error": why}.
Exit 77: the environment of pytak is not there (tests/peers/setup_venv.sh pytak).
"""

import json
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".cache" / "venv" / "pytak" / "bin" / "python"
if not (PYTHON.parents[1] / ".requirements").exists():  # written by setup_venv.sh when all is there
    print(f"SKIPPED: {PYTHON.parents[1]} is not there; run tests/peers/setup_venv.sh pytak", file=sys.stderr)
    sys.exit(77)
if pathlib.Path(sys.prefix) != PYTHON.parents[1]:
    os.execv(PYTHON, [str(PYTHON), *sys.argv])

import takproto  # noqa: E402


def fields(message) -> dict:
    result = {}
    for descriptor, value in message.ListFields():
        result[descriptor.name] = fields(value) if descriptor.message_type else value
    return result


def main() -> int:
    for line in pathlib.Path(sys.argv[1]).read_text(encoding="ascii").splitlines():
        try:
            print(json.dumps(fields(takproto.parse_proto(bytearray.fromhex(line)))))
        except Exception as error:  # whatever it is, the test has to see it
            print(json.dumps({"error": repr(error)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
