#include "tak/scripted_server.hpp"

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
#include <map>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "detection/time.hpp"

namespace detection::tak {
namespace {

using Time = std::chrono::steady_clock::time_point;
constexpr std::string_view kEnd = "</event>";

std::string attribute(std::string_view event, const std::string& name) {
  const std::size_t tag = event.find("<event ");
  const std::size_t at = event.find(" " + name + "=\"", tag);
  if (tag == std::string_view::npos || at == std::string_view::npos) return {};
  const std::size_t from = at + name.size() + 3;
  return std::string(event.substr(from, event.find('"', from) - from));
}

std::string event_text(const std::string& uid, const std::string& type, UtcMicros time, std::string_view detail) {
  const std::string t = format_rfc3339_ms(time);
  return "<event version='2.0' uid='" + uid + "' type='" + type + "' how='h-g-i-g-o' time='" + t + "' start='" + t +
         "' stale='" + format_rfc3339_ms(time + std::chrono::seconds{20}) +
         "'><point lat='0' lon='0' hae='0' ce='999999' le='999999'/>" + std::string(detail) + "</event>";
}

struct Peer {
  int descriptor = -1;
  std::string in;
  std::string out;
  std::multimap<Time, std::string> later;  ///< answers held back
  Time last_due{};
  std::uint64_t bytes = 0;
  std::uint64_t pings = 0;
  double allowance = 0;
  Time metered{};
  bool half_closed = false;
};

}  // namespace

struct ScriptedServer::Impl {
  mutable std::mutex mutex;
  ServerScript script;
  std::vector<Peer> peers;
  std::unordered_set<std::string> uids;
  std::atomic<std::uint64_t> events{0}, pings{0}, torn{0}, connections{0}, bytes_sent{0};
  int listener = -1;
  int wake = -1;
  std::uint16_t port = 0;
  std::atomic<bool> stop{false};
  std::thread thread;

  void listen_now() {
    listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int one = 1;
    (void)::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (script.receive_buffer != 0) {
      // Taken over by accepted sockets; set later it would not shrink the window that is already offered.
      const int bytes = static_cast<int>(script.receive_buffer);
      (void)::setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    socklen_t size = sizeof address;
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener, 64) != 0 ||
        ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("the scripted TAK server cannot listen");
    }
    port = ntohs(address.sin_port);
  }

  void poke() const {
    const std::uint64_t one = 1;
    (void)!::write(wake, &one, sizeof one);
  }

