"""A volume fills while detections come: what is refused says so, nothing acknowledged is lost, and it goes on by itself when there is room."""

import errno
import os
import time

from parts.drill import Drilled, Loss, drill, want, wait
from parts.stand import Stand

MIB = 1 << 20
VOLUME_MIB = 64


def fill(volume):
    """-> a file that takes all the room there is; of one that is there: what has come free since"""
    ballast = volume / "ballast"
    with open(ballast, "ab", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * MIB)
        except OSError as problem:
            if problem.errno != errno.ENOSPC:
                raise
    return ballast


def fill_and_make_room(stand, feeder, world, expected):
    """-> (seconds from the room to the next acknowledgement, words)"""
    ballast = fill(stand.data)
    feeder.wait_for(507, 30, "a detection is refused for want of room")
    for _ in range(3):  # what a checkpoint gave back is taken too
        wait(world.long(5))
        fill(stand.data)
    want("capacity_exceeded" in feeder.problems.get(507, ""), f"a refusal did not say why: {feeder.problems}")
    want(set(feeder.refused) == {507}, f"not only 507: {dict(feeder.refused)}, {feeder.problems}")
    os.unlink(ballast)
    return feeder.wait_for(expected, 60, "a detection is taken again")


@drill("volume-full", short=True)
def volume_full(world):
    """The edge's data volume (64 MiB of its own) is full: 507, reads go on, and it goes on by itself."""
    with Stand(service=False) as stand:
        stand.mount(VOLUME_MIB)
        stand.service.start()
        feeder = stand.feed()
        wait(world.long(5))
        took = fill_and_make_room(stand, feeder, world, 201)
        wait(1)
        feeder.stop()
        # What is on the disk is what was acknowledged: the process goes too.
        died = time.time()
        stand.service.kill()
        stand.service.start()
        loss = Loss(stand, died)
        loss.want_none()
        twice = stand.wait_all_at_tak(feeder.acknowledged)
        stand.audit_holds()
        return Drilled(0, took, f"{loss.words()}, also after a SIGKILL; {feeder.refused[507]} refused, each with 507 capacity_exceeded; the first one taken "
                                f"{took:.1f} s after there was room; all at TAK, {twice} twice")


@drill("spool-full")
def spool_full(world):
    """PostgreSQL is away and the spool's volume is full as well: 507, and both go on by themselves."""
    with Stand(postgres=(), service=False) as stand:
        stand.mount(VOLUME_MIB)
        stand.service.start()
        feeder = stand.feed()
        stand.postgres.kill()
        feeder.wait_for(202, 20, "a detection goes into the spool")
        wait(world.long(5))
        took = fill_and_make_room(stand, feeder, world, 202)
        stand.postgres.start()
        feeder.wait_for(201, 60, "a detection is in the database again")
        feeder.stop()
        stand.wait_drained()
        loss = Loss(stand, time.time())
        loss.want_none()
        twice = stand.wait_all_at_tak(feeder.acknowledged)
        stand.audit_holds()
        return Drilled(0, took, f"{loss.words()}; {feeder.refused[507]} refused, each with 507 capacity_exceeded; the first one spooled {took:.1f} s after there was "
                                f"room; all at TAK, {twice} twice")
