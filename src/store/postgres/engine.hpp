#pragma once
// The engine for many replicas: one PostgreSQL database, written by several processes at once. The record's logic is
// that of sql/; what is said here is what several writers add. docs/adrs/ADR-010-postgresql.md has the reasons.
//
// - One row (`log`) is locked by every writing transaction, so that the log stays gapless and in the order of the
//   commits, over all processes. What waits meanwhile goes into the next commit together.
// - A process delivers to a sink while it holds the sink's lease, which it renews; a lease that is not renewed is over
//   after kLeaseTime, and another process goes on at the sink's cursor.
// - With a slot, leases are only given while the row `release` names that slot.
// - Each writing connection holds one audit chain by an advisory lock; a chain that nobody holds is taken up again.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "store/store.hpp"
#include "telemetry/metrics.hpp"

namespace detection::store::postgres {

inline constexpr std::chrono::milliseconds kLeaseTime{1'500};

struct Options {
  std::string url;  ///< as libpq takes it; TLS as its sslmode says
  /// A folder with files `username` and `password`, each optional, read at every new connection: they stand over what
  /// the URL says. Empty: none.
  std::filesystem::path credentials{};
  std::string slot{};                          ///< empty: delivers always
  std::string process = "serve";               ///< names this process in leases and shared limits (the pod's name)
  bool read_only = false;                      ///< no writer: for commands beside a running serve
  bool migrate = true;                         ///< brings the schema up to date where it may (else that is an error)
  std::chrono::milliseconds commit_time{700};  ///< a commit that takes longer is given up: its jobs come back
  UtcMicros (*clock)() noexcept = system_now;
  telemetry::Metrics* metrics = nullptr;
};

/// kConfiguration: the URL is none, the schema is of a version that this program cannot work with (it says which), the
/// database is another program's. kStoreUnavailable: it cannot be reached (now).
[[nodiscard]] Result<std::unique_ptr<Store>> open(const Options& options);

/// Brings the schema up to date, waiting for others that do the same; the version before and after.
struct Migrated {
  std::int64_t before = 0, after = 0;
};
[[nodiscard]] Result<Migrated> migrate(const Options& options);

}  // namespace detection::store::postgres
