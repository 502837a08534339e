#pragma once
// The embedded engine: one SQLite file in WAL mode with synchronous=FULL, one writer thread with group commit.

#include <filesystem>
#include <memory>

#include "store/store.hpp"
#include "telemetry/metrics.hpp"

namespace detection::store::sqlite {

struct Options {
  std::filesystem::path directory;  ///< made if missing; holds detections.db
  bool read_only = false;           ///< no writer: for commands beside a running serve
  UtcMicros (*clock)() noexcept = system_now;
  telemetry::Metrics* metrics = nullptr;
};

/// Opens (migrating if needed), asserts the durability settings by reading them back, recovers after a kill.
[[nodiscard]] Result<std::unique_ptr<Store>> open(const Options& options);

}  // namespace detection::store::sqlite
