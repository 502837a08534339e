#include "store/postgres/backend.hpp"

#include <algorithm>
#include <array>

#include "store/sql/audit.hpp"
#include "store/sql/detection_row.hpp"

namespace detection::store::postgres {
namespace {

using sql::Database;
using sql::Ledger;

/// Advisory locks of audit chains: this, and the chain's number.
constexpr std::int64_t kChainLock = 0x64657465;

PostgresConnection& postgres(Database& db) {
  return static_cast<PostgresConnection&>(db.connection());
}

Result<bool> try_lock(Database& db, std::int64_t chain) {
  auto q = db.query("SELECT pg_try_advisory_lock(?::integer, ?::integer)");
  auto row = q.bind(kChainLock).bind(chain).step();
  if (!row) return row;
  return q.integer(0) != 0;
}

Result<std::vector<std::pair<std::int64_t, std::string>>> chains_of(Database& db) {
  auto q = db.query("SELECT number, name FROM audit_chain ORDER BY number");
  std::vector<std::pair<std::int64_t, std::string>> out;
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return out;
    out.emplace_back(q.integer(0), q.text(1));
  }
}

}  // namespace

Result<std::string> take_chain(Database& db) {
  auto chains = chains_of(db);
  if (!chains) return std::unexpected(std::move(chains.error()));
  std::int64_t highest = 0;
  for (const auto& [number, name] : *chains) {
    highest = std::max(highest, number);
    auto locked = try_lock(db, number);
    if (!locked) return std::unexpected(std::move(locked.error()));
    if (*locked) return name;
  }
  // Others make one at the same time: whoever has the lock of a number may make its row.
  for (auto number = highest + 1;; ++number) {
    auto locked = try_lock(db, number);
    if (!locked) return std::unexpected(std::move(locked.error()));
    if (!*locked) continue;
    auto name = "writer-" + std::to_string(number);
    auto made = db.query("INSERT INTO audit_chain (number, name) VALUES (?, ?) ON CONFLICT DO NOTHING")
                    .bind(number)
                    .bind(name)
                    .run();
    if (!made) return std::unexpected(std::move(made.error()));
    return name;
  }
}

/// The rows of one commit, column by column.
class PostgresBackend::Rows {
 public:
  [[nodiscard]] Result<void> add(const sql::DetectionRow& row, std::int64_t key, const sql::AuditRecord& record,
                                 const Sha256& hash) {
    Columns columns(detections_);
    const auto measures = sql::packed_measures(row.located);
    if (auto done = sql::put_columns(row, measures, columns); !done) return done;
    audit_[0].add(key);
    audit_[1].add(record.at.count);
    audit_[2].add(record.type);
    audit_[3].add(record.severity);
    audit_[4].add(record.actor);
    audit_[5].add(*record.detection);
    audit_[6].add(*record.detection_sha256);
    audit_[7].add(record.body);
    audit_[8].add(std::span<const std::uint8_t>(hash));
    return {};
  }

  [[nodiscard]] Result<void> write(PostgresConnection& db) {
    if (detections_[0].size() == 0) return {};
    auto detections = db.statement("INSERT INTO detection (" DETECTION_INSERT_COLUMNS
                                   ") SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[], "
                                   "$5::bigint[], $6::bigint[], $7::float8[], $8::float8[], $9::float8[], "
                                   "$10::float8[], $11::float8[], $12::float8[], $13::text[], $14::text[], "
                                   "$15::text[], $16::text[], $17::text[], $18::text[], $19::bigint[], $20::bytea[], "
                                   "$21::bytea[], $22::bigint[], $23::text[])");
    if (!detections) return std::unexpected(std::move(detections.error()));
    auto audit = db.statement(
        "INSERT INTO audit (record, at, type, severity, actor, detection, detection_sha256, body, sha256) "
        "SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[], "
        "$7::bytea[], $8::text[], $9::bytea[])");
    if (!audit) return std::unexpected(std::move(audit.error()));
    for (int i = 0; i < static_cast<int>(detections_.size()); ++i)
      (*detections)->bind(i + 1, detections_[static_cast<std::size_t>(i)]);
    for (int i = 0; i < static_cast<int>(audit_.size()); ++i)
      (*audit)->bind(i + 1, audit_[static_cast<std::size_t>(i)]);
    const std::array both{*detections, *audit};
    auto done = db.run_together(both);
    (*detections)->reset();
    (*audit)->reset();
    return done;
  }

