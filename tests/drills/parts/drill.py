"""What a drill is, and what it says when it is over."""

import time
from typing import Callable, NamedTuple

from harness.child import Failure


class Drill(NamedTuple):
    name: str
    short: bool  # it is in ./test; the others only in ./test full
    function: Callable


class Drilled(NamedTuple):
    """recovery_point_s: how much of the time before the disaster was lost (0: nothing acknowledged was). recovery_s: until all was well again."""
    recovery_point_s: float
    recovery_s: float
    words: str


DRILLS: list[Drill] = []


def drill(name, *, short=False):
    def register(function):
        DRILLS.append(Drill(name, short, function))
        return function
    return register


def want(held, words):
    if not held:
        raise Failure(words)


class Loss:
    """What was acknowledged, held against what the store has after a disaster at `died`."""

    def __init__(self, stand, died):
        feeder, stored = stand.feeder, stand.stored()
        self.acknowledged = len(feeder.acknowledged)
        self.lost = {each: when for each, (when, _) in feeder.acknowledged.items() if each not in stored}
        self.spooled_lost = [each for each in self.lost if feeder.acknowledged[each][1] == 202]
        self.first = min(self.lost.values(), default=died)
        self.last = max(self.lost.values(), default=died)
        self.window_s = max(0.0, died - self.first)

    def words(self):
        return f"{len(self.lost)} of {self.acknowledged} acknowledged lost"

    def want_none(self):
        want(not self.lost, f"{self.words()}, acknowledged over {self.last - self.first:.1f} s")

    def want_only_since(self, moment, died, what):
        """Nothing of before `moment`, nothing of after the disaster, nothing that was answered 202."""
        want(self.lost, f"nothing was lost: the drill has shown no loss window ({self.words()})")
        want(self.first >= moment, f"{self.words()}; one of them had been acknowledged {moment - self.first:.2f} s before {what}")
        # An answer that was under way when the disaster came is read a little after it.
        want(self.last <= died + 1, f"{self.words()}; one of them was acknowledged {self.last - died:.2f} s after the disaster")
        want(not self.spooled_lost, f"{len(self.spooled_lost)} of the lost ones had been spooled")


def sent_again(stand):
    """The source sends all that it kept once more: harmless, and nothing is missing then. -> words"""
    feeder = stand.feeder
    statuses = feeder.post_again(feeder.kept)
    if stand.postgres:
        stand.wait_drained()  # a busy database may have been too slow for a part of them
    missing = set(feeder.kept) - stand.stored()
    want(set(statuses) <= {200, 201, 202} and not missing, f"sent again: {dict(statuses)}, {len(missing)} are missing")
    again = stand.wait_all_at_tak(feeder.kept)
    stand.audit_holds()
    spooled = f", {statuses[202]} into the spool first" if statuses[202] else ""
    return f"all {len(feeder.kept)} sent again: {statuses[201]} were new, {statuses[200]} known{spooled}; all at TAK, {again} of them more than once under one uid"


def wait(seconds):
    time.sleep(seconds)
    return time.time()
