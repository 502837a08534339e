#pragma once
// The store that a configuration names: PostgreSQL with --database-url, else SQLite in --data-dir.

#include <memory>
#include <string>

#include "app/options.hpp"
#include "store/backup/place.hpp"
#include "store/postgres/engine.hpp"
#include "store/store.hpp"
#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace detection::app {

enum class StoreRole : std::uint8_t {
  kServe,    ///< accepts and delivers; with PostgreSQL behind a spool, so that the database may be away
  kCommand,  ///< writes now and then beside those that serve
  kRead,     ///< reads beside them
};

/// Both outlive the store; none: nothing is counted or logged.
struct StoreWatchers {
  telemetry::Metrics* metrics = nullptr;
  telemetry::Log* log = nullptr;
};

[[nodiscard]] bool uses_database(const Configuration& configuration);
/// The name that tells this process from every other on the same database.
[[nodiscard]] std::string process_name(const Configuration& configuration);
[[nodiscard]] store::postgres::Options database_options(const Configuration& configuration, StoreRole role,
                                                        telemetry::Metrics* metrics);
/// The same store, for backups.
[[nodiscard]] store::backup::Place backup_place(const Configuration& configuration);
/// Errors as the engines' open(). Nothing of --database-url is in them beyond what the engine says.
[[nodiscard]] Result<std::unique_ptr<store::Store>> open_store(const Configuration& configuration, StoreRole role,
                                                               const StoreWatchers& watchers = {});

}  // namespace detection::app
