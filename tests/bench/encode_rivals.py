#!/usr/bin/python3
"""What pytak with takproto needs to encode the event that cot_bench encodes (tests/vectors/cot/vehicle.xml).

usage: encode_rivals.py [--seconds S]

Prints one line of JSON: {"protobuf": events/s, "xml": events/s, "bytes": of a frame}. From numbers and texts to an XML
element as pytak builds one, to its XML; takproto makes the stream frame of that, as pytak does with TAK_PROTO. One core.
Exit 77, with the reason: the environment of pytak is not there (tests/peers/setup_venv.sh pytak).
"""

import argparse
import json
import logging
import os
import pathlib
import sys
import time
import warnings
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".cache" / "venv" / "pytak" / "bin" / "python"
if not (PYTHON.parents[1] / ".requirements").exists():  # written by setup_venv.sh when all is there
    print("no environment of pytak; make it with tests/peers/setup_venv.sh pytak", file=sys.stderr)
    sys.exit(77)
if pathlib.Path(sys.prefix) != PYTHON.parents[1]:
    os.execv(PYTHON, [str(PYTHON), *sys.argv])

warnings.simplefilter("ignore")  # of its optional parts
logging.disable(logging.WARNING)
import pytak  # noqa: E402
import takproto  # noqa: E402
from takproto.constants import TAKProtoVer  # noqa: E402


class Event:
    """The event as a program would hold it before it is written."""

    def __init__(self, xml: bytes):
        event = ElementTree.fromstring(xml)
        times = {"time", "start", "stale"}
        self.attributes = {name: value for name, value in event.attrib.items() if name not in times}
        self.point = {name: float(value) for name, value in event.find("point").attrib.items()}
        self.children = [(child.tag, dict(child.attrib), child.text) for child in event.find("detail")]

    def xml(self) -> bytes:
        event = ElementTree.Element("event", self.attributes)
        now = pytak.cot_time()
        event.set("time", now)
        event.set("start", now)
        event.set("stale", pytak.cot_time(300))
        ElementTree.SubElement(event, "point", {name: str(value) for name, value in self.point.items()})
        detail = ElementTree.SubElement(event, "detail")
        for tag, attributes, text in self.children:
            ElementTree.SubElement(detail, tag, attributes).text = text
        return b"\n".join([pytak.DEFAULT_XML_DECLARATION, ElementTree.tostring(event)])

    def frame(self) -> bytes:
        return takproto.xml2proto(self.xml(), TAKProtoVer.STREAM)


def per_second(encode, seconds: float) -> float:
    """By CPU time, as the benchmark of our own encoder counts."""
    done, begin = 0, time.process_time()
    while True:
        for _ in range(50):
            encode()
        done += 50
        took = time.process_time() - begin
        if took >= seconds:
            return done / took


def main() -> int:
    options = argparse.ArgumentParser(description="the encoders of pytak and takproto, measured")
    options.add_argument("--seconds", type=float, default=1)
    seconds = options.parse_args().seconds
    event = Event((ROOT / "tests" / "vectors" / "cot" / "vehicle.xml").read_bytes())
    message = takproto.parse_proto(event.frame())
    assert message.cotEvent.uid == event.attributes["uid"] and "__detection" in message.cotEvent.detail.xmlDetail
    result = {
        "protobuf": per_second(event.frame, seconds),
        "xml": per_second(event.xml, seconds),
        "bytes": len(event.frame()),
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
