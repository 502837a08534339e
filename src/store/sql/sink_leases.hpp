#pragma once
// Who delivers to a sink where several processes could: the one that holds its lease.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "store/sql/connection.hpp"
#include "store/store.hpp"

namespace detection::store::sql {

class SinkLeases {
 public:
  struct Lease {
    std::int64_t epoch = 0;  ///< counts on with each taking: what is known of the sink from an earlier one is void
    std::chrono::steady_clock::time_point good_until{};
  };

  virtual ~SinkLeases() = default;
  /// What this process holds, as far as it knows; notes that it is wanted. Any thread, asks nobody.
  [[nodiscard]] virtual std::optional<Lease> held(std::string_view sink) = 0;
  /// Whether it is worth trying to take it. Any thread, asks nobody.
  [[nodiscard]] virtual bool available(std::string_view sink) = 0;
  /// Within a writing transaction. None: another process has it, or the fence is shut.
  [[nodiscard]] virtual Result<std::optional<Lease>> take(Database& db, std::int64_t number, std::string_view sink) = 0;
  /// Once that is committed.
  virtual void taken(std::string_view sink, const Lease& lease) = 0;
  /// Within a writing transaction: kConflict when it is no longer held.
  [[nodiscard]] virtual Result<void> check(Database& db, std::int64_t number, std::int64_t epoch) = 0;
};

}  // namespace detection::store::sql
