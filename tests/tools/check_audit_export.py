#!/usr/bin/env python3
"""Checks an export of the audit (NDJSON, one object a line) by itself: python3 check_audit_export.py FILE.

Recomputes every record's hash from the line alone, as src/store/sqlite/audit.hpp says, and holds each chain together.
Signatures of tombstones need the key and are not checked. Exit code 0: every chain holds.
"""
import hashlib
import json
import struct
import sys


def number(value):
    return struct.pack("<q", value)


def text(value):
    data = value if isinstance(value, bytes) else value.encode("utf-8")
    return number(len(data)) + data


def optional(value, encode):
    return b"\0" if value is None else b"\1" + encode(value)


def member(r, name):
    """The bytes of a text: where they are no UTF-8, the name with _hex has them."""
    return text(bytes.fromhex(r[name + "_hex"]) if name + "_hex" in r else r[name])


def record_hash(r):
    return hashlib.sha256(
        bytes.fromhex(r["previous_sha256"]) + member(r, "chain") + number(r["record"]) + number(r["at"])
        + member(r, "type") + member(r, "severity") + member(r, "actor")
        + optional(r["subject"], lambda v: text(bytes.fromhex(v))) + optional(r["detection"], number)
        + optional(r["detection_sha256"], lambda v: text(bytes.fromhex(v))) + member(r, "body")
    ).hexdigest()


def check(lines):
    heads, records = {}, 0
    for line in lines:
        r = json.loads(line)
        if "tombstone" in r:
            heads[r["tombstone"]] = (r["up_to_record"], r["head_sha256"])
            continue
        last, head = heads.get(r["chain"], (0, "0" * 64))
        where = f"chain {r['chain']}, record {r['record']}"
        if r["record"] != last + 1:
            return f"{where}: record {last + 1} is missing"
        if r["previous_sha256"] != head or record_hash(r) != r["sha256"]:
            return f"{where}: its hash does not fit"
        heads[r["chain"]] = (r["record"], r["sha256"])
        records += 1
    for chain, (last, head) in sorted(heads.items()):
        print(f"{chain}: up to record {last}, head {head}")
    print(f"{records} records hold")
    return None


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        sys.exit(check(file))
