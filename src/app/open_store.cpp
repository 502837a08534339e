#include "app/open_store.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "pipeline/sink_settings.hpp"
#include "store/spool/spool.hpp"
#include "store/sqlite/engine.hpp"

namespace detection::app {
namespace {

/// The audit chain and the lease name of commands; how many run at once is the engine's affair.
constexpr const char* kCommandProcess = "command";

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "host";
  std::string text(name.data());
  std::ranges::replace_if(text, [](char c) { return !is_process_name({&c, 1}); }, '-');
  return text.empty() ? "host" : text;
}

Result<std::unique_ptr<store::Store>> open_sqlite(const Configuration& configuration, StoreRole role,
                                                  telemetry::Metrics* metrics) {
  store::sqlite::Options options;
  options.directory = configuration.text("data-dir");
  options.metrics = metrics;
  options.read_only = role == StoreRole::kRead;
  if (role == StoreRole::kCommand) {
    options.beside_serve = true;
    options.audit_chain = kCommandProcess;
  }
  return store::sqlite::open(options);
}

store::spool::Options spool_options(const Configuration& configuration, const StoreWatchers& watchers) {
  store::spool::Options options;
  options.directory = configuration.text("data-dir");
  // The checks of the table have accepted these texts already.
  options.items_most = pipeline::parse_bytes(configuration.text("spool-max-items")).value_or(options.items_most);
  options.bytes_most = pipeline::parse_bytes(configuration.text("spool-max-bytes")).value_or(options.bytes_most);
  options.drain_time = configuration.duration("shutdown-grace");
  options.slot = configuration.text("slot");
  options.metrics = watchers.metrics;
  options.log = watchers.log;
  return options;
}

}  // namespace

bool uses_database(const Configuration& configuration) {
  return !configuration.text("database-url").empty();
}

std::string process_name(const Configuration& configuration) {
  if (auto given = configuration.text("process-name"); !given.empty()) return given;
  // A pod's name is its host name, and the container's process has number 1: so the name is the pod's. Anywhere else
  // there may be several on one host.
  constexpr std::size_t kHostMost = 52;  // 64 with the number
  const auto host = host_name().substr(0, kHostMost);
  return ::getpid() == 1 ? host : host + "-" + std::to_string(::getpid());
}

store::postgres::Options database_options(const Configuration& configuration, StoreRole role,
                                          telemetry::Metrics* metrics) {
  store::postgres::Options options;
  options.url = configuration.text("database-url");
  options.credentials = configuration.text("database-credentials");
  options.metrics = metrics;
  options.read_only = role == StoreRole::kRead;
  // A command must not move the schema away under those that serve; `migrate` is there for that.
  options.migrate = role == StoreRole::kServe;
  if (role == StoreRole::kServe) {
    options.slot = configuration.text("slot");
    options.process = process_name(configuration);
  } else {
    options.process = kCommandProcess;
  }
  return options;
}

store::backup::Place backup_place(const Configuration& configuration) {
  return {configuration.text("data-dir"), configuration.text("database-url"),
          configuration.text("database-credentials")};
}

Result<std::unique_ptr<store::Store>> open_store(const Configuration& configuration, StoreRole role,
                                                 const StoreWatchers& watchers) {
  if (!uses_database(configuration)) return open_sqlite(configuration, role, watchers.metrics);
  const auto options = database_options(configuration, role, watchers.metrics);
  if (role != StoreRole::kServe) return store::postgres::open(options);
  return store::spool::open([options] { return store::postgres::open(options); },
                            spool_options(configuration, watchers));
}

}  // namespace detection::app
