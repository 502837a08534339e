"""The database is lost: its server for a while, or its data for ever."""

import shutil
import time

from harness.child import wait_until
from harness.postgres import PostgresServer

from parts.drill import Drilled, Loss, drill, sent_again, wait, want
from parts.stand import Stand


@drill("postgres-dies")
def postgres_dies(world):
    """PostgreSQL gets SIGKILL and comes back: the spool holds what comes meanwhile, nothing acknowledged is lost."""
    with Stand(postgres=()) as stand:
        feeder = stand.feed()
        wait(world.long(10))
        died = time.time()
        stand.postgres.kill()
        feeder.wait_for(202, 20, "a detection goes into the spool")
        noticed = feeder.first(202) - died
        wait(world.long(30))
        spooled = stand.metric("spool_size")
        began = time.monotonic()
        stand.postgres.start()
        again = feeder.wait_for(201, 60, "a detection is in the database again")
        stand.wait_drained()
        took = time.monotonic() - began
        wait(1)
        feeder.stop()
        stand.wait_drained()
        loss = Loss(stand, died)
        loss.want_none()
        want(feeder.count(202) > 0 and spooled > 0, "nothing was spooled: the drill has shown nothing")
        refused = sum(feeder.refused.values())
        want(refused == 0, f"{refused} requests were not acknowledged: {dict(feeder.refused)}, {feeder.problems}")
        twice = stand.wait_all_at_tak(feeder.acknowledged)
        stand.audit_holds()
        return Drilled(0, took, f"{loss.words()} ({feeder.count(202)} went into the spool, the first {noticed:.1f} s after the SIGKILL), 0 refused; "
                                f"the database took detections {again:.1f} s after its start, the spool was empty after {took:.1f} s; all at TAK, {twice} twice")


@drill("postgres-lost", short=True)
def postgres_lost(world):
    """PostgreSQL's data is gone: the newest snapshot is restored beside and given the name, the spool drains into it. Lost: what came after the snapshot."""
    with Stand(postgres=()) as stand:
        feeder = stand.feed()
        wait(world.long(10))
        snapshot, began_backup = stand.backup()
        wait(world.long(30))
        stand.postgres.kill()
        died = time.time()
        shutil.rmtree(stand.postgres.folder)
        feeder.wait_for(202, 20, "a detection goes into the spool")
        began = time.monotonic()
        stand.postgres = stand.held(PostgresServer(stand.postgres.folder, ["fsync=on"], port=stand.postgres.port))
        stand.put_in_place_of_the_database(snapshot)
        feeder.wait_for(201, 60, "a detection is in the database again")
        stand.wait_drained()
        took = time.monotonic() - began
        wait(1)
        feeder.stop()
        stand.wait_drained()
        loss = Loss(stand, died)
        loss.want_only_since(began_backup, died, "the snapshot")
        want(feeder.count(202) > 0, "nothing was spooled: the drill has shown nothing")
        stand.audit_holds()
        words = sent_again(stand)
        return Drilled(died - began_backup, took, f"{loss.words()}, each of them acknowledged in the {died - began_backup:.1f} s between the snapshot and the loss; "
                                                  f"all {feeder.count(202)} of the spool are there; {words}")


@drill("sqlite-lost", short=True)
def sqlite_lost(world):
    """The volume of the edge is gone with the process: the newest snapshot is restored. Lost: what came after the snapshot."""
    with Stand() as stand:
        feeder = stand.feed()
        wait(world.long(10))
        snapshot, began_backup = stand.backup()
        wait(world.long(30))
        stand.service.kill()
        died = time.time()
        shutil.rmtree(stand.data)
        began = time.monotonic()
        stand.command("restore", snapshot, *stand.place)
        stand.service.start()
        feeder.wait_for(201, 60, "a detection is taken again")
        took = time.monotonic() - began
        wait(1)
        feeder.stop()
        loss = Loss(stand, died)
        loss.want_only_since(began_backup, died, "the snapshot")
        words = sent_again(stand)
        return Drilled(died - began_backup, took, f"{loss.words()}, each of them acknowledged in the {died - began_backup:.1f} s between the snapshot and the loss; "
                                                  f"{sum(feeder.refused.values())} had no answer meanwhile; {words}")


@drill("sqlite-killed")
def sqlite_killed(world):
    """The edge's process gets SIGKILL under load; its volume stays: nothing acknowledged is lost."""
    with Stand() as stand:
        feeder = stand.feed()
        wait(world.long(10))
        stand.service.kill()
        died, began = time.time(), time.monotonic()
        stand.service.start()
        feeder.wait_for(201, 60, "a detection is taken again")
        took = time.monotonic() - began
        feeder.stop()
        loss = Loss(stand, died)
        loss.want_none()
        wait_until("nothing waits for TAK", 60, lambda: stand.metric('offline_queue_size{sink="tak"}') == 0)
        words = sent_again(stand)
        return Drilled(0, took, f"{loss.words()}; {words}")
