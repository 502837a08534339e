#include <signal.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "app/assemble.hpp"
#include "app/audit_keeper.hpp"
#include "app/build_info.hpp"
#include "app/commands.hpp"
#include "detection/json_writer.hpp"
#include "http/service.hpp"
#include "pipeline/courier.hpp"
#include "security/authority.hpp"
#include "store/sqlite/engine.hpp"
#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace detection::app {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

int refuse(const Error& error) {
  std::fprintf(stderr, "detection-api: %s\n", error.detail.c_str());
  return kFailed;
}

/// Blocked in every thread made from now on, so that only wait() sees them.
class StopSignals {
 public:
  StopSignals() {
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }

  /// Returns the signal that came; the next one ends the process at once (what was acknowledged is on disk anyway).
  int wait() {
    int number = 0;
    sigwait(&set_, &number);
    pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);
    return number;
  }

 private:
  sigset_t set_{};
};

void declare_process(const Configuration& configuration, telemetry::Metrics& metrics) {
  const auto slot = configuration.text("slot");
  metrics.gauge(telemetry::kDetectionApiInfo, {kVersion, kCommit, slot}).set(1);
  metrics.gauge(telemetry::kReleaseSlotActive, {slot}).set(1);
}

/// Queue depths are looked up when somebody scrapes.
void publish_queues(telemetry::Metrics& metrics, store::Store& store, const std::vector<std::string>& sinks,
                    const telemetry::Log& log) {
  struct Handles {
    telemetry::Gauge size, age, dead;
  };
  std::map<std::string, Handles> handles;
  for (const auto& sink : sinks)
    handles.emplace(sink, Handles{metrics.gauge(telemetry::kOfflineQueueSize, {sink}),
                                  metrics.gauge(telemetry::kOfflineQueueOldestItemAgeSeconds, {sink}),
                                  metrics.gauge(telemetry::kTakDeadLetters, {sink})});
  metrics.before_scrape([&store, &log, handles = std::move(handles),
                         dropped = metrics.counter(telemetry::kLogLinesDroppedTotal),
                         told = std::uint64_t{0}]() mutable {
    const auto dropped_now = log.dropped();
    dropped.increment(static_cast<double>(dropped_now - told));
    told = dropped_now;
    const auto queues = store.sink_queues();
    if (!queues) return;
    const auto now = system_now();
    for (const auto& queue : *queues) {
      const auto found = handles.find(queue.sink);
      if (found == handles.end()) continue;
      found->second.size.set(static_cast<double>(queue.queued));
      found->second.dead.set(static_cast<double>(queue.dead_letters));
      const auto age =
          queue.oldest_queued
              ? std::max(milliseconds{0}, std::chrono::duration_cast<milliseconds>(now - *queue.oldest_queued))
              : milliseconds{0};
      found->second.age.set(static_cast<double>(age.count()) / 1000);
    }
  });
}

std::string loaded_configuration(const Configuration& configuration) {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  for (const auto& spec : option_table()) {
    if (configuration.source(spec.name) == OptionSource::kDefault || spec.secret) continue;
    std::string text;
    for (const auto& value : configuration.list(spec.name)) text.append(text.empty() ? "" : " ").append(value);
    w.key(spec.name);
    w.string(text);
  }
  w.end_object();
  return out;
}

http::ServiceOptions service_options(const Configuration& configuration) {
  http::ServiceOptions options;
  options.api = *http::parse_endpoint(configuration.text("listen"));
  options.metrics = *http::parse_endpoint(configuration.text("metrics-listen"));
  options.threads = static_cast<unsigned>(configuration.count("http-threads"));
  options.connections_most = configuration.count("http-connections");
  options.rate_limits.enabled = configuration.text("rate-limit") == "on";
  options.rate_limits.subject = *http::parse_rate(configuration.text("rate-limit-subject"));
  options.rate_limits.address = *http::parse_rate(configuration.text("rate-limit-address"));
  options.rate_limits.token = *http::parse_rate(configuration.text("rate-limit-token"));
  for (const auto& text : configuration.list("trusted-proxy"))
    options.trusted_proxies.push_back(*http::parse_address_block(text));
  options.cors_origins = configuration.list("cors-origin");
  options.tls_certificate_file = configuration.text("tls-cert-file");
  options.tls_key_file = configuration.text("tls-key-file");
  options.cached_reads_most = configuration.count("read-cache");
  options.version = kVersion;
  options.commit = kCommit;
  options.slot = configuration.text("slot");
  return options;
}

/// Everything that runs, made in the order of its needs and torn down in the other.
class Server {
 public:
  Server(const Configuration& configuration, telemetry::Log& log) : configuration_(configuration), log_(log) {}

