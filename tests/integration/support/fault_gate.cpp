#include "integration/support/fault_gate.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <deque>
#include <fstream>
#include <list>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

namespace detection::integration {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

/// Held for one direction at most; then the sender's window fills, as it would without a gate.
constexpr std::size_t kHeldMost = 256u << 10;
constexpr std::size_t kReadBytes = 64u << 10;

void set_option(int fd, int level, int name) {
  const int on = 1;
  (void)::setsockopt(fd, level, name, &on, sizeof on);
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// Of the beginning of a TLS stream: the bytes that are whole records (type, version, 2 bytes of length).
std::size_t whole_records(std::string_view bytes) {
  std::size_t at = 0;
  while (at + 5 <= bytes.size()) {
    const auto length = static_cast<std::size_t>(static_cast<unsigned char>(bytes[at + 3])) << 8 |
                        static_cast<unsigned char>(bytes[at + 4]);
    if (at + 5 + length > bytes.size()) break;
    at += 5 + length;
  }
  return at;
}

/// One way of a connection.
struct Way {
  struct Piece {
    Clock::time_point due;
    std::string bytes;
  };
  int from = -1, to = -1;
  std::string unfinished;    ///< a TLS record whose end has not come
  std::deque<Piece> pieces;  ///< read and not passed on
  std::size_t held = 0;
  std::uint64_t read = 0;
  double allowance = 0;
  Clock::time_point metered = Clock::now();
  bool at_end = false, end_passed_on = false, stopped = false;
};

struct Link {
  std::uint64_t number = 0;
  Way to_peer, to_client;
  bool over = false;
  std::optional<Ending> when_sent;  ///< ends so as soon as what it holds for the peer is passed on
};

}  // namespace

struct FaultGate::Impl {
  GateOptions options;
  std::uint16_t port = 0;
  int listener = -1, wake = -1;
  std::thread thread;
  std::atomic<bool> stopping{false};
  std::atomic<std::uint64_t> connections{0}, ended{0}, duplicated{0}, bytes_to_peer{0}, bytes_to_client{0};

  mutable std::mutex mutex;  ///< all below, and the links
  Faults faults;
  std::optional<std::pair<std::uint64_t, Ending>> cut_at;
  std::optional<Ending> cut_inside;
  bool duplicate = false;
  std::list<Link> links;
  std::ofstream record;

