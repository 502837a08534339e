#include "store/postgres/postgres_connection.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <charconv>

namespace detection::store::postgres {
namespace {

constexpr std::string_view kBeginRead = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
// Not READ WRITE: that would overrule a database that was made read-only, as hosts of databases do when a disk is full.
constexpr std::string_view kBeginWrite = "BEGIN ISOLATION LEVEL READ COMMITTED";
constexpr std::string_view kCommit = "COMMIT";
constexpr std::chrono::milliseconds kRollbackTime{500};
constexpr std::size_t kMostVariants = 16;  // of one statement; more are prepared for one execution

constexpr int kBinary = 1;

std::string_view begin_text(sql::TransactionKind kind) {
  return kind == sql::TransactionKind::kRead ? kBeginRead : kBeginWrite;
}

Failure refused(std::string_view why) {
  return {{ErrorCode::kInternal, "the store: " + std::string(why)}, Trouble::kRefused, false, {}};
}

bool is_success(const pg_result* result) {
  const auto status = PQresultStatus(result);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

bool is_commit(const pg_result* result) {
  // A transaction in which a statement failed is answered with ROLLBACK.
  return std::string_view(PQcmdStatus(const_cast<pg_result*>(result))) == kCommit;
}

Failure not_committed() {
  return {{ErrorCode::kStoreUnavailable, "the store: an earlier statement of the transaction failed"},
          Trouble::kRefused,
          false,
          {}};
}

}  // namespace

std::unexpected<Error> PostgresConnection::note(Failure failure) {
  trouble_ = failure.trouble;
  sqlstate_ = failure.sqlstate;
  if (failure.lost) link_.close();
  if (failure.trouble == Trouble::kReadOnly && !options_.read_only && !reading_) broken_ = true;
  return std::unexpected(std::move(failure.error));
}

Outcome<void> PostgresConnection::ready(const Limit& limit) const {
  if (broken()) return std::unexpected(connection_lost());
  if (!limit.over()) return {};
  auto failure = limit.failure();
  failure.lost = false;  // nothing was sent
  return std::unexpected(std::move(failure));
}

Result<PostgresStatement*> PostgresConnection::statement(std::string_view sql) {
  if (broken()) return note(connection_lost());
  if (sql.contains('\0')) return note(refused("the text of a statement has a NUL"));
  auto found = statements_.find(sql);
  if (found == statements_.end())
    found = statements_.emplace(sql, std::make_unique<PostgresStatement>(*this, sql, true)).first;
  return found->second.get();
}

Result<std::unique_ptr<sql::Statement>> PostgresConnection::prepare_once(std::string_view sql) {
  if (broken()) return note(connection_lost());
  if (sql.contains('\0')) return note(refused("the text of a statement has a NUL"));
  return std::make_unique<PostgresStatement>(*this, sql, false);
}

Result<void> PostgresConnection::execute(std::string_view sql) {
  const auto limit = this->limit();
  if (auto can = ready(limit); !can) return note(std::move(can.error()));
  auto done = link_.simple(std::string(sql), limit);
  if (!done) return note(std::move(done.error()));
  if (PQresultStatus(done->get()) == PGRES_COPY_IN) {
    link_.close();
    return note(refused("a COPY needs its data"));
  }
  count_changes(done->get());
  return {};
}

Result<void> PostgresConnection::begin(sql::TransactionKind kind) {
  if (in_transaction()) return note(refused("a transaction is open already"));
  reading_ = kind == sql::TransactionKind::kRead;
  return execute(begin_text(kind));
}

Result<void> PostgresConnection::commit() {
  return commit_with({});
}

void PostgresConnection::rollback() noexcept {
  if (!in_transaction()) return;
  // Its own time: the deadline of what failed may be why it is rolled back.
  if (broken_ || !link_.simple("ROLLBACK", Limit(kRollbackTime)) || in_transaction()) link_.close();
}

bool PostgresConnection::in_transaction() const noexcept {
  if (!link_.is_open()) return false;
  const auto state = PQtransactionStatus(link_.get());
  return state != PQTRANS_IDLE && state != PQTRANS_UNKNOWN;
}

Result<bool> PostgresConnection::begin_with(sql::TransactionKind kind, PostgresStatement& first) {
  if (in_transaction()) return note(refused("a transaction is open already"));
  reading_ = kind == sql::TransactionKind::kRead;
  PostgresStatement* const statement = &first;
  if (auto done = travel({begin_text(kind), {&statement, 1}, {}}); !done) {
    rollback();
    return std::unexpected(std::move(done.error()));
  }
  return first.step();
}

Result<void> PostgresConnection::run_together(std::span<PostgresStatement* const> statements) {
  return travel({{}, statements, {}});
}

Result<void> PostgresConnection::commit_with(std::span<PostgresStatement* const> statements) {
  commit_in_doubt_ = false;
  if (broken()) return note(connection_lost());
  // The server would only warn.
  if (!in_transaction()) return note(refused("there is no transaction to commit"));
  return travel({{}, statements, kCommit});
}

Result<void> PostgresConnection::travel(const Trip& trip) {
  for (const auto* one : trip.statements)
    if (one->refusal_) return note({*one->refusal_, Trouble::kRefused, false, {}});
  const auto limit = this->limit();
  if (auto can = ready(limit); !can) return note(std::move(can.error()));
  for (auto* one : trip.statements) {
    one->result_.reset();
    one->row_ = -1;
  }
  commit_in_doubt_ = !trip.after.empty();  // until it is answered
  if (!queue(trip)) return note(connection_lost());
  auto done = link_.flush(limit);
  if (done) done = collect(trip, limit);
  if (!done) return note(std::move(done.error()));
  return {};
}

bool PostgresConnection::queue(const Trip& trip) {
  auto* const connection = link_.get();
  const auto text = [&](std::string_view sql) {
    return sql.empty() ||
           PQsendQueryParams(connection, std::string(sql).c_str(), 0, nullptr, nullptr, nullptr, nullptr, kBinary) != 0;
  };
  if (PQenterPipelineMode(connection) == 0 || !text(trip.before)) return false;
  for (auto* one : trip.statements)
    if (!queue(*one)) return false;
  return text(trip.after) && PQpipelineSync(connection) != 0;
}

bool PostgresConnection::queue(PostgresStatement& statement) {
  auto* const connection = link_.get();
  std::vector<const char*> values;
  std::vector<int> sizes, formats;
  for (const auto& one : statement.parameters_) {
    values.push_back(one.size < 0 ? nullptr : one.data != nullptr ? one.data : one.number.data());
    sizes.push_back(std::max(one.size, 0));
    formats.push_back(kBinary);
  }
  const int count = static_cast<int>(values.size());
  const auto* variant = statement.fitting();
  if (variant == nullptr) {
    auto types = statement.types_to_prepare();
    if (!statement.kept_ || statement.variants_.size() >= kMostVariants)
      return PQsendQueryParams(connection, statement.sql_.c_str(), count, types.data(), values.data(), sizes.data(),
                               formats.data(), kBinary) != 0;
    statement.pending_ = {"s" + std::to_string(++prepared_), std::move(types)};
    variant = &*statement.pending_;
    if (PQsendPrepare(connection, variant->name.c_str(), statement.sql_.c_str(), count, variant->types.data()) == 0)
      return false;
  }
  return PQsendQueryPrepared(connection, variant->name.c_str(), count, values.data(), sizes.data(), formats.data(),
                             kBinary) != 0;
}

Outcome<ResultPtr> PostgresConnection::collect_one(const Limit& limit) {
  auto result = link_.next(limit);
  if (!result) return result;
  if (!*result) return std::unexpected(connection_lost());
  auto end = link_.next(limit);
  if (!end) return end;
  if (*end) return std::unexpected(connection_lost());  // a COPY, or none of ours
  return result;
}

Outcome<void> PostgresConnection::collect(const Trip& trip, const Limit& limit) {
  std::optional<Failure> first;
  // False: the connection is of no more use, `first` says why.
  const auto take = [&](ResultPtr* keep) {
    auto result = collect_one(limit);
    if (!result) {
      first = std::move(result.error());
      return false;
    }
    if (PQresultStatus(result->get()) == PGRES_PIPELINE_ABORTED) return true;  // `first` says why
    if (is_success(result->get())) {
      if (keep != nullptr) *keep = std::move(*result);
      return true;
    }
    first = failure_of(result->get());
    if (first->lost) return false;
    commit_in_doubt_ = false;
    return true;
  };
  if (!trip.before.empty() && !take(nullptr)) return std::unexpected(std::move(*first));
  for (auto* one : trip.statements) {
    if (one->pending_) {
      ResultPtr prepared;
      if (!take(&prepared)) return std::unexpected(std::move(*first));
      if (prepared)
        one->variants_.push_back(std::move(*one->pending_));
      else
        std::ranges::fill(one->known_types_, 0U);  // they may be why
      one->pending_.reset();
    }
    if (!take(&one->result_)) return std::unexpected(std::move(*first));
    if (one->result_) count_changes(one->result_.get());
    // The server's plan is for tables of another form, or is not there: it is made anew the next time.
    const std::string_view code = first ? first->sqlstate.data() : "";
    if (code == "0A000" || code == "26000") one->variants_.clear();
  }
  if (!trip.after.empty()) {
    ResultPtr ended;
    if (!take(&ended)) return std::unexpected(std::move(*first));
    commit_in_doubt_ = false;
    if (ended && !is_commit(ended.get())) first = not_committed();
  }
  auto sync = link_.next(limit);
  if (!sync) return std::unexpected(std::move(sync.error()));
  if (PQresultStatus(sync->get()) != PGRES_PIPELINE_SYNC || PQexitPipelineMode(link_.get()) == 0)
    return std::unexpected(connection_lost());
  if (first) return std::unexpected(std::move(*first));
  return {};
}

Result<void> PostgresConnection::copy_in(std::string_view statement, std::span<const char> rows) {
  const auto limit = this->limit();
  if (auto can = ready(limit); !can) return note(std::move(can.error()));
  auto begun = link_.simple(std::string(statement), limit);
  if (!begun) return note(std::move(begun.error()));
  if (PQresultStatus(begun->get()) != PGRES_COPY_IN) return note(refused("this is no COPY ... FROM STDIN"));
  if (auto put = link_.put_copy(rows.data(), rows.size(), limit); !put) return note(std::move(put.error()));
  auto done = collect_one(limit);
  if (!done) return note(std::move(done.error()));
  if (!is_success(done->get())) return note(failure_of(done->get()));
  count_changes(done->get());
  return {};
}

void PostgresConnection::count_changes(const pg_result* result) {
  auto* const answer = const_cast<pg_result*>(result);  // libpq's interface is older than const
  const std::string_view command = PQcmdStatus(answer);
  for (const std::string_view word : {"INSERT", "UPDATE", "DELETE", "MERGE", "COPY"})
    if (command.starts_with(word)) {
      const std::string_view count = PQcmdTuples(answer);
      changes_ = 0;
      std::from_chars(count.data(), count.data() + count.size(), changes_);
    }
}

}  // namespace detection::store::postgres