  Result<void> start() {
    if (configuration_.text("jwt-key-file").empty() && configuration_.text("jwt-key-dir").empty())
      return fail(ErrorCode::kConfiguration,
                  "serve needs --jwt-key-file or --jwt-key-dir; make a key with: openssl rand -base64 48 > FILE");
    if (configuration_.text("tls-cert-file").empty() != configuration_.text("tls-key-file").empty())
      return fail(ErrorCode::kConfiguration, "--tls-cert-file and --tls-key-file belong together");
    auto assets = load_assets(configuration_);
    if (!assets) return std::unexpected(assets.error());
    assets_ = std::move(*assets);
    if (!assets_->geoid)
      log_.warning("geoid_missing", "elevation_reference msl will be refused", {{"reason", assets_->geoid_problem}});

    auto sinks = sink_options(configuration_);
    if (!sinks) return std::unexpected(sinks.error());
    store::sqlite::Options store_options;
    store_options.directory = configuration_.text("data-dir");
    store_options.metrics = &metrics_;
    auto store = store::sqlite::open(store_options);
    if (!store) return std::unexpected(store.error());
    store_ = std::move(*store);

    auto authority = security::Authority::open(authority_options(configuration_), *store_, metrics_, log_);
    if (!authority) return std::unexpected(authority.error());
    authority_ = std::move(*authority);
    store_->set_tombstone_signer(tombstone_signer(*authority_));
    authority_->start();

    acceptor_ = std::make_unique<pipeline::Acceptor>(acceptor_settings(configuration_, *assets_), metrics_);
    if (auto made = make_couriers(*sinks); !made) return made;
    declare_process(configuration_, metrics_);

    service_ = http::make_service(
        service_options(configuration_),
        {*acceptor_, *store_, courier_pointers(), event_options(configuration_), *authority_, metrics_, log_});
    if (auto started = service_->start(); !started) return started;
    for (const auto& courier : couriers_) courier->start();
    if (auto recorded =
            store_->record({"config_loaded", "INFO", "system", std::nullopt, loaded_configuration(configuration_)});
        !recorded)
      return recorded;
    std::optional<milliseconds> retention;
    if (configuration_.text("audit-retention") != "off") retention = configuration_.duration("audit-retention");
    audit_keeper_ = std::make_unique<AuditKeeper>(*store_, retention, metrics_, log_);
    audit_keeper_->start();
    return {};
  }

  [[nodiscard]] http::Endpoint api() const { return service_->api_endpoint(); }
  [[nodiscard]] http::Endpoint metrics_endpoint() const { return service_->metrics_endpoint(); }

  void stop() {
    const auto by =
        steady_clock::now() + configuration_.duration("drain-delay") + configuration_.duration("shutdown-grace");
    const auto left = [&] {
      return std::max(milliseconds{0}, std::chrono::duration_cast<milliseconds>(by - steady_clock::now()));
    };
    if (service_) {
      service_->begin_drain();
      std::this_thread::sleep_for(configuration_.duration("drain-delay"));
      service_->stop(left());
    }
    for (const auto& courier : couriers_) courier->stop(left());
    if (authority_) authority_->stop();
    if (store_) {
      store_->on_due({});
      store_->close();
    }
    if (audit_keeper_) audit_keeper_->stop();  // its check ends with the store's
  }

 private:
  Result<void> make_couriers(const std::vector<tak::SinkOptions>& sinks) {
    std::vector<std::string> names;
    for (const auto& sink : sinks) {
      pipeline::CourierOptions options;
      options.sink = sink;
      options.event = event_options(configuration_);
      auto courier = pipeline::make_courier(options, *store_, metrics_, log_);
      if (!courier) return std::unexpected(courier.error());
      couriers_.push_back(std::move(*courier));
      names.push_back(sink.name);
    }
    store_->on_due([couriers = courier_pointers()] {
      for (auto* courier : couriers) courier->wake();
    });
    publish_queues(metrics_, *store_, names, log_);
    return {};
  }

  [[nodiscard]] std::vector<pipeline::Courier*> courier_pointers() const {
    std::vector<pipeline::Courier*> pointers;
    for (const auto& courier : couriers_) pointers.push_back(courier.get());
    return pointers;
  }

  const Configuration& configuration_;
  telemetry::Log& log_;
  telemetry::Metrics metrics_;
  std::unique_ptr<Assets> assets_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<security::Authority> authority_;
  std::unique_ptr<pipeline::Acceptor> acceptor_;
  std::vector<std::unique_ptr<pipeline::Courier>> couriers_;
  std::unique_ptr<http::Service> service_;
  std::unique_ptr<AuditKeeper> audit_keeper_;
};

}  // namespace

int serve(const Configuration& configuration) {
  StopSignals signals;
  const auto started = steady_clock::now();
  telemetry::Log log(1, telemetry::parse_level(configuration.text("log-level")).value_or(telemetry::Level::kInfo));
  Server server(configuration, log);
  if (auto ready = server.start(); !ready) {
    server.stop();
    return refuse(ready.error());
  }
  const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - started);
  log.info("started", "ready",
           {{"version", kVersion},
            {"api", server.api().address + ":" + std::to_string(server.api().port)},
            {"metrics", server.metrics_endpoint().address + ":" + std::to_string(server.metrics_endpoint().port)},
            {"duration_ms", took.count()}});
  const int number = signals.wait();
  log.info("stopping", "finishing what is in flight", {{"signal", number == SIGTERM ? "SIGTERM" : "SIGINT"}});
  server.stop();
  log.info("stopped", "everything accepted is on disk");
  return kDone;
}

}  // namespace detection::app
