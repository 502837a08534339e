#pragma once
// The HTTP face of the service (design.md 4.2): two listeners, one for the API and one for metrics.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "detection/error.hpp"
#include "http/exchange.hpp"
#include "pipeline/acceptor.hpp"
#include "pipeline/courier.hpp"
#include "security/authority.hpp"
#include "store/store.hpp"
#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace detection::http {

struct Endpoint {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any free one
};
/// "127.0.0.1:8000", "[::1]:8000", ":8000" (all addresses).
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view text);

/// A token bucket: so many at once, so many a second after that.
struct Rate {
  double per_s = 0;
  double burst = 0;
};
/// "2000:4000" (RATE:BURST, a second), "10/m:10" (a minute).
[[nodiscard]] Result<Rate> parse_rate(std::string_view text);

struct RateLimits {
  bool enabled = true;
  Rate subject{2000, 4000};   ///< an authenticated subject
  Rate address{2, 10};        ///< an address whose requests are not authenticated
  Rate token{10.0 / 60, 10};  ///< the token endpoint, per address
};

/// "10.0.0.0/8", "fd00::/8", "192.0.2.7".
struct AddressBlock {
  ClientAddress address{};
  unsigned prefix_bits = 128;  ///< of the (mapped) IPv6 address
  [[nodiscard]] bool contains(const ClientAddress& other) const noexcept;
};
[[nodiscard]] Result<AddressBlock> parse_address_block(std::string_view text);

struct ServiceOptions {
  Endpoint api{};
  Endpoint metrics{};
  unsigned threads = 2;
  std::size_t connections_most = 4096;
  std::size_t header_bytes_most = 16u << 10;
  std::size_t target_bytes_most = 8u << 10;
  std::size_t body_bytes_most = 64u << 10;        ///< of one detection without an image
  std::size_t image_body_bytes_most = 12u << 20;  ///< of one detection with an image (8 MB as base64)
  std::size_t batch_body_bytes_most = 32u << 20;
  std::chrono::milliseconds header_timeout{10'000};
  std::chrono::milliseconds body_timeout{30'000};
  std::chrono::milliseconds idle_timeout{75'000};
  std::chrono::milliseconds write_timeout{30'000};
  std::chrono::milliseconds heartbeat{15'000};     ///< of the live feed
  std::size_t feed_readers_most = 256;             ///< of the live feed; further ones get 503
  std::string version, commit, slot;               ///< for /health
  std::string tls_certificate_file, tls_key_file;  ///< both or none: TLS on the API port, re-read when they change
  std::vector<std::string> cors_origins;           ///< exact origins; empty: no CORS
  std::vector<AddressBlock> trusted_proxies;       ///< whose X-Forwarded-For counts
  RateLimits rate_limits{};
  bool share_limits = false;             ///< with the other processes of the store (Store::share_usage)
  std::size_t cached_reads_most = 4096;  ///< detections by id; 0: no cache
  std::string_view console{};            ///< bytes of a ConsoleArchive, which outlive the service; empty: no console
};

/// What the routes work with; all must outlive the service.
struct Rooms {
  const pipeline::Acceptor& acceptor;
  store::Store& store;
  std::vector<pipeline::Courier*> couriers;
  cot::EventOptions event{};  ///< for GET .../cot
  security::Authority& authority;
  telemetry::Metrics& metrics;
  telemetry::Log& log;
};

class Service {
 public:
  virtual ~Service() = default;
  /// Binds and listens; the error names the address.
  [[nodiscard]] virtual Result<void> start() = 0;
  /// The endpoints as bound.
  [[nodiscard]] virtual Endpoint api_endpoint() const = 0;
  [[nodiscard]] virtual Endpoint metrics_endpoint() const = 0;
  /// /ready says 503 from now on; requests are still served, with Connection: close.
  virtual void begin_drain() = 0;
  /// False: API connections end with their next answer (a release slot that has lost its traffic), until it is true
  /// again.
  virtual void keep_connections(bool keep) = 0;
  /// Stops accepting, finishes what is in flight (at most `grace`), closes and joins. Idempotent.
  virtual void stop(std::chrono::milliseconds grace) = 0;
};

[[nodiscard]] std::unique_ptr<Service> make_service(const ServiceOptions& options, const Rooms& rooms);

}  // namespace detection::http
