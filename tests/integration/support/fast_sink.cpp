#include "integration/support/fast_sink.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "integration/support/process.hpp"

namespace detection::integration {
namespace {

constexpr std::string_view kEventEnd = "</event>";
constexpr std::size_t kReadBytes = 256u << 10;

std::int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

std::string_view attribute(std::string_view tag, std::string_view name) {
  for (std::size_t at = 0; (at = tag.find(name, at)) != std::string_view::npos; at += name.size()) {
    const auto quote_at = at + name.size() + 1;
    if (at == 0 || (tag[at - 1] != ' ' && tag[at - 1] != '\n') || quote_at >= tag.size() || tag[quote_at - 1] != '=')
      continue;
    const auto end = tag.find(tag[quote_at], quote_at + 1);
    if (end == std::string_view::npos) return {};
    return tag.substr(quote_at + 1, end - quote_at - 1);
  }
  return {};
}

std::string pong() {
  const auto stamp = [](std::time_t at) {
    std::tm utc{};
    ::gmtime_r(&at, &utc);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S.000Z", &utc);
    return std::string(text.data());
  };
  const auto now = std::time(nullptr);
  return "<event version='2.0' uid='takPong' type='t-x-c-t-r' how='h-g-i-g-o' time='" + stamp(now) + "' start='" +
         stamp(now) + "' stale='" + stamp(now + 20) +
         "'><point lat='0.0' lon='0.0' hae='0.0' ce='9999999.0' le='9999999.0'/></event>";
}

}  // namespace

struct FreeTls {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};

struct FastSink::Impl {
  struct Connection {
    int fd = -1;
    std::unique_ptr<SSL, FreeTls> ssl;  ///< none: plain
    bool dry = false;                   ///< nothing more could be read
    std::string text;                   ///< the beginning of an event that has not ended
    std::string unsent;
    std::uint64_t bytes = 0;
    std::uint64_t read = 0;         ///< events read and not answered for
    std::vector<std::string> uids;  ///< theirs
  };

  FastSinkOptions options;
  std::unique_ptr<SSL_CTX, FreeTls> tls;
  int listener = -1, epoll = -1, wake = -1;
  std::thread thread;
  std::map<int, Connection> connections;
  std::vector<char> buffer = std::vector<char>(kReadBytes);

  std::atomic<bool> stopping{false}, cut{false};
  std::atomic<std::uint64_t> cut_after{0}, cuts{0}, events{0}, events_read{0}, malformed{0}, pings{0}, accepted{0};
  std::atomic<std::int64_t> first_ns{0}, last_ns{0};
  std::atomic<PingReply> reply{PingReply::kPong};
  mutable std::mutex mutex;  ///< guards seen
  std::unordered_map<std::string, std::uint32_t> seen;