  void clear() {
    for (auto& column : detections_) column.clear();
    for (auto& column : audit_) column.clear();
  }

 private:
  using B = Element;
  std::array<ArrayBuffer, 23> detections_{
      ArrayBuffer(B::kInt8),   ArrayBuffer(B::kBytea),  ArrayBuffer(B::kInt8),   ArrayBuffer(B::kInt8),
      ArrayBuffer(B::kInt8),   ArrayBuffer(B::kInt8),   ArrayBuffer(B::kFloat8), ArrayBuffer(B::kFloat8),
      ArrayBuffer(B::kFloat8), ArrayBuffer(B::kFloat8), ArrayBuffer(B::kFloat8), ArrayBuffer(B::kFloat8),
      ArrayBuffer(B::kText),   ArrayBuffer(B::kText),   ArrayBuffer(B::kText),   ArrayBuffer(B::kText),
      ArrayBuffer(B::kText),   ArrayBuffer(B::kText),   ArrayBuffer(B::kInt8),   ArrayBuffer(B::kBytea),
      ArrayBuffer(B::kBytea),  ArrayBuffer(B::kInt8),   ArrayBuffer(B::kText)};
  std::array<ArrayBuffer, 9> audit_{ArrayBuffer(B::kInt8),  ArrayBuffer(B::kInt8), ArrayBuffer(B::kText),
                                    ArrayBuffer(B::kText),  ArrayBuffer(B::kText), ArrayBuffer(B::kInt8),
                                    ArrayBuffer(B::kBytea), ArrayBuffer(B::kText), ArrayBuffer(B::kBytea)};

  class Columns final : public sql::ColumnSink {
   public:
    explicit Columns(std::array<ArrayBuffer, 23>& columns) : columns_(columns) {}
    using ColumnSink::put;
    void put(std::int64_t value) override { next().add(value); }
    void put(double value) override { next().add(value); }
    void put(std::string_view text) override { next().add(text); }
    void put(std::span<const std::uint8_t> bytes) override { next().add(bytes); }
    void put_null() override { next().add_null(); }

   private:
    ArrayBuffer& next() { return columns_.at(next_++); }
    std::array<ArrayBuffer, 23>& columns_;
    std::size_t next_ = 0;
  };
};

PostgresBackend::PostgresBackend(ConnectOptions options, std::chrono::milliseconds commit_time,
                                 ConnectedListener connected)
    : options_(std::move(options)),
      commit_time_(commit_time),
      connected_(std::move(connected)),
      rows_(std::make_unique<Rows>()) {}

PostgresBackend::~PostgresBackend() = default;

Result<sql::Backend::Connected> PostgresBackend::reconnect() {
  auto connection = PostgresConnection::connect(options_);
  if (!connection) return std::unexpected(std::move(connection.error()));
  Connected out{Database(std::move(*connection)), {}};
  auto chain = take_chain(out.db);
  if (!chain) return std::unexpected(std::move(chain.error()));
  out.chain = std::move(*chain);
  if (auto done = connected_(out.db); !done) return std::unexpected(std::move(done.error()));
  return out;
}