  void listen_now() {
    listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    set_option(listener, SOL_SOCKET, SO_REUSEADDR);
    sockaddr_in address = loopback(port);
    socklen_t size = sizeof address;
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener, 64) != 0 ||
        ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      ::close(std::exchange(listener, -1));
      return;
    }
    port = ntohs(address.sin_port);
  }

  void nudge() const {
    const std::uint64_t one = 1;
    (void)!::write(wake, &one, sizeof one);
  }

  void accept_all() {
    while (true) {
      const int client = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (client < 0) return;
      const int peer = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in address = loopback(options.peer_port);
      // On loopback this is answered at once, one way or the other.
      if (::connect(peer, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(peer);
        ::close(client);
        continue;
      }
      const std::uint64_t number = ++connections;
      (void)::fcntl(peer, F_SETFL, O_NONBLOCK);
      for (const int fd : {client, peer}) set_option(fd, IPPROTO_TCP, TCP_NODELAY);
      Link& link = links.emplace_back();
      link.number = number;
      link.to_peer.from = link.to_client.to = client;
      link.to_peer.to = link.to_client.from = peer;
    }
  }

  static void finish(Link& link, bool reset) {
    for (const int fd : {link.to_peer.from, link.to_peer.to}) {
      if (reset) {
        const linger now{.l_onoff = 1, .l_linger = 0};
        (void)::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
      }
      ::close(fd);
    }
    link.over = true;
  }

  void end(Link& link, Ending how) {
    ++ended;
    if (how == Ending::kClose || how == Ending::kReset) return finish(link, how == Ending::kReset);
    Way& way = how == Ending::kHalfClient ? link.to_client : link.to_peer;
    way.stopped = way.end_passed_on = true;
    way.pieces.clear();
    way.held = 0;
    (void)::shutdown(way.to, SHUT_WR);
  }

  /// False when the connection is over.
  bool read(Link& link, Way& way, bool to_peer, std::vector<char>& buffer) {
    std::size_t most = std::min(buffer.size(), kHeldMost - std::min(kHeldMost, way.held + way.unfinished.size()));
    if (most == 0) return true;
    const bool limited = to_peer && cut_at && cut_at->first > way.read;
    if (limited) most = std::min<std::size_t>(most, cut_at->first - way.read);
    const ssize_t n = ::recv(way.from, buffer.data(), most, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n < 0) {
      finish(link, true);  // a reset goes through
      return false;
    }
    if (n == 0) {
      way.at_end = true;
      return true;
    }
    way.read += static_cast<std::uint64_t>(n);
    std::string bytes = std::exchange(way.unfinished, {});
    bytes.append(buffer.data(), static_cast<std::size_t>(n));
    if (to_peer && options.whole_tls_records) {
      const std::size_t whole = whole_records(bytes);
      way.unfinished = bytes.substr(whole);
      bytes.resize(whole);
    }
    if (to_peer && cut_inside && bytes.size() > 1) {
      link.when_sent = std::exchange(cut_inside, {});
      bytes.resize(bytes.size() / 2);
      way.stopped = true;
    } else if (limited && way.read >= cut_at->first) {
      link.when_sent = cut_at->second;
      cut_at.reset();
      bytes += std::exchange(way.unfinished, {});
      way.stopped = true;
    }
    const bool whole_events = bytes.starts_with('<') && bytes.ends_with("</event>");
    if (!to_peer && duplicate && whole_events) {
      duplicate = false;
      ++duplicated;
      bytes += std::string(bytes);
    }
    if (bytes.empty()) return true;
    way.held += bytes.size();
    way.pieces.push_back({Clock::now() + faults.delay, std::move(bytes)});
    return true;
  }

  /// False when the connection is over.
  bool write(Link& link, Way& way, bool to_peer) {
    const auto now = Clock::now();
    std::size_t allowed = kHeldMost;
    if (faults.bytes_per_second != 0) {
      const auto rate = static_cast<double>(faults.bytes_per_second);
      way.allowance = std::min(way.allowance + std::chrono::duration<double>(now - way.metered).count() * rate, rate);
      allowed = static_cast<std::size_t>(way.allowance);
    }
    way.metered = now;
    while (!way.pieces.empty() && way.pieces.front().due <= now && allowed > 0) {
      std::string& bytes = way.pieces.front().bytes;
      std::size_t size = std::min(bytes.size(), allowed);
      if (faults.piece_bytes != 0) size = std::min(size, faults.piece_bytes);
      const ssize_t n = ::send(way.to, bytes.data(), size, MSG_NOSIGNAL);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
      if (n < 0) {
        finish(link, true);
        return false;
      }
      const auto sent = static_cast<std::size_t>(n);
      (to_peer ? bytes_to_peer : bytes_to_client) += sent;
      if (to_peer && link.number == 1 && record.is_open())
        record.write(bytes.data(), static_cast<std::streamsize>(sent)).flush();
      way.held -= sent;
      allowed -= sent;
      if (faults.bytes_per_second != 0) way.allowance -= static_cast<double>(sent);
      bytes.erase(0, sent);
      if (bytes.empty()) way.pieces.pop_front();
    }
    if (to_peer && link.when_sent && way.pieces.empty()) {
      end(link, *std::exchange(link.when_sent, {}));
      return !link.over;
    }
    if (way.at_end && way.pieces.empty() && !std::exchange(way.end_passed_on, true)) {
      (void)::shutdown(way.to, SHUT_WR);
    }
    const auto done = [](const Way& one) { return (one.at_end || one.stopped) && one.pieces.empty(); };
    if (done(link.to_peer) && done(link.to_client)) {
      finish(link, false);
      return false;
    }
    return true;
  }

  bool may_read(const Way& way, bool to_peer) const {
    return !way.at_end && !way.stopped && way.held < kHeldMost &&
           !(to_peer ? faults.stall_to_peer : faults.stall_to_client);
  }

  void serve(Link& link, std::vector<char>& buffer) {
    for (const bool to_peer : {true, false}) {
      Way& way = to_peer ? link.to_peer : link.to_client;
      if (may_read(way, to_peer) && !read(link, way, to_peer, buffer)) return;
      if (!write(link, way, to_peer)) return;
    }
  }

  void run() {
    std::vector<char> buffer(kReadBytes);
    std::vector<pollfd> waits;
    while (!stopping) {
      int timeout = 100;
      waits.assign(1, {.fd = wake, .events = POLLIN, .revents = 0});
      {
        const std::scoped_lock lock(mutex);
        if (faults.refuse && listener >= 0) ::close(std::exchange(listener, -1));
        if (!faults.refuse && listener < 0) listen_now();  // the port may be taken for a moment: tried again
        if (!faults.refuse && listener < 0) timeout = 5;
        if (listener >= 0) waits.push_back({.fd = listener, .events = POLLIN, .revents = 0});
        for (Link& link : links) {
          for (const bool to_peer : {true, false}) {
            const Way& way = to_peer ? link.to_peer : link.to_client;
            // A negative descriptor is passed over: what is not to be read must not make it spin.
            if (may_read(way, to_peer)) waits.push_back({.fd = way.from, .events = POLLIN, .revents = 0});
            const bool metered = faults.bytes_per_second != 0 || faults.delay.count() > 0;
            if (way.pieces.empty()) continue;
            if (metered || way.pieces.front().due > Clock::now())
              timeout = std::min(timeout, 2);
            else
              waits.push_back({.fd = way.to, .events = POLLOUT, .revents = 0});
          }
        }
      }
      (void)::poll(waits.data(), waits.size(), timeout);
      std::uint64_t ignored = 0;
      if ((waits[0].revents & POLLIN) != 0) (void)!::read(wake, &ignored, sizeof ignored);
      const std::scoped_lock lock(mutex);
      if (listener >= 0 && !faults.refuse) accept_all();
      for (Link& link : links)
        if (!link.over) serve(link, buffer);
      std::erase_if(links, [](const Link& link) { return link.over; });
    }
  }

  template <class Change>
  void change(Change what) {
    const std::scoped_lock lock(mutex);
    what();
    nudge();
  }
};

