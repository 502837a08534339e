"""taky, a real TAK server, and what came to it."""

import collections
import pathlib
import re
import subprocess
import sys

from harness.child import Failure, Skip
from harness.service import ROOT

UID = re.compile(r'<event [^>]*uid="DET\.([0-9a-f-]{36})"')


class Taky:
    def __init__(self, folder):
        self._folder = pathlib.Path(folder)
        self._process = subprocess.Popen([sys.executable, ROOT / "tests/peers/taky_server.py", "--dir", self._folder], stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said = self._process.stdout.readline().split()
        if not said or said[0] != "ready":
            _, why = self._process.communicate(timeout=60)
            raise (Skip if self._process.returncode == 77 else Failure)(why.strip().removeprefix("SKIPPED: "))
        self.port = int(said[1])

    def seen(self):
        """-> how often it took an event of each detection"""
        counts = collections.Counter()
        for file in (self._folder / "cot").glob("*"):
            counts.update(UID.findall(file.read_text(encoding="utf-8", errors="replace")))
        return counts

    def close(self):
        self._process.terminate()
        self._process.wait(30)
