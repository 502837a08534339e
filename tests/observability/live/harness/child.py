"""Processes that end with this one, and what every part of a stand needs: a free port, waiting, failing in words."""

import ctypes
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Failure(Exception):
    """Why a stand cannot be what it should be, or a drill did not show what it should."""


class Skip(Exception):
    """What cannot be had on this machine."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(what, seconds, condition, every=0.1):
    """-> the first true answer of the condition."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
    return answer


def die_with_parent(number=signal.SIGKILL):
    """In a new process: it gets this signal when the thread that started it is gone."""
    _libc.prctl(PR_SET_PDEATHSIG, number)


class Child:
    """One process; its output is a file. It gets `at_death` when the thread that started it is gone: start it on one that stays."""

    def __init__(self, command, log, *, environment=None, at_death=signal.SIGKILL, directory=None):
        self.log = log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd=directory,
                start_new_session=True, preexec_fn=lambda: die_with_parent(at_death))

    @property
    def running(self):
        return self.process.poll() is None

    def end(self, number=signal.SIGTERM, grace=20):
        """Asks it to end, and ends it when it does not."""
        if self.running:
            self.process.send_signal(number)
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def output(self, most=2000):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()[-most:]