  void listen(std::uint16_t port) {
    listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;
    ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener, 64) != 0)
      throw std::system_error(errno, std::generic_category(), "FastSink cannot listen");
    epoll = ::epoll_create1(EPOLL_CLOEXEC);
    wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    watch(listener);
    watch(wake);
  }

  void watch(int fd) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  }

  void nudge() const {
    const std::uint64_t one = 1;
    (void)!::write(wake, &one, sizeof one);
  }

  void run() {
    std::array<epoll_event, 32> ready{};
    while (!stopping.load()) {
      const int count = ::epoll_wait(epoll, ready.data(), static_cast<int>(ready.size()), -1);
      for (int i = 0; i < count; ++i) {
        const int fd = ready[static_cast<std::size_t>(i)].data.fd;
        if (fd == wake) {
          std::uint64_t ignored = 0;
          (void)!::read(wake, &ignored, sizeof ignored);
        } else if (fd == listener) {
          accept_all();
        } else if (const auto found = connections.find(fd); found != connections.end()) {
          if (!serve(found->second)) drop(fd);
        }
      }
      if (cut.exchange(false)) drop_all();
    }
    drop_all();
  }

  void accept_all() {
    while (true) {
      const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd < 0) return;
      accepted.fetch_add(1);
      auto& connection = connections[fd];
      connection.fd = fd;
      if (tls) {
        connection.ssl.reset(SSL_new(tls.get()));
        SSL_set_fd(connection.ssl.get(), fd);
        SSL_set_accept_state(connection.ssl.get());
      }
      watch(fd);
    }
  }

  void drop(int fd) {
    // A reset, as of a host that is gone: unread bytes are lost on both sides.
    linger hard{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    ::close(fd);
    connections.erase(fd);
  }
  void drop_all() {
    while (!connections.empty()) drop(connections.begin()->first);
  }

  enum class Got { kBytes, kNothingNow, kEnd };
  static Got receive(Connection& connection, char* to, std::size_t room, std::size_t& count) {
    if (!connection.ssl) {
      const auto got = ::recv(connection.fd, to, room, 0);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Got::kNothingNow;
      count = got > 0 ? static_cast<std::size_t>(got) : 0;
      return got > 0 ? Got::kBytes : Got::kEnd;
    }
    ERR_clear_error();
    const int result = SSL_read_ex(connection.ssl.get(), to, room, &count);
    if (result == 1) return Got::kBytes;
    return SSL_get_error(connection.ssl.get(), result) == SSL_ERROR_WANT_READ ? Got::kNothingNow : Got::kEnd;
  }

  /// False when the connection has ended.
  bool serve(Connection& connection) {
    // What TLS has read ahead, epoll does not tell of.
    do {
      if (!serve_once(connection)) return false;
    } while (connection.ssl && !connection.dry);
    return true;
  }

  bool serve_once(Connection& connection) {
    std::size_t room = buffer.size();
    const auto limit = cut_after.load();
    if (limit > 0) room = std::min<std::size_t>(room, limit > connection.bytes ? limit - connection.bytes : 1);
    std::size_t count = 0;
    const Got got = receive(connection, buffer.data(), room, count);
    connection.dry = got == Got::kNothingNow;
    if (got != Got::kBytes) return connection.dry;
    connection.bytes += count;
    connection.text.append(buffer.data(), count);
    take_events(connection);
    if (reply.load() == PingReply::kSilent) received(connection);
    if (limit > 0 && connection.bytes >= limit) {
      cut_after.store(0);
      cuts.fetch_add(1);
      return false;
    }
    return flush(connection);
  }

  void take_events(Connection& connection) {
    std::string_view rest = connection.text;
    while (true) {
      const auto end = rest.find(kEventEnd);
      if (end == std::string_view::npos) break;
      one_event(connection, rest.substr(0, end + kEventEnd.size()));
      rest.remove_prefix(end + kEventEnd.size());
    }
    connection.text.erase(0, connection.text.size() - rest.size());
  }

  void one_event(Connection& connection, std::string_view text) {
    const auto begin = text.find("<event");
    const auto end = begin == std::string_view::npos ? begin : text.find('>', begin);
    const auto tag = end == std::string_view::npos ? std::string_view{} : text.substr(begin, end - begin);
    const auto type = attribute(tag, "type");
    const auto uid = attribute(tag, "uid");
    if (type.empty() || uid.empty() || text.find("<event", begin + 1) != std::string_view::npos) {
      malformed.fetch_add(1);
      return;
    }
    if (type == "t-x-c-t") {
      pings.fetch_add(1);
      const auto how = reply.load();
      if (how == PingReply::kSilent) return;
      received(connection);
      connection.unsent += how == PingReply::kPong ? pong() : std::string(text.substr(begin));
      return;
    }
    if (type.starts_with("t-x-takp")) return;
    if (first_ns.load(std::memory_order_relaxed) == 0) first_ns.store(now_ns());
    events_read.fetch_add(1, std::memory_order_relaxed);
    ++connection.read;
    if (options.record_uids) connection.uids.emplace_back(uid);
  }

  void received(Connection& connection) {
    if (connection.read == 0) return;
    if (options.record_uids) {
      const std::scoped_lock lock(mutex);
      for (auto& uid : connection.uids) ++seen[std::move(uid)];
    }
    connection.uids.clear();
    last_ns.store(now_ns());
    events.fetch_add(connection.read);
    connection.read = 0;
  }

  static bool flush(Connection& connection) {
    while (!connection.unsent.empty()) {
      if (connection.ssl) {
        std::size_t sent = 0;
        ERR_clear_error();
        const int result =
            SSL_write_ex(connection.ssl.get(), connection.unsent.data(), connection.unsent.size(), &sent);
        if (result != 1) return SSL_get_error(connection.ssl.get(), result) == SSL_ERROR_WANT_WRITE;
        connection.unsent.erase(0, sent);
        continue;
      }
      const auto sent = ::send(connection.fd, connection.unsent.data(), connection.unsent.size(), MSG_NOSIGNAL);
      // What does not fit goes out after the next read: a pong is small and its peer reads.
      if (sent < 0) return errno == EAGAIN || errno == EINTR;
      connection.unsent.erase(0, static_cast<std::size_t>(sent));
    }
    return true;
  }
};