FaultGate::FaultGate(const GateOptions& options) : impl_(std::make_unique<Impl>()) {
  impl_->options = options;
  if (!options.record.empty()) impl_->record.open(options.record, std::ios::binary);
  impl_->wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  impl_->listen_now();
  if (impl_->listener < 0) throw std::runtime_error("the fault gate cannot listen");
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

FaultGate::~FaultGate() {
  impl_->stopping = true;
  impl_->nudge();
  impl_->thread.join();
  for (Link& link : impl_->links) Impl::finish(link, false);
  if (impl_->listener >= 0) ::close(impl_->listener);
  ::close(impl_->wake);
}

std::uint16_t FaultGate::port() const noexcept {
  return impl_->port;
}
void FaultGate::set(const Faults& faults) {
  impl_->change([&] { impl_->faults = faults; });
}
void FaultGate::heal() {
  impl_->change([&] {
    impl_->faults = {};
    impl_->cut_at.reset();
    impl_->cut_inside.reset();
    impl_->duplicate = false;
  });
}
void FaultGate::end_all(Ending how) {
  impl_->change([&] {
    for (Link& link : impl_->links) impl_->end(link, how);
    std::erase_if(impl_->links, [](const Link& link) { return link.over; });
  });
}
void FaultGate::cut_at(std::uint64_t bytes, Ending how) {
  impl_->change([&] { impl_->cut_at = {bytes, how}; });
}
void FaultGate::cut_inside(Ending how) {
  impl_->change([&] { impl_->cut_inside = how; });
}
void FaultGate::duplicate_answer() {
  impl_->change([&] { impl_->duplicate = true; });
}

std::vector<std::string> FaultGate::storm(const StormOptions& options) {
  std::printf("storm of %lld ms with seed %llu\n", static_cast<long long>(options.length.count()),
              static_cast<unsigned long long>(options.seed));
  std::mt19937_64 random(options.seed);
  const auto any = [&](int least, int most) { return std::uniform_int_distribution<int>(least, most)(random); };
  const auto end = Clock::now() + options.length;
  std::vector<std::string> said;
  const auto rest = [&](int least_ms, int most_ms) {
    std::this_thread::sleep_until(std::min(end, Clock::now() + milliseconds(any(least_ms, most_ms))));
  };
  const auto for_a_while = [&](const Faults& faults, const char* name) {
    said.emplace_back(name);
    set(faults);
    rest(20, 800);
    set({});
  };
  const auto ending = [&] { return static_cast<Ending>(any(0, 3)); };
  while (Clock::now() < end) {
    switch (any(0, options.slow ? 11 : 7)) {
      case 0: said.emplace_back("reset"), end_all(Ending::kReset); break;
      case 1: said.emplace_back("end"), end_all(ending()); break;
      case 2: said.emplace_back("cut inside"), cut_inside(ending()); break;
      case 3: said.emplace_back("cut at"), cut_at(static_cast<std::uint64_t>(any(1, 300'000)), ending()); break;
      case 4:
        end_all(Ending::kClose);
        for_a_while({.refuse = true}, "close and refuse");
        break;
      case 5: for_a_while({.stall_to_peer = true}, "stall to peer"); break;
      case 6: for_a_while({.stall_to_client = true}, "stall to client"); break;
      case 7:
        if (options.duplicates) said.emplace_back("duplicate"), duplicate_answer();
        break;
      case 8: for_a_while({.delay = milliseconds(any(1, 150))}, "delay"); break;
      case 9: for_a_while({.bytes_per_second = static_cast<std::size_t>(any(500, 200'000))}, "slow"); break;
      case 10: for_a_while({.piece_bytes = static_cast<std::size_t>(any(1, 50))}, "small pieces"); break;
      default:
        for_a_while({.stall_to_peer = true, .stall_to_client = true}, "stall both ways");
        end_all(Ending::kReset);
        break;
    }
    rest(1, 600);
  }
  heal();
  return said;
}

std::uint64_t FaultGate::connections() const noexcept {
  return impl_->connections;
}
std::uint64_t FaultGate::ended() const noexcept {
  return impl_->ended;
}
std::uint64_t FaultGate::duplicated() const noexcept {
  return impl_->duplicated;
}
std::uint64_t FaultGate::bytes_to_peer() const noexcept {
  return impl_->bytes_to_peer;
}
std::uint64_t FaultGate::bytes_to_client() const noexcept {
  return impl_->bytes_to_client;
}
std::size_t FaultGate::standing() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->links.size();
}

}  // namespace detection::integration
