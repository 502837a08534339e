#include "http/server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <random>
#include <system_error>

#include "http/event_loop.hpp"
#include "http/tls_credentials.hpp"

namespace detection::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kBacklog = 1024;

/// A socket address of either family.
struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] bool ipv6() const noexcept { return storage.ss_family == AF_INET6; }
};

std::string text_of(const Endpoint& endpoint) {
  const bool ipv6 = endpoint.address.find(':') != std::string::npos;
  return (ipv6 ? "[" + endpoint.address + "]" : endpoint.address) + ":" + std::to_string(endpoint.port);
}

/// None for what is no numeric address.
std::optional<Address> address_of(const std::string& text, std::uint16_t port) {
  Address address;
  if (in_addr v4{}; ::inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    auto* to = reinterpret_cast<sockaddr_in*>(&address.storage);
    to->sin_family = AF_INET;
    to->sin_port = htons(port);
    to->sin_addr = v4;
    address.size = sizeof(sockaddr_in);
    return address;
  }
  if (in6_addr v6{}; ::inet_pton(AF_INET6, text.c_str(), &v6) == 1) {
    auto* to = reinterpret_cast<sockaddr_in6*>(&address.storage);
    to->sin6_family = AF_INET6;
    to->sin6_port = htons(port);
    to->sin6_addr = v6;
    address.size = sizeof(sockaddr_in6);
    return address;
  }
  return std::nullopt;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

void set_on(int fd, int level, int option) {
  const int on = 1;
  ::setsockopt(fd, level, option, &on, sizeof on);
}

/// A bound socket, or errno.
std::expected<Descriptor, int> bound(Address& address, bool shared) {
  Descriptor fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return std::unexpected(errno);
  set_on(fd.get(), SOL_SOCKET, SO_REUSEADDR);
  if (shared) set_on(fd.get(), SOL_SOCKET, SO_REUSEPORT);
  if (address.ipv6()) {
    const int only = 0;  // [::] takes IPv4 too
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
  }
  if (::bind(fd.get(), address.get(), address.size) != 0) return std::unexpected(errno);
  return fd;
}

std::uint16_t port_of(int fd) {
  Address address;
  address.size = sizeof address.storage;
  if (::getsockname(fd, address.get(), &address.size) != 0) return 0;
  return ntohs(address.ipv6() ? reinterpret_cast<sockaddr_in6*>(&address.storage)->sin6_port
                              : reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port);
}

std::unexpected<Error> cannot_listen(const Endpoint& endpoint, int number) {
  return fail(ErrorCode::kConfiguration,
              "cannot listen on " + text_of(endpoint) + ": " + std::system_category().message(number));
}

/// `count` listening sockets of one address; writes the port into `endpoint`.
Result<std::vector<Descriptor>> listening(Endpoint& endpoint, std::size_t count, bool& ipv6) {
  std::vector<Descriptor> sockets;
  auto address = address_of(endpoint.address, endpoint.port);
  if (!address)
    return fail(ErrorCode::kConfiguration, "cannot listen on " + text_of(endpoint) + ": not a numeric address");
  ipv6 = address->ipv6();
  if (endpoint.port != 0) {
    // Sockets that share a port would also share it with another process of ours: see first that nobody has it.
    if (const auto probe = bound(*address, false); !probe) return cannot_listen(endpoint, probe.error());
  }
  for (std::size_t i = 0; i < count; ++i) {
    address = address_of(endpoint.address, endpoint.port);
    auto fd = bound(*address, count > 1);
    if (!fd) return cannot_listen(endpoint, fd.error());
    if (::listen(fd->get(), kBacklog) != 0) return cannot_listen(endpoint, errno);
    endpoint.port = port_of(fd->get());
    sockets.push_back(std::move(*fd));
  }
  return sockets;
}

class LoopServer final : public Server {
 public:
  explicit LoopServer(ServerSetup setup) : setup_(std::move(setup)) {
    state_.limits = setup_.limits;
    state_.refused = setup_.refused;
    state_.connections_gauge = setup_.connections;
  }
  ~LoopServer() override { stop(milliseconds{0}); }

  Result<void> start() override {
    if (auto secured = load_tls(); !secured) return secured;
    bool api_ipv6 = false, metrics_ipv6 = false;
    const auto threads = std::max(1U, setup_.threads);
    auto api = listening(setup_.api, threads, api_ipv6);
    if (!api) return std::unexpected(std::move(api.error()));
    auto metrics = listening(setup_.metrics, 1, metrics_ipv6);
    if (!metrics) return std::unexpected(std::move(metrics.error()));
    std::random_device random;
    for (std::size_t i = 0; i < threads; ++i) {
      auto loop = std::make_unique<EventLoop>(state_, (std::uint64_t{random()} << 32) | random());
      loop->add_handler(Port::kApi, setup_.make_handler(*loop, Port::kApi));
      loop->listen((*api)[i].release(), api_ipv6, Port::kApi);
      if (i == 0) {
        loop->add_handler(Port::kMetrics, setup_.make_handler(*loop, Port::kMetrics));
        loop->listen(metrics->front().release(), metrics_ipv6, Port::kMetrics);
      }
      loops_.push_back(std::move(loop));
    }
    for (const auto& loop : loops_) loop->start();
    if (state_.tls) state_.tls->watch(setup_.tls_reloaded);
    return {};
  }

  Endpoint endpoint(Port port) const override { return port == Port::kApi ? setup_.api : setup_.metrics; }

  void begin_drain() override {
    if (state_.draining.exchange(true, std::memory_order_relaxed)) return;
    for (const auto& loop : loops_) loop->end_streams();
  }

  void keep_connections(bool keep) override { state_.keeps_connections.store(keep, std::memory_order_relaxed); }

  void stop(milliseconds grace) override {
    begin_drain();
    const auto by = steady_clock::now() + grace;
    if (std::exchange(stopped_, true)) return;
    for (const auto& loop : loops_) loop->stop(by);
    for (const auto& loop : loops_) loop->join();
  }

  milliseconds longest_silence() const override {
    auto oldest = steady_clock::now();
    const auto now = oldest;
    for (const auto& loop : loops_) oldest = std::min(oldest, loop->last_turn());
    return std::chrono::duration_cast<milliseconds>(now - oldest);
  }

 private:
  Result<void> load_tls() {
    if (setup_.tls.certificate.empty() && setup_.tls.key.empty()) return {};
    auto credentials = TlsCredentials::load(setup_.tls, setup_.certificate_expiry);
    if (!credentials) return std::unexpected(std::move(credentials.error()));
    state_.tls = std::move(*credentials);
    return {};
  }

  ServerSetup setup_;
  ServerState state_;
  std::vector<std::unique_ptr<EventLoop>> loops_;
  bool stopped_ = false;
};

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return fail(ErrorCode::kConfiguration, "'" + std::string(text) + "' is no address to listen on (" +
                                               std::string(why) + "); write 127.0.0.1:8000, [::1]:8000 or :8000");
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong("the port is missing");
  const auto port_text = text.substr(colon + 1);
  auto address = text.substr(0, colon);
  Endpoint endpoint;
  const auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), endpoint.port);
  if (port_text.empty() || error != std::errc{} || end != port_text.data() + port_text.size())
    return wrong("the port must be from 0 to 65535");
  if (address.starts_with('[')) {
    if (!address.ends_with(']')) return wrong("']' is missing");
    address = address.substr(1, address.size() - 2);
    if (address.find(':') == std::string_view::npos) return wrong("brackets are for IPv6");
  } else if (address.find(':') != std::string_view::npos) {
    return wrong("IPv6 is written in brackets");
  }
  endpoint.address = address.empty() ? "::" : (address == "localhost" ? "127.0.0.1" : std::string(address));
  if (!address_of(endpoint.address, 0)) return wrong("the address must be numeric");
  // Where the kernel has no IPv6, all addresses are the IPv4 ones.
  if (address.empty()) {
    const Descriptor probe(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (probe.get() < 0) endpoint.address = "0.0.0.0";
  }
  return endpoint;
}

std::unique_ptr<Server> make_server(ServerSetup setup) {
  return std::make_unique<LoopServer>(std::move(setup));
}

}  // namespace detection::http