Result<void> PostgresBackend::begin(Ledger& ledger) {
  auto& db = ledger.database();
  if (!ledger.knows_chain())
    if (auto done = ledger.load_chain(); !done) return done;
  auto q = db.query(
      "SELECT l.head, l.exceptional, l.mean_bytes, a.record, a.sha256 FROM log AS l LEFT JOIN LATERAL (SELECT record, "
      "sha256 FROM audit WHERE record > ? AND record < ? ORDER BY record DESC LIMIT 1) AS a ON true FOR UPDATE OF l");
  auto row =
      q.bind(sql::record_key(ledger.chain_number(), 0)).bind(sql::record_key(ledger.chain_number() + 1, 0)).step();
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row) return fail(ErrorCode::kStoreUnavailable, "the database has lost where its log ends; restore a backup");
  ledger.set_log(q.integer(0), q.integer(1), q.real(2));
  sql::ChainHead head;
  if (!q.is_null(3)) {
    head.number = sql::number_in_chain(q.integer(3));
    const auto hash = q.bytes(4);
    if (hash.size() != head.sha256.size())
      return fail(ErrorCode::kStoreUnavailable, "the head of the audit chain is damaged; restore from a backup");
    std::ranges::copy(hash, head.sha256.begin());
  }
  ledger.set_chain_head(head);
  return {};
}

Result<void> PostgresBackend::finish(Ledger& ledger) {
  const auto& state = ledger.state();
  return ledger.database()
      .query("UPDATE log SET head = ?, exceptional = ?, mean_bytes = ?, changes = changes + 1")
      .bind(state.head)
      .bind(state.exceptional)
      .bind(state.mean_bytes)
      .run();
}

Result<void> PostgresBackend::find_known(PostgresConnection& db, std::span<const Acceptance* const> items) {
  known_.clear();
  ids_.clear();
  for (const auto* item : items) ids_.add(std::span<const std::uint8_t>(item->located.id.bytes));
  auto statement = db.statement("SELECT id FROM detection WHERE id = ANY($1)");
  if (!statement) return std::unexpected(std::move(statement.error()));
  auto& q = **statement;
  q.bind(1, ids_);
  auto row = q.step();
  for (; row && *row; row = q.step()) {
    Uuid id;
    const auto bytes = q.bytes(0);
    if (bytes.size() == id.bytes.size()) std::ranges::copy(bytes, id.bytes.begin());
    known_.push_back(id);
  }
  q.reset();
  if (!row) return std::unexpected(std::move(row.error()));
  std::ranges::sort(known_);
  return {};
}

Result<std::vector<CommitResult>> PostgresBackend::accept(Ledger& ledger, std::span<const Acceptance* const> items,
                                                          UtcMicros now) {
  std::vector<CommitResult> results;
  if (items.empty()) return results;
  auto& db = postgres(ledger.database());
  if (auto done = find_known(db, items); !done) return std::unexpected(std::move(done.error()));
  const auto before = ledger.state().chain.number;
  rows_->clear();
  results.reserve(items.size());
  std::vector<std::size_t> later;  // those whose answer is what is stored
  // Several of one id may come at once.
  std::vector<Uuid> ids;
  for (const auto* item : items) ids.push_back(item->located.id);
  std::ranges::sort(ids);
  const bool twice = std::ranges::adjacent_find(ids) != ids.end();
  std::vector<Uuid> seen;
  const auto write_down = [this](const auto& row, std::int64_t key, const auto& record, const Sha256& hash) {
    return rows_->add(row, key, record, hash);
  };
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto& id = items[i]->located.id;
    const bool stored = std::ranges::binary_search(known_, id) || (twice && std::ranges::find(seen, id) != seen.end());
    if (stored) {
      later.push_back(i);
      results.emplace_back();
      continue;
    }
    if (twice) seen.push_back(id);
    auto result = ledger.accept_new(*items[i], now, write_down);
    if (!result) return std::unexpected(std::move(result.error()));
    results.push_back(std::move(*result));
  }
  if (auto done = rows_->write(db); !done) return std::unexpected(std::move(done.error()));
  for (const auto i : later) {
    auto result = ledger.repeated(*items[i]);
    if (!result) return std::unexpected(std::move(result.error()));
    results[i] = std::move(*result);
  }
  if (ledger.state().chain.number / sql::kRememberEvery != before / sql::kRememberEvery)
    if (auto done = ledger.remember_head(); !done) return std::unexpected(std::move(done.error()));
  return results;
}

Result<void> PostgresBackend::probe(Database& db) {
  return db.execute("UPDATE log SET changes = changes");
}

}  // namespace detection::store::postgres
