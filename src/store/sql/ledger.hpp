#pragma once
// What the writer writes: the ordered log and its own audit chain. Used by the writer's thread only, inside a
// transaction; keeps in memory where the log and the chain stand, and takes that back when a transaction fails.

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "store/sql/audit.hpp"
#include "store/sql/connection.hpp"
#include "store/sql/detection_row.hpp"
#include "store/sql/digest.hpp"
#include "store/store.hpp"

namespace detection::store::sql {

/// Acceptances are remembered by their detections; every so often their chain's head is as well.
inline constexpr std::int64_t kRememberEvery = 1024;

class Ledger {
 public:
  /// Where things stand: copied before a transaction (or a part of one), put back if that fails.
  struct State {
    std::int64_t head = 0;         ///< highest sequence
    std::int64_t exceptional = 0;  ///< rows that are not of disposition queue
    std::int64_t due = 0;          ///< counts on with everything that is made due to a sink
    double mean_bytes = 0;         ///< of the newest detections; see capacity.hpp
    ChainHead chain{};
  };

  Ledger(Database& db, std::string chain) : db_(db), chain_name_(std::move(chain)) {}

  /// Reads where things stand; makes the chain known.
  [[nodiscard]] Result<void> load();
  /// Only the chain: for a writer beside others, at the beginning of each transaction.
  [[nodiscard]] Result<void> load_chain();

  /// Another chain from now on, to be loaded.
  void write_chain(std::string name) {
    chain_name_ = std::move(name);
    chain_ = 0;
    state_.chain = {};
  }
  [[nodiscard]] bool knows_chain() const noexcept { return chain_ != 0; }
  [[nodiscard]] std::int64_t chain_number() const noexcept { return chain_; }
  void set_chain_head(const ChainHead& head) noexcept { state_.chain = head; }
  /// As another process may have left it.
  void set_log(std::int64_t head, std::int64_t exceptional, double mean_bytes) noexcept {
    state_.head = head;
    state_.exceptional = exceptional;
    state_.mean_bytes = mean_bytes;
  }

  [[nodiscard]] const State& state() const noexcept { return state_; }
  void restore(const State& state) noexcept { state_ = state; }
  [[nodiscard]] const std::string& chain_name() const noexcept { return chain_name_; }
  [[nodiscard]] Database& database() noexcept { return db_; }

  /// The detection and its acceptance record, or what to answer to a repeat.
  [[nodiscard]] Result<CommitResult> accept(const Acceptance& item, UtcMicros now);
  /// What to answer to an item whose id is stored already.
  [[nodiscard]] Result<CommitResult> repeated(const Acceptance& item);
  /// An item that is known to be new, written by the caller: it gets both rows and must put them down with the rest of
  /// this transaction.
  using WriteDown = std::function<Result<void>(const DetectionRow& row, std::int64_t record_key,
                                               const AuditRecord& record, const Sha256& record_sha256)>;
  [[nodiscard]] Result<CommitResult> accept_new(const Acceptance& item, UtcMicros now, const WriteDown& write_down);
  /// Appends to the chain; the key of the new record.
  [[nodiscard]] Result<std::int64_t> append(const AuditRecord& record);
  /// The couriers are told when this is committed.
  void note_due() noexcept { ++state_.due; }
  /// Has the head of the chain remembered outside of it (audit_head).
  [[nodiscard]] Result<void> remember_head();

 private:
  void count(const Acceptance& item, std::int64_t sequence);
  [[nodiscard]] std::int64_t next_record() const { return record_key(chain_, state_.chain.number + 1); }

  Database& db_;
  std::string chain_name_;
  std::int64_t chain_ = 0;
  State state_;
  Digest digest_;
};

}  // namespace detection::store::sql
