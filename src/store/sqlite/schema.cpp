#include "store/sqlite/schema.hpp"

#include <sqlite3.h>

#include <array>
#include <chrono>
#include <thread>

#include "store/sqlite/limits.hpp"
#include "store/sqlite/sqlite_connection.hpp"

namespace detection::store::sqlite {
namespace {

constexpr std::array kSteps = {
    // 1: the ordered log, the audit chains, the sinks.
    R"sql(
-- The ordered log: one immutable row for each accepted detection. Times are microseconds since 1970 (UTC), angles
-- degrees, lengths metres. What lists filter by stands in front.
CREATE TABLE detection (
  seq INTEGER PRIMARY KEY,           -- gapless from 1, in the order of the commits
  id BLOB NOT NULL,                  -- UUID, 16 bytes
  disposition INTEGER NOT NULL,      -- 0 queue, 1 hold, 2 discard
  flag INTEGER NOT NULL,             -- 0 green, 1 yellow, 2 red
  observed INTEGER NOT NULL,
  received INTEGER NOT NULL,
  lat REAL NOT NULL,
  lon REAL NOT NULL,
  hae REAL NOT NULL,                 -- means nothing where bit 1 of marks is not set
  ce90 REAL,
  le90 REAL,
  ai_confidence REAL NOT NULL,
  object_class TEXT NOT NULL,
  source TEXT NOT NULL,
  camera_id TEXT NOT NULL,
  track_id TEXT,
  cot_uid TEXT NOT NULL,
  cot_type TEXT NOT NULL,
  marks INTEGER NOT NULL,            -- bit 0 exercise, 1 hae known, 2 grazing, 3 outside the image;
                                     -- bits 8-15 position source, bits 16-23 flag reasons
  measures BLOB NOT NULL,            -- 14 doubles, little-endian: pixel x, y; covariance ee, nn, uu, en, eu, nu (m2);
                                     -- ellipse major, minor, azimuth, probability; slant range; grazing angle
  content_sha256 BLOB NOT NULL,      -- of request_json
  accepted_in INTEGER NOT NULL,      -- audit.record of its acceptance
  request_json TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX detection_id ON detection(id);
CREATE INDEX detection_observed ON detection(observed);
-- Few rows; makes held ones quick to find and all of them quick to count.
CREATE INDEX detection_exceptional ON detection(disposition) WHERE disposition <> 0;
CREATE TRIGGER detection_is_immutable BEFORE UPDATE ON detection
  BEGIN SELECT raise(ABORT, 'a detection is never changed'); END;
CREATE TRIGGER detection_is_kept BEFORE DELETE ON detection
  BEGIN SELECT raise(ABORT, 'a detection is never deleted'); END;

CREATE TABLE audit_chain (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
-- One record for each audited thing. Its hash covers the hash before it and every column: see audit.hpp.
CREATE TABLE audit (
  record INTEGER PRIMARY KEY,        -- number of the chain * 2^40 + number within it (from 1, gapless)
  at INTEGER NOT NULL,
  type TEXT NOT NULL,
  severity TEXT NOT NULL,
  actor TEXT NOT NULL,
  subject BLOB,                      -- UUID of what it is about; not stated in acceptances
  detection INTEGER,                 -- acceptances: detection.seq
  detection_sha256 BLOB,             -- and the hash of that row: see detection_row.hpp
  body TEXT NOT NULL,                -- a JSON object
  sha256 BLOB NOT NULL
) STRICT;
CREATE INDEX audit_subject ON audit(subject) WHERE subject IS NOT NULL;
CREATE TRIGGER audit_is_immutable BEFORE UPDATE ON audit
  BEGIN SELECT raise(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
  BEGIN SELECT raise(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_chain_is_immutable BEFORE UPDATE ON audit_chain
  BEGIN SELECT raise(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_chain_is_kept BEFORE DELETE ON audit_chain
  BEGIN SELECT raise(ABORT, 'the audit is append-only'); END;

-- A sink's queue is the log behind its cursor, without what dead_letter and delivery name.
CREATE TABLE sink (
  number INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  start INTEGER NOT NULL,            -- it gets what lies behind this seq
  start_exceptional INTEGER NOT NULL,-- rows up to start that are not of disposition queue
  cursor INTEGER NOT NULL,           -- all up to here is done with
  delivered INTEGER NOT NULL         -- how many it has
) STRICT;
CREATE TABLE dead_letter (
  seq INTEGER NOT NULL,
  sink INTEGER NOT NULL,
  at INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (seq, sink)
) STRICT, WITHOUT ROWID;
-- What was delivered: the rows of disposition queue from first_seq to last_seq (ranges of one sink do not overlap).
CREATE TABLE delivery (
  sink INTEGER NOT NULL,
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  record INTEGER NOT NULL,           -- audit.record that says how and when
  PRIMARY KEY (sink, first_seq)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER delivery_is_immutable BEFORE UPDATE ON delivery
  BEGIN SELECT raise(ABORT, 'a delivery is never changed'); END;
CREATE TRIGGER delivery_is_kept BEFORE DELETE ON delivery
  BEGIN SELECT raise(ABORT, 'a delivery is never deleted'); END;

-- Written to after a failure, to learn whether the disk takes something again.
CREATE TABLE probe (number INTEGER PRIMARY KEY, payload BLOB NOT NULL) STRICT;
)sql",
    // 2: decisions on held detections, and what is due out of the order of the log.
    R"sql(
-- What people decided about held detections; the newest row of a detection counts.
CREATE TABLE decision (
  number INTEGER PRIMARY KEY,        -- in the order of the commits
  seq INTEGER NOT NULL,              -- detection.seq
  verified INTEGER NOT NULL,         -- 1 released, 0 rejected
  notes TEXT NOT NULL,
  actor TEXT NOT NULL,
  at INTEGER NOT NULL,
  record INTEGER NOT NULL,           -- audit.record that says so
  sinks INTEGER NOT NULL,            -- the highest sink.number there was: a release goes to those up to it
  track TEXT                         -- detection.cot_uid where others may share it
) STRICT;
CREATE INDEX decision_seq ON decision(seq);
CREATE INDEX decision_track ON decision(track, seq) WHERE track IS NOT NULL;
CREATE TRIGGER decision_is_immutable BEFORE UPDATE ON decision
  BEGIN SELECT raise(ABORT, 'a decision is never changed'); END;
CREATE TRIGGER decision_is_kept BEFORE DELETE ON decision
  BEGIN SELECT raise(ABORT, 'a decision is never deleted'); END;

-- What is due to a sink beside the log: released detections, delete events for rejected ones, dead letters once more.
-- A row stays until its event is known to be there.
CREATE TABLE retry (
  sink INTEGER NOT NULL,
  in_log INTEGER NOT NULL,           -- 1: of disposition queue (a dead letter once more), 0: it was held
  seq INTEGER NOT NULL,
  kind INTEGER NOT NULL,             -- 0 deliver, 1 take back
  at_tak INTEGER NOT NULL,           -- 1: TAK may have it; of held ones
  due INTEGER NOT NULL,              -- since when
  PRIMARY KEY (sink, in_log, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX retry_seq ON retry(seq);
-- The order in which they go out: people's decisions first, and of those what is taken back, so that it cannot take
-- away another detection of the same track.
CREATE INDEX retry_due ON retry(sink, in_log, kind DESC, seq);
-- Rows from before are of disposition queue: no other was ever due.
ALTER TABLE dead_letter ADD COLUMN in_log INTEGER NOT NULL DEFAULT 1;
-- How many deliveries of held detections it has had; `delivered` are those of the log.
ALTER TABLE sink ADD COLUMN delivered_late INTEGER NOT NULL DEFAULT 0;
-- Which detections of one track came later.
CREATE INDEX detection_track ON detection(cot_uid, seq) WHERE track_id IS NOT NULL AND disposition = 0;
)sql",
    // 3: what the audit remembers beside its chains, and credentials.
    R"sql(
-- The newest record of each chain that is known to have been written, so that an end that was cut off is missed: set at
-- each record that is no acceptance (an acceptance is remembered by its detection) and at each 1024th.
CREATE TABLE audit_head (
  chain INTEGER PRIMARY KEY,
  number INTEGER NOT NULL,
  sha256 BLOB NOT NULL
) STRICT;
INSERT INTO audit_head SELECT audit.record >> 40, audit.record & 0xffffffffff, audit.sha256
  FROM audit_chain JOIN audit ON audit.record =
    (SELECT max(record) FROM audit WHERE record > audit_chain.number << 40 AND record < (audit_chain.number + 1) << 40);
CREATE TRIGGER audit_head_goes_on BEFORE UPDATE ON audit_head
  WHEN new.chain <> old.chain OR new.number < old.number
  BEGIN SELECT raise(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_head_is_kept BEFORE DELETE ON audit_head
  BEGIN SELECT raise(ABORT, 'the audit is append-only'); END;

-- What stands for the pruned beginning of a chain; see Tombstone in store.hpp and tombstone.hpp.
CREATE TABLE audit_tombstone (
  chain INTEGER PRIMARY KEY,
  up_to INTEGER NOT NULL,
  head_sha256 BLOB NOT NULL,
  records INTEGER NOT NULL,
  detections INTEGER NOT NULL,
  detections_sha256 BLOB NOT NULL,
  pruned INTEGER NOT NULL,
  signature TEXT NOT NULL
) STRICT;
-- A tombstone names a record that is there and is not the last one; with it, the records up to that one may go.
CREATE TRIGGER audit_tombstone_fits BEFORE INSERT ON audit_tombstone
  WHEN new.signature = ''
    OR NOT EXISTS (SELECT 1 FROM audit WHERE record = (new.chain << 40) + new.up_to AND sha256 = new.head_sha256)
    OR NOT EXISTS (SELECT 1 FROM audit WHERE record = (new.chain << 40) + new.up_to + 1)
  BEGIN SELECT raise(ABORT, 'the tombstone does not fit the audit'); END;
CREATE TRIGGER audit_tombstone_goes_on BEFORE UPDATE ON audit_tombstone
  WHEN new.chain <> old.chain OR new.up_to <= old.up_to OR new.signature = ''
    OR NOT EXISTS (SELECT 1 FROM audit WHERE record = (new.chain << 40) + new.up_to AND sha256 = new.head_sha256)
    OR NOT EXISTS (SELECT 1 FROM audit WHERE record = (new.chain << 40) + new.up_to + 1)
  BEGIN SELECT raise(ABORT, 'the tombstone does not fit the audit'); END;
CREATE TRIGGER audit_tombstone_is_kept BEFORE DELETE ON audit_tombstone
  BEGIN SELECT raise(ABORT, 'the audit is append-only'); END;
DROP TRIGGER audit_is_kept;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
  WHEN NOT EXISTS
    (SELECT 1 FROM audit_tombstone WHERE chain = old.record >> 40 AND up_to >= old.record & 0xffffffffff)
  BEGIN SELECT raise(ABORT, 'the audit is append-only'); END;
-- Few beside the acceptances: lets a search for what is rare pass over them.
CREATE INDEX audit_other ON audit(record) WHERE detection IS NULL;

-- API keys; only hashes of their secrets. Times as everywhere.
CREATE TABLE api_key (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  secret_sha256 BLOB NOT NULL,
  previous_sha256 BLOB,
  previous_until INTEGER,
  scopes TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created INTEGER NOT NULL,
  rotated INTEGER,
  expires INTEGER,
  revoked INTEGER,
  last_used INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE revoked_token (
  jti TEXT PRIMARY KEY,
  until INTEGER NOT NULL             -- no token of it lives longer
) STRICT, WITHOUT ROWID;
)sql",
    // 4: what a sink's policy left out, and counts that no look at a queue has to make.
    R"sql(
-- What was left out for a sink: the rows of disposition queue from first_seq to last_seq. Ranges of one sink overlap
-- neither each other nor those of delivery.
CREATE TABLE omission (
  sink INTEGER NOT NULL,
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  reason INTEGER NOT NULL,           -- 0 filtered, 1 superseded, 2 stale
  record INTEGER NOT NULL,           -- audit.record that says so
  PRIMARY KEY (sink, first_seq)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER omission_is_immutable BEFORE UPDATE ON omission
  BEGIN SELECT raise(ABORT, 'an omission is never changed'); END;
CREATE TRIGGER omission_is_kept BEFORE DELETE ON omission
  BEGIN SELECT raise(ABORT, 'an omission is never deleted'); END;
-- Released ones that a sink's filter left out; a row goes when a person decides anew.
CREATE TABLE omission_late (
  sink INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  reason INTEGER NOT NULL,
  PRIMARY KEY (sink, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX omission_late_seq ON omission_late(seq);
CREATE INDEX dead_letter_sink ON dead_letter(sink, seq);

ALTER TABLE sink ADD COLUMN omitted INTEGER NOT NULL DEFAULT 0;      -- of the log
ALTER TABLE sink ADD COLUMN omitted_late INTEGER NOT NULL DEFAULT 0; -- of held ones
ALTER TABLE sink ADD COLUMN dead INTEGER NOT NULL DEFAULT 0;         -- its rows in dead_letter,
ALTER TABLE sink ADD COLUMN dead_in_log INTEGER NOT NULL DEFAULT 0;  -- and those of the log among them
ALTER TABLE sink ADD COLUMN waiting_late INTEGER NOT NULL DEFAULT 0; -- its rows of held ones in retry
UPDATE sink SET dead = (SELECT count(*) FROM dead_letter WHERE sink = number),
  dead_in_log = (SELECT count(*) FROM dead_letter WHERE sink = number AND in_log = 1),
  waiting_late = (SELECT count(*) FROM retry WHERE sink = number AND in_log = 0);
CREATE TRIGGER dead_letter_comes AFTER INSERT ON dead_letter
  BEGIN UPDATE sink SET dead = dead + 1, dead_in_log = dead_in_log + new.in_log WHERE number = new.sink; END;
CREATE TRIGGER dead_letter_goes AFTER DELETE ON dead_letter
  BEGIN UPDATE sink SET dead = dead - 1, dead_in_log = dead_in_log - old.in_log WHERE number = old.sink; END;
CREATE TRIGGER retry_comes AFTER INSERT ON retry WHEN new.in_log = 0
  BEGIN UPDATE sink SET waiting_late = waiting_late + 1 WHERE number = new.sink; END;
CREATE TRIGGER retry_goes AFTER DELETE ON retry WHEN old.in_log = 0
  BEGIN UPDATE sink SET waiting_late = waiting_late - 1 WHERE number = old.sink; END;
)sql",
    // 5: the release fence.
    R"sql(
-- Which slot's processes deliver; a process without a slot (all of this engine's) does not ask.
CREATE TABLE release (number INTEGER PRIMARY KEY CHECK (number = 1), active_slot TEXT NOT NULL) STRICT;
)sql",
    // 6: what backups say of themselves, for the metrics of those that serve.
    R"sql(
-- The newest time of each kind: made, verified. No part of the record: a snapshot does not hold it.
CREATE TABLE backup_result (kind TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
)sql",
};

std::unexpected<Error> refuse(const std::filesystem::path& file, const std::string& why) {
  return fail(ErrorCode::kConfiguration, file.string() + ": " + why);
}

/// `PRAGMA name = value`, then reads it back: an asked-for durability that is not there must not go unnoticed.
Result<void> set(Database& db, const std::string& name, std::int64_t value) {
  if (auto done = db.execute("PRAGMA " + name + " = " + std::to_string(value)); !done) return done;
  auto now = db.integer("PRAGMA " + name);
  if (!now) return std::unexpected(std::move(now.error()));
  if (*now != value)
    return fail(ErrorCode::kStoreUnavailable, "the database did not take the setting " + name + " = " +
                                                  std::to_string(value) + " (it is " +
                                                  (*now ? std::to_string(**now) : std::string("unset")) + ")");
  return {};
}

/// What the journal is then. Another process that makes the same file is in the way without SQLite waiting for it.
Result<std::optional<std::string>> write_ahead_log(Database& db) {
  const auto until = std::chrono::steady_clock::now() + limits::kLockWait;
  while (true) {
    auto mode = db.text("PRAGMA journal_mode = WAL");
    if (mode || sqlite3_errcode(handle(db)) != SQLITE_BUSY || std::chrono::steady_clock::now() > until) return mode;
    std::this_thread::sleep_for(limits::kTurnPoll);
  }
}

Result<void> configure(Database& db, Access access) {
  using Setting = std::pair<const char*, std::int64_t>;
  const bool writer = access == Access::kCreate;
  const Setting all[] = {{"busy_timeout", limits::kLockWait.count()},
                         {"cache_size", -(writer ? limits::kWriterCacheKib : limits::kReaderCacheKib)}};
  for (const auto& [name, value] : all)
    if (auto done = set(db, name, value); !done) return done;
  if (!writer) return set(db, "query_only", 1);

  auto mode = write_ahead_log(db);
  if (!mode) return std::unexpected(std::move(mode.error()));
  if (*mode != "wal")
    return fail(ErrorCode::kStoreUnavailable, "the database cannot use a write-ahead log (is the disk a local one?)");
  constexpr std::int64_t kFull = 2, kMemory = 2;
  const Setting writing[] = {{"synchronous", kFull},
                             {"foreign_keys", 1},
                             {"recursive_triggers", 1},  // so that REPLACE meets the triggers too
                             {"temp_store", kMemory},
                             {"secure_delete", 0},
                             {"journal_size_limit", limits::kJournalBytesKept},
                             {"wal_autocheckpoint", 0}};
  for (const auto& [name, value] : writing)
    if (auto done = set(db, name, value); !done) return done;
  return {};
}

Result<std::int64_t> number_of(Database& db, std::string_view pragma) {
  auto value = db.integer(pragma);
  if (!value) return std::unexpected(std::move(value.error()));
  return value->value_or(0);
}

/// Whose file is it, and how old?
Result<std::int64_t> identify(Database& db, const std::filesystem::path& file) {
  // One snapshot: another process may be making the database between two of these.
  auto snapshot = Transaction::begin(db, TransactionKind::kRead);
  if (!snapshot) return std::unexpected(std::move(snapshot.error()));
  auto application = number_of(db, "PRAGMA application_id"), version = number_of(db, "PRAGMA user_version"),
       tables = number_of(db, "SELECT count(*) FROM sqlite_master");
  for (auto* value : {&application, &version, &tables})
    if (!*value) return fail((*value).error().code, file.string() + ": " + (*value).error().detail);
  const bool empty = *application == 0 && *version == 0 && *tables == 0;
  if (!empty && *application != kApplicationId) return refuse(file, "is a database of another program");
  if (*version > schema_version())
    return refuse(file, "has schema version " + std::to_string(*version) + ", this program knows versions up to " +
                            std::to_string(schema_version()) + "; use the newer program");
  return version;
}

/// All steps or none, so that no other process ever sees a version in between.
Result<void> migrate(Database& db) {
  auto transaction = Transaction::begin(db, TransactionKind::kWrite);
  if (!transaction) return std::unexpected(std::move(transaction.error()));
  // Another process may have done it while this one waited for the lock.
  auto version = number_of(db, "PRAGMA user_version");
  if (!version) return std::unexpected(std::move(version.error()));
  if (*version >= schema_version()) return {};
  for (auto step = *version + 1; step <= schema_version(); ++step)
    if (auto done = db.execute(schema_step(step)); !done) return done;
  if (auto done = db.execute("PRAGMA user_version = " + std::to_string(schema_version()) +
                             "; PRAGMA application_id = " + std::to_string(kApplicationId));
      !done)
    return done;
  return transaction->commit();
}

}  // namespace

std::int64_t schema_version() noexcept {
  return static_cast<std::int64_t>(kSteps.size());
}

std::string_view schema_step(std::int64_t number) noexcept {
  return kSteps.at(static_cast<std::size_t>(number - 1));
}

Result<Database> connect(const std::filesystem::path& file, Access access) {
  auto db = open_database(file, access);
  if (!db) return fail(db.error().code, file.string() + ": " + db.error().detail);
  if (auto done = set(*db, "busy_timeout", limits::kLockWait.count()); !done)
    return std::unexpected(std::move(done.error()));
  auto version = identify(*db, file);
  if (!version) return std::unexpected(std::move(version.error()));
  if (*version == 0 && access != Access::kCreate)
    return refuse(
        file,
        "is empty; if it was not before, restore it from a backup before `detection-api serve` makes a new one of it");
  if (*version < schema_version() && access != Access::kCreate)
    return refuse(file, "has schema version " + std::to_string(*version) + ", this program needs " +
                            std::to_string(schema_version()) +
                            "; `detection-api serve` brings it there when it starts");
  if (auto done = configure(*db, access); !done) return std::unexpected(std::move(done.error()));
  if (*version < schema_version())
    if (auto done = migrate(*db); !done) return std::unexpected(std::move(done.error()));
  return db;
}

}  // namespace detection::store::sqlite
