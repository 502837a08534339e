#include "store/sql/connection.hpp"

namespace detection::store::sql {

Query::Query(Result<Statement*> kept) {
  if (kept)
    statement_ = *kept;
  else
    failure_ = std::move(kept.error());
}

Query::Query(Result<std::unique_ptr<Statement>> own) {
  if (own) {
    own_ = std::move(*own);
    statement_ = own_.get();
  } else {
    failure_ = std::move(own.error());
  }
}

Result<void> Query::run() {
  while (true) {
    auto row = step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return {};
  }
}

Result<std::optional<std::int64_t>> Database::integer(std::string_view sql) {
  auto q = query(sql);
  auto row = q.step();
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row || q.is_null(0)) return std::nullopt;
  return q.integer(0);
}

Result<std::optional<std::string>> Database::text(std::string_view sql) {
  auto q = query(sql);
  auto row = q.step();
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row || q.is_null(0)) return std::nullopt;
  return std::string(q.text(0));
}

Result<Transaction> Transaction::begin(Database& db, TransactionKind kind) {
  if (auto begun = db.connection().begin(kind); !begun) return std::unexpected(std::move(begun.error()));
  return Transaction(db.connection());
}

Result<void> Transaction::commit() {
  auto done = connection_->commit();
  if (done) connection_ = nullptr;
  return done;
}

}  // namespace detection::store::sql