  static void shut(Peer& peer, bool reset) {
    if (reset) {
      const linger now{.l_onoff = 1, .l_linger = 0};
      (void)::setsockopt(peer.descriptor, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    ::close(peer.descriptor);
    peer.descriptor = -1;
  }

  void accept_all() {
    while (true) {
      const int descriptor = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (descriptor < 0) return;
      ++connections;
      const int one = 1;
      (void)::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      Peer peer;
      peer.descriptor = descriptor;
      peer.metered = std::chrono::steady_clock::now();
      peer.out = script.junk;
      for (std::size_t i = 0; i < script.replay_events; ++i) {
        peer.out += event_text("replay-" + std::to_string(i), "a-f-G", system_now(), "<detail><remarks/></detail>");
      }
      if (script.giant_event_bytes != 0) {
        peer.out += event_text("giant", "a-f-G", system_now(),
                               "<detail>" + std::string(script.giant_event_bytes, 'x') + "</detail>");
      }
      peers.push_back(std::move(peer));
    }
  }

  void answer(Peer& peer, std::string_view ping) {
    ++pings;
    ++peer.pings;
    const auto number = static_cast<std::int64_t>(peer.pings);
    if (script.answer == ServerScript::Answer::kNever || number <= script.lose_first) return;
    if (script.lose_every != 0 && number % script.lose_every == 0) return;
    std::string text;
    if (script.answer == ServerScript::Answer::kEcho) {
      text = ping;
    } else {
      const std::int64_t step = script.pong_resolution.count() * 1'000;
      text = event_text("takPong", "t-x-c-t-r", {system_now().count / step * step}, "");
    }
    // Answers keep their order whatever their delays.
    const Time due = std::max(std::chrono::steady_clock::now() + script.pong_delay, peer.last_due);
    peer.last_due = due;
    for (int i = 0; i < script.pong_repeats; ++i) peer.later.emplace(due + script.repeat_delay, text);
    if (script.pong_delay.count() == 0 && peer.later.empty()) {
      peer.out += text;
    } else {
      peer.later.emplace(due, std::move(text));
    }
  }

  void take_events(Peer& peer) {
    std::size_t from = 0;
    while (true) {
      const std::size_t at = peer.in.find(kEnd, from);
      if (at == std::string::npos) break;
      const std::string_view event = std::string_view(peer.in).substr(from, at + kEnd.size() - from);
      from = at + kEnd.size();
      const bool ping = event.size() < 600 && event.find("\"t-x-c-t\"") != std::string_view::npos;
      if (!event.starts_with("<?xml ") && !event.starts_with("<event ")) ++torn;
      if (ping) {
        answer(peer, event);
        continue;
      }
      ++events;
      if (!script.count_only) uids.insert(attribute(event, "uid"));
    }
    peer.in.erase(0, from);
  }

  /// False when the connection is over.
  bool read(Peer& peer, std::vector<char>& buffer) {
    std::size_t most = buffer.size();
    if (script.read_bytes_per_second != 0) {
      const Time now = std::chrono::steady_clock::now();
      peer.allowance +=
          std::chrono::duration<double>(now - peer.metered).count() * static_cast<double>(script.read_bytes_per_second);
      peer.metered = now;
      peer.allowance = std::min(peer.allowance, static_cast<double>(script.read_bytes_per_second) / 10 + 1);
      most = std::min(most, static_cast<std::size_t>(std::max(0.0, peer.allowance)));
      if (most == 0) return true;
    }
    for (const std::uint64_t limit : {script.close_after, script.reset_after, script.pause_after}) {
      if (limit > peer.bytes) most = std::min<std::size_t>(most, limit - peer.bytes);
    }
    const ssize_t n = ::recv(peer.descriptor, buffer.data(), most, 0);
    if (n == 0) return false;
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    peer.allowance -= static_cast<double>(n);
    peer.bytes += static_cast<std::uint64_t>(n);
    peer.in.append(buffer.data(), static_cast<std::size_t>(n));
    take_events(peer);
    if (script.close_after != 0 && peer.bytes >= script.close_after) return false;
    if (script.reset_after != 0 && peer.bytes >= script.reset_after) {
      shut(peer, true);
      return true;
    }
    if (script.half_close_after != 0 && peer.bytes >= script.half_close_after && !peer.half_closed) {
      peer.half_closed = true;
      (void)::shutdown(peer.descriptor, SHUT_WR);
    }
    return true;
  }

  bool write(Peer& peer) {
    const Time now = std::chrono::steady_clock::now();
    while (!peer.later.empty() && peer.later.begin()->first <= now) {
      peer.out += peer.later.begin()->second;
      peer.later.erase(peer.later.begin());
    }
    if (peer.half_closed) peer.out.clear();
    while (!peer.out.empty()) {
      const ssize_t n = ::send(peer.descriptor, peer.out.data(), peer.out.size(), MSG_NOSIGNAL);
      if (n < 0) return errno == EAGAIN || errno == EINTR;
      bytes_sent += static_cast<std::uint64_t>(n);
      peer.out.erase(0, static_cast<std::size_t>(n));
    }
    return true;
  }

  bool wants_input(const Peer& peer) const {
    return !script.paused && (script.pause_after == 0 || peer.bytes < script.pause_after);
  }

  void run() {
    std::vector<char> buffer(256u << 10);
    std::vector<pollfd> waits;
    while (!stop) {
      int timeout = 50;
      waits.clear();
      waits.push_back({.fd = wake, .events = POLLIN, .revents = 0});
      {
        const std::lock_guard lock(mutex);
        if (listener >= 0) waits.push_back({.fd = listener, .events = POLLIN, .revents = 0});
        for (const Peer& peer : peers) {
          const bool metered = script.read_bytes_per_second != 0;
          short events_wanted = 0;
          if (wants_input(peer) && !metered) events_wanted |= POLLIN;
          if (!peer.out.empty()) events_wanted |= POLLOUT;
          // A negative descriptor is passed over by poll: a peer that is not read must not make it spin (POLLHUP).
          waits.push_back({.fd = events_wanted == 0 ? -1 : peer.descriptor, .events = events_wanted, .revents = 0});
          if (!peer.later.empty() || metered) timeout = 1;
        }
      }
      (void)::poll(waits.data(), waits.size(), timeout);
      if ((waits[0].revents & POLLIN) != 0) {
        std::uint64_t sink = 0;
        (void)!::read(wake, &sink, sizeof sink);
      }
      const std::lock_guard lock(mutex);
      if (listener >= 0) accept_all();
      for (Peer& peer : peers) {
        if (peer.descriptor >= 0 && wants_input(peer) && !read(peer, buffer)) shut(peer, false);
        if (peer.descriptor >= 0 && !write(peer)) shut(peer, false);
      }
      std::erase_if(peers, [](const Peer& peer) { return peer.descriptor < 0; });
    }
  }
};

ScriptedServer::ScriptedServer(ServerScript script) : impl_(std::make_unique<Impl>()) {
  impl_->script = std::move(script);
  impl_->wake = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  impl_->listen_now();
  impl_->thread = std::thread([this] { impl_->run(); });
}

ScriptedServer::~ScriptedServer() {
  impl_->stop = true;
  impl_->poke();
  impl_->thread.join();
  for (Peer& peer : impl_->peers) Impl::shut(peer, false);
  if (impl_->listener >= 0) ::close(impl_->listener);
  ::close(impl_->wake);
}

std::uint16_t ScriptedServer::port() const {
  return impl_->port;
}

void ScriptedServer::set(ServerScript script) {
  const std::lock_guard lock(impl_->mutex);
  impl_->script = std::move(script);
  impl_->poke();
}

void ScriptedServer::refuse(bool yes) {
  const std::lock_guard lock(impl_->mutex);
  if (yes && impl_->listener >= 0) {
    ::close(std::exchange(impl_->listener, -1));
  } else if (!yes && impl_->listener < 0) {
    // The port may be taken for a moment by a client that has just met itself on it.
    for (int tries = 0; impl_->listener < 0; ++tries) {
      try {
        impl_->listen_now();
      } catch (const std::runtime_error&) {
        ::close(std::exchange(impl_->listener, -1));
        if (tries == 100) throw;
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
      }
    }
  }
  impl_->poke();
}

void ScriptedServer::drop_connections(bool with_reset) {
  const std::lock_guard lock(impl_->mutex);
  for (Peer& peer : impl_->peers) Impl::shut(peer, with_reset);
  impl_->peers.clear();
  impl_->poke();
}

void ScriptedServer::send_to_all(std::string bytes) {
  const std::lock_guard lock(impl_->mutex);
  for (Peer& peer : impl_->peers) peer.out += bytes;
  impl_->poke();
}

bool ScriptedServer::has_read(const std::string& uid) const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->uids.contains(uid);
}

std::set<std::string> ScriptedServer::uids() const {
  const std::lock_guard lock(impl_->mutex);
  return {impl_->uids.begin(), impl_->uids.end()};
}

std::uint64_t ScriptedServer::events() const {
  return impl_->events;
}
std::uint64_t ScriptedServer::pings() const {
  return impl_->pings;
}
std::uint64_t ScriptedServer::torn() const {
  return impl_->torn;
}
std::uint64_t ScriptedServer::connections() const {
  return impl_->connections;
}
std::uint64_t ScriptedServer::bytes_sent() const {
  return impl_->bytes_sent;
}

bool ScriptedServer::wait_for_events(std::size_t different, std::chrono::milliseconds most) const {
  const Time until = std::chrono::steady_clock::now() + most;
  while (std::chrono::steady_clock::now() < until) {
    {
      const std::lock_guard lock(impl_->mutex);
      if (impl_->uids.size() >= different) return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  return false;
}

}  // namespace detection::tak
