#pragma once
// The embedded engine: one SQLite file in WAL mode with synchronous=FULL, one writer thread with group commit.

#include <filesystem>
#include <memory>
#include <string>

#include "store/store.hpp"
#include "telemetry/metrics.hpp"

namespace detection::store::sqlite {

struct Options {
  std::filesystem::path directory;  ///< made if missing; holds detections.db
  bool read_only = false;           ///< no writer: for commands beside a running serve
  /// A second writer beside a running serve (commands that make API keys, prune the audit): takes no lock of the
  /// directory, accepts no detections, opens no sinks. Needs an audit_chain of its own.
  bool beside_serve = false;
  UtcMicros (*clock)() noexcept = system_now;
  telemetry::Metrics* metrics = nullptr;
  std::string audit_chain = "serve";  ///< the chain that this process writes; another kind of writer has its own
};

/// Opens (migrating if needed), asserts the durability settings by reading them back, recovers after a kill.
/// kConfiguration: another process serves the directory (its pid is named; `read_only` does not mind), the file is
/// another program's, or its schema is newer than this program. kStoreUnavailable, kCapacityExceeded: the disk.
[[nodiscard]] Result<std::unique_ptr<Store>> open(const Options& options);

}  // namespace detection::store::sqlite
