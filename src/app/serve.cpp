#include <signal.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "app/assemble.hpp"
#include "app/audit_keeper.hpp"
#include "app/backup_watch.hpp"
#include "app/build_info.hpp"
#include "app/commands.hpp"
#include "app/console_assets.hpp"
#include "app/open_store.hpp"
#include "app/release_watch.hpp"
#include "detection/json_writer.hpp"
#include "http/service.hpp"
#include "pipeline/announcer.hpp"
#include "pipeline/courier.hpp"
#include "pipeline/queue_watch.hpp"
#include "security/authority.hpp"
#include "tak/credentials.hpp"
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
  metrics.gauge(telemetry::kDetectionApiInfo, {kVersion, kCommit, configuration.text("slot")}).set(1);
}

/// Queue depths are looked up when somebody scrapes.
void publish(telemetry::Metrics& metrics, pipeline::QueueWatch& queues, const telemetry::Log& log) {
  metrics.before_scrape(
      [&queues, &log, dropped = metrics.counter(telemetry::kLogLinesDroppedTotal), told = std::uint64_t{0}]() mutable {
        const auto dropped_now = log.dropped();
        dropped.increment(static_cast<double>(dropped_now - told));
        told = dropped_now;
        queues.look();
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
  options.console = console_archive();
  options.version = kVersion;
  options.commit = kCommit;
  options.slot = configuration.text("slot");
  options.share_limits = uses_database(configuration);
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

    auto sinks = sink_setups(configuration_);
    if (!sinks) return std::unexpected(sinks.error());
    auto store = open_store(configuration_, StoreRole::kServe, {&metrics_, &log_});
    if (!store) return std::unexpected(store.error());
    store_ = std::move(*store);
    if (!uses_database(configuration_) && !configuration_.text("slot").empty())
      log_.warning("slot_without_fence", "SQLite has one process only: it delivers whatever the active slot is",
                   {{"slot", configuration_.text("slot")}});

    auto authority = security::Authority::open(authority_options(configuration_), *store_, metrics_, log_);
    if (!authority) return std::unexpected(authority.error());
    authority_ = std::move(*authority);
    store_->set_tombstone_signer(tombstone_signer(*authority_));
    authority_->start();

    auto settings = acceptor_settings(configuration_, *assets_);
    const bool announces = configuration_.text("announce") != "off";
    if (announces) settings.cameras = &cameras_;
    acceptor_ = std::make_unique<pipeline::Acceptor>(std::move(settings), metrics_);
    if (auto made = make_couriers(*sinks); !made) return made;
    declare_process(configuration_, metrics_);

    service_ = http::make_service(
        service_options(configuration_),
        {*acceptor_, *store_, courier_pointers(), event_options(configuration_), *authority_, metrics_, log_});
    if (auto started = service_->start(); !started) return started;
    for (const auto& courier : couriers_) courier->start();
    queue_watch_->start();
    release_watch_ = std::make_unique<ReleaseWatch>(
        *store_, configuration_.text("slot"),
        [this, pointers = courier_pointers()] {
          for (auto* courier : pointers) courier->wake();
          // What a Service sends elsewhere now would stay here on the connections that stand.
          const auto release = store_->status().release;
          service_->keep_connections(release.slot.empty() || !release.active_slot ||
                                     *release.active_slot == release.slot);
        },
        metrics_, log_);
    release_watch_->start();
    if (announces) {
      auto options = announcer_options(configuration_);
      options.version = kVersion;
      options.may_send = [this] { return store_->status().release.delivers; };
      announcer_ = std::make_unique<pipeline::Announcer>(std::move(options), *acceptor_, cameras_, courier_pointers());
      announcer_->start();
    }
    store::AuditEntry loaded{"config_loaded", "INFO", "system", std::nullopt, loaded_configuration(configuration_)};
    const auto recorded = store_->record(loaded);
    // A database that is away is no reason not to serve: the spool takes detections.
    const bool later =
        !recorded && uses_database(configuration_) && recorded.error().code == ErrorCode::kStoreUnavailable;
    if (!recorded && !later) return recorded;
    std::optional<milliseconds> retention;
    if (configuration_.text("audit-retention") != "off") retention = configuration_.duration("audit-retention");
    audit_keeper_ = std::make_unique<AuditKeeper>(*store_, retention, metrics_, log_);
    if (later) audit_keeper_->record_when_it_can(std::move(loaded));
    audit_keeper_->start();
    backup_watch_ = std::make_unique<BackupWatch>(backup_place(configuration_), metrics_);
    backup_watch_->start();
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
    if (announcer_) announcer_->stop();
    if (backup_watch_) backup_watch_->stop();
    if (release_watch_) release_watch_->stop();
    if (queue_watch_) queue_watch_->stop();
    for (const auto& courier : couriers_) courier->stop(left());
    if (authority_) authority_->stop();
    if (store_) {
      store_->on_due({});
      store_->close();
    }
    if (audit_keeper_) audit_keeper_->stop();  // its check ends with the store's
  }

 private:
  /// Never a reason not to start: the sink tries again, detections wait for it.
  void look_at_credentials(const tak::SinkOptions& sink) {
    if (sink.tls.credentials.empty()) return;
    const auto credentials = tak::load_credentials(sink.tls.credentials, system_now());
    if (!credentials)
      return log_.error("credentials_unusable", "the credentials of a TAK sink cannot be used",
                        {{"sink", sink.name}, {"reason", credentials.error().detail}});
    for (const auto& warning : (*credentials)->warnings)
      log_.warning("credentials_doubtful", "the credentials of a TAK sink will probably not do",
                   {{"sink", sink.name}, {"reason", warning}});
  }

  Result<void> make_couriers(const std::vector<pipeline::SinkSetup>& sinks) {
    for (const auto& sink : sinks) {
      look_at_credentials(sink.sink);
      auto courier = pipeline::make_courier(courier_options(sink, configuration_), *store_, metrics_, log_);
      if (!courier) return std::unexpected(courier.error());
      couriers_.push_back(std::move(*courier));
    }
    const auto pointers = courier_pointers();
    store_->on_due([pointers] {
      for (auto* courier : pointers) courier->wake();
    });
    queue_watch_ = std::make_unique<pipeline::QueueWatch>(
        *store_, std::vector<const pipeline::Courier*>(pointers.begin(), pointers.end()), queue_limits(configuration_),
        metrics_, log_);
    publish(metrics_, *queue_watch_, log_);
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
  pipeline::CameraRegistry cameras_;
  std::unique_ptr<pipeline::Acceptor> acceptor_;
  std::vector<std::unique_ptr<pipeline::Courier>> couriers_;
  std::unique_ptr<pipeline::QueueWatch> queue_watch_;
  std::unique_ptr<ReleaseWatch> release_watch_;
  std::unique_ptr<pipeline::Announcer> announcer_;
  std::unique_ptr<http::Service> service_;
  std::unique_ptr<AuditKeeper> audit_keeper_;
  std::unique_ptr<BackupWatch> backup_watch_;
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
