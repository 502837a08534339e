"""A change of the schema that goes wrong: it fails in the middle, it is of a newer program, or it was applied and is wrong."""

import contextlib
import sqlite3
import time

from parts.drill import Drilled, Loss, drill, sent_again, wait, want
from parts.stand import DATABASE, Stand

# How the newest step of each engine is undone, so that it can be made to fail: with a new step, a new line.
UNDO_POSTGRES = {2: "DROP TABLE backup_result"}
UNDO_SQLITE = {6: ("DROP TABLE release", "PRAGMA user_version = 4")}  # steps 5 and 6: 5 can be done, and 6 finds its table there

# A database that refuses to grant: the step creates its table, and then fails.
OBSTACLE = """
CREATE ROLE reader; GRANT SELECT ON release TO reader;
CREATE FUNCTION refuse_grant() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no grants in this drill'; END $$;
CREATE EVENT TRIGGER obstacle ON ddl_command_start WHEN TAG IN ('GRANT') EXECUTE FUNCTION refuse_grant();
"""


def undo(steps, known):
    want(known in steps, f"schema step {known} is new: write down in bad_migration.py how it is undone")
    return steps[known]


@drill("bad-migration")
def bad_migration(world):
    """PostgreSQL: a step that fails in the middle is rolled back while what serves goes on; a schema too new is refused; a wrong one applied: back by the snapshot."""
    with Stand(postgres=()) as stand:
        def sql(statement):
            return stand.postgres.sql(statement, database=DATABASE)
        feeder, known = stand.feed(), int(sql("SELECT version FROM schema_version"))

        # It fails in the middle: what serves is of the version behind, and goes on.
        sql(OBSTACLE + undo(UNDO_POSTGRES, known) + f"; UPDATE schema_version SET version = {known - 1}")
        failed = stand.run("migrate", *stand.place)
        want(failed.returncode == 1, f"migrate ended with {failed.returncode}: {failed.stdout}{failed.stderr}")
        want(sql("SELECT version FROM schema_version") == str(known - 1) and sql("SELECT to_regclass('backup_result')") == "", "a part of the failed step has stayed")
        feeder.wait_for(201, 5, "a detection is taken after the failed step")
        sql("DROP EVENT TRIGGER obstacle")
        stand.command("migrate", *stand.place)
        want(sql("SELECT version FROM schema_version") == str(known), "the step is not there after the second try")

        # It is too new for this program: that does not come up; what serves goes on.
        sql(f"UPDATE schema_version SET version = {known + 2}")
        said = stand.refused_start()
        want(f"schema version {known + 2}" in said, f"the refusal does not name the version: {said[-400:]}")
        sql(f"UPDATE schema_version SET version = {known}")
        wait(world.long(5))
        want(not feeder.refused, f"until here nothing should have been refused: {dict(feeder.refused)}, {feeder.problems}")

        # It was applied, and is wrong: the column is gone for ever. The snapshot was made before it, as before every release.
        snapshot, began_backup = stand.backup()
        wait(world.long(5))
        sql("ALTER TABLE detection DROP COLUMN measures")
        wrong = time.time()
        feeder.wait_for(202, 20, "a detection goes into the spool")
        began = time.monotonic()
        stand.set_the_database_aside("detections_wrong")
        stand.put_in_place_of_the_database(snapshot)
        feeder.wait_for(201, 60, "a detection is in the database again")
        stand.wait_drained()
        took = time.monotonic() - began
        feeder.stop()
        stand.wait_drained()
        loss = Loss(stand, wrong)
        loss.want_only_since(began_backup, wrong, "the snapshot")
        words = sent_again(stand)
        return Drilled(wrong - began_backup, took, f"failed in the middle: rolled back, 0 refused, the second try done; version {known + 2}: refused by name; wrong: "
                                                   f"{loss.words()}, each acknowledged in the {wrong - began_backup:.1f} s after the snapshot; {words}")


def looked_at(file):
    """-> (version, tables, detections) of the file, which is sound"""
    with contextlib.closing(sqlite3.connect(file)) as db:
        sound = db.execute("PRAGMA integrity_check").fetchone()[0]
        want(sound == "ok", f"the file is damaged: {sound}")
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return db.execute("PRAGMA user_version").fetchone()[0], tables, db.execute("SELECT count(*) FROM detection").fetchone()[0]


def changed(file, *statements):
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)
    return looked_at(file)


@drill("bad-migration-edge")
def bad_migration_edge(world):
    """SQLite: steps that fail in the middle are rolled back as one; a file too new is refused untouched; a wrong one applied: back by the snapshot."""
    with Stand() as stand:
        feeder, file = stand.feed(), stand.service.store
        wait(world.long(5))
        snapshot, began_backup = stand.backup()
        wait(world.long(5))
        stand.service.stop()
        feeder.stop()
        wrong = time.time()
        known, _, count = looked_at(file)

        before = changed(file, *undo(UNDO_SQLITE, known))
        said = stand.refused_start()
        want(looked_at(file) == before, f"the failed steps left something: {looked_at(file)}, before {before}; {said[-300:]}")
        changed(file, "DROP TABLE backup_result")
        stand.service.start()
        stand.service.stop()
        want(looked_at(file)[0] == known and looked_at(file)[2] == count, f"after the second try: {looked_at(file)}")

        before = changed(file, f"PRAGMA user_version = {known + 1}")
        said = stand.refused_start()
        want(f"schema version {known + 1}" in said and looked_at(file) == before, f"the refusal does not name the version: {said[-400:]}")
        changed(file, f"PRAGMA user_version = {known}")
        stand.service.start()
        Loss(stand, wrong).want_none()
        stand.service.stop()

        # Wrong, and applied: every detection's request is gone.
        changed(file, "DROP TRIGGER IF EXISTS detection_is_kept", "ALTER TABLE detection DROP COLUMN request_json")
        began = time.monotonic()
        stand.command("restore", snapshot, *stand.place, "--replace")
        stand.service.start()
        took = time.monotonic() - began
        loss = Loss(stand, wrong)
        loss.want_only_since(began_backup, wrong, "the snapshot")
        words = sent_again(stand)
        aside = list(stand.data.glob("detections.db.before-*"))
        want(len(aside) == 1, f"the wrong file was not set aside: {aside}")
        return Drilled(wrong - began_backup, took, f"failed in the middle: rolled back, 0 lost; version {known + 1}: refused by name; wrong: {loss.words()}, each acknowledged in "
                                                   f"the {wrong - began_backup:.1f} s after the snapshot; {words}")