FastSink::FastSink(const FastSinkOptions& options)
    : port_(options.port != 0 ? options.port : free_port()),
      tls_(!options.certificate.empty()),
      impl_(std::make_unique<Impl>()) {
  impl_->options = options;
  impl_->reply.store(options.reply);
  if (!tls_) return;
  (void)std::signal(SIGPIPE, SIG_IGN);  // OpenSSL's socket BIO writes without MSG_NOSIGNAL
  impl_->tls.reset(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* const context = impl_->tls.get();
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (SSL_CTX_use_certificate_chain_file(context, options.certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, options.key.c_str(), SSL_FILETYPE_PEM) != 1)
    throw std::runtime_error("FastSink cannot use " + options.certificate.string());
}

FastSink::~FastSink() {
  stop();
}

void FastSink::start() {
  if (impl_->thread.joinable()) return;
  impl_->stopping.store(false);
  impl_->cut.store(false);
  impl_->first_ns.store(0);
  impl_->listen(port_);
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

void FastSink::stop() {
  if (!impl_->thread.joinable()) return;
  impl_->stopping.store(true);
  impl_->nudge();
  impl_->thread.join();
  for (int* fd : {&impl_->listener, &impl_->epoll, &impl_->wake}) {
    ::close(*fd);
    *fd = -1;
  }
}

void FastSink::cut_connections() {
  if (!impl_->thread.joinable()) return;
  impl_->cut.store(true);
  impl_->nudge();
}

void FastSink::cut_after_bytes(std::uint64_t bytes) {
  impl_->cut_after.store(bytes);
}
void FastSink::reply_with(PingReply reply) {
  impl_->reply.store(reply);
}

std::uint64_t FastSink::events() const noexcept {
  return impl_->events.load();
}
std::uint64_t FastSink::events_read() const noexcept {
  return impl_->events_read.load();
}
std::uint64_t FastSink::malformed() const noexcept {
  return impl_->malformed.load();
}
std::uint64_t FastSink::pings() const noexcept {
  return impl_->pings.load();
}
std::uint64_t FastSink::connections() const noexcept {
  return impl_->accepted.load();
}
std::uint64_t FastSink::cuts() const noexcept {
  return impl_->cuts.load();
}
std::int64_t FastSink::first_event_ns() const noexcept {
  return impl_->first_ns.load();
}
std::int64_t FastSink::last_event_ns() const noexcept {
  return impl_->last_ns.load();
}

std::size_t FastSink::distinct() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->seen.size();
}

std::unordered_map<std::string, std::uint32_t> FastSink::uids() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->seen;
}

}  // namespace detection::integration
