#include "http/service.hpp"

#include <thread>

#include "http/api.hpp"

namespace detection::http {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMetricsConnections = 64;
constexpr std::size_t kLargeBodies = 256u << 20;

class HttpService final : public Service {
 public:
  HttpService(const ServiceOptions& options, const Rooms& rooms) : state_(options, rooms) {}

  ~HttpService() override {
    stop(milliseconds{0});
    // The store gives every job back, also those whose connections are gone.
    while (state_.jobs_out.load(std::memory_order_acquire) > 0) std::this_thread::sleep_for(milliseconds{1});
    state_.audit_check.stop();
    server_.reset();
  }

  Result<void> start() override {
    const auto& options = state_.options;
    auto console = ConsoleArchive::open(options.console);
    if (!console) return std::unexpected(std::move(console.error()));
    state_.console = std::move(*console);
    ServerSetup setup;
    setup.api = options.api;
    setup.metrics = options.metrics;
    setup.tls = {options.tls_certificate_file, options.tls_key_file};
    setup.threads = options.threads;
    setup.limits = {.connections_most = options.connections_most,
                    .metrics_connections_most = kMetricsConnections,
                    .header_bytes_most = options.header_bytes_most,
                    .target_bytes_most = options.target_bytes_most,
                    .large_bodies_most = std::max(kLargeBodies, 2 * options.batch_body_bytes_most),
                    .header_timeout = options.header_timeout,
                    .body_timeout = options.body_timeout,
                    .idle_timeout = options.idle_timeout,
                    .write_timeout = options.write_timeout};
    setup.make_handler = [this](Loop& loop, Port port) { return std::make_unique<Api>(state_, loop, port); };
    setup.refused = [this](std::string_view reason) { state_.metrics.refused(reason); };
    setup.connections = state_.metrics.connections();
    setup.certificate_expiry = state_.rooms.metrics.gauge(telemetry::kHttpCertificateExpiryTimestampSeconds);
    setup.tls_reloaded = [this](const Result<void>& result) { log_reload(result); };
    server_ = make_server(std::move(setup));
    state_.server = server_.get();
    auto started = server_->start();
    if (!started) return started;
    state_.feed.start();
    if (options.share_limits && state_.gates.enabled) state_.sharing.start();
    state_.complete.store(true, std::memory_order_release);
    return {};
  }

  Endpoint api_endpoint() const override { return server_ ? server_->endpoint(Port::kApi) : state_.options.api; }
  Endpoint metrics_endpoint() const override {
    return server_ ? server_->endpoint(Port::kMetrics) : state_.options.metrics;
  }

  void begin_drain() override {
    state_.draining.store(true, std::memory_order_relaxed);
    if (server_) server_->begin_drain();
  }

  void keep_connections(bool keep) override {
    if (server_) server_->keep_connections(keep);
  }

  void stop(milliseconds grace) override {
    begin_drain();
    state_.audit_check.give_up();
    state_.feed.stop();
    state_.sharing.stop();
    if (server_) server_->stop(grace);
    state_.workers.stop();
    state_.scraper.stop();
    state_.auth_watch.stop();
  }

 private:
  void log_reload(const Result<void>& result) {
    if (result)
      state_.rooms.log.write(telemetry::Level::kInfo, "tls_certificate_loaded", "new TLS handshakes use the new files");
    else
      state_.rooms.log.write(telemetry::Level::kError, "tls_certificate_unusable",
                             result.error().detail + "; the one from before stays in use");
  }

  ApiState state_;
  std::unique_ptr<Server> server_;
};

}  // namespace

std::unique_ptr<Service> make_service(const ServiceOptions& options, const Rooms& rooms) {
  return std::make_unique<HttpService>(options, rooms);
}

}  // namespace detection::http
