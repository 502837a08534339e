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
#include "tak/wire_frames.hpp"

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

std::string control_text(const std::string& uid, const std::string& type, std::string_view inner) {
  return event_text(uid, type, system_now(), "<detail><TakControl>" + std::string(inner) + "</TakControl></detail>");
}

/// Each recv by itself, as a server does that decodes what it just read.
bool is_utf8(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size();) {
    const auto lead = static_cast<unsigned char>(bytes[i]);
    const std::size_t more = lead < 0x80 ? 0 : lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc2 ? 1 : 99;
    if (more == 99 || lead > 0xf4 || i + more >= bytes.size()) return false;
    for (std::size_t k = 1; k <= more; ++k)
      if ((static_cast<unsigned char>(bytes[i + k]) & 0xc0U) != 0x80) return false;
    i += more + 1;
  }
  return true;
}

/// An answer in both forms: which one is right shows when it leaves.
struct Answer {
  std::string xml, frame;
};

struct Peer {
  explicit Peer(ScriptedStream accepted) : stream(std::move(accepted)) {}

  ScriptedStream stream;
  std::string in;
  std::string out;
  std::multimap<Time, Answer> later;  ///< answers held back
  Time last_due{};
  // Negotiation:
  std::optional<Time> offer_due, reply_due;
  bool offered = false;
  bool asked = false;   ///< a request waits for its answer
  bool frames = false;  ///< both sides speak frames
  int requests = 0;
  bool introduced = false;
  bool begun = false;  ///< a byte was read
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
  Seen seen;  ///< under the mutex
  std::shared_ptr<ssl_ctx_st> tls;
  int listener = -1;
  int holder = -1;  ///< of the port, while it refuses
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

  /// Bound, but nobody listens: who connects is refused, and nobody else gets the port, the client itself included.
  void hold_port() {
    holder = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int one = 1;
    (void)::setsockopt(holder, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    // Where it is taken already in this moment, it is as it would be without.
    if (::bind(holder, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) ::close(std::exchange(holder, -1));
  }

  void poke() const {
    const std::uint64_t one = 1;
    (void)!::write(wake, &one, sizeof one);
  }

  static void shut(Peer& peer, bool reset) { peer.stream.close(reset); }

  void accept_all() {
    while (true) {
      const int descriptor = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (descriptor < 0) return;
      ++connections;
      const int one = 1;
      (void)::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      Peer peer(ScriptedStream(descriptor, tls.get()));
      const Time now = std::chrono::steady_clock::now();
      peer.metered = now;
      if (script.offer != ServerScript::Offer::kNever) peer.offer_due = now + script.offer_delay;
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
    const std::int64_t step = script.pong_resolution.count() * 1'000;
    const UtcMicros time{system_now().count / step * step};
    Answer text{.xml = event_text("takPong", "t-x-c-t-r", time, ""),
                .frame = hand_made_frame({.uid = "takPong", .type = "t-x-c-t-r"}, time)};
    if (script.answer == ServerScript::Answer::kEcho) (peer.frames ? text.frame : text.xml) = ping;
    // Answers keep their order whatever their delays.
    const Time due = std::max(std::chrono::steady_clock::now() + script.pong_delay, peer.last_due);
    peer.last_due = due;
    for (int i = 0; i < script.pong_repeats; ++i) peer.later.emplace(due + script.repeat_delay, text);
    if (script.pong_delay.count() == 0 && peer.later.empty()) {
      peer.out += peer.frames ? text.frame : text.xml;
    } else {
      peer.later.emplace(due, std::move(text));
    }
  }

  void note(Peer& peer, std::string uid) {
    ++events;
    if (peer.frames) ++seen.frame_events;
    if (!script.count_only) uids.insert(std::move(uid));
  }

  void request(Peer& peer, std::string_view event) {
    ++seen.requests;
    ++peer.requests;
    if (!peer.offered || attribute(event, "uid") != script.offer_uid) ++seen.unasked;
    constexpr std::string_view kVersion = "TakRequest version=\"";
    const std::size_t at = event.find(kVersion);
    seen.last_version.clear();
    if (at != std::string_view::npos) {
      const std::string_view rest = event.substr(at + kVersion.size());
      seen.last_version = rest.substr(0, rest.find('"'));
    }
    peer.asked = true;
    peer.reply_due = std::chrono::steady_clock::now() + script.reply_delay;
    for (std::size_t i = 0; i < script.xml_before_reply; ++i) {
      peer.out += event_text("between-" + std::to_string(i), "a-f-G", system_now(), "<detail><remarks/></detail>");
    }
  }

  /// False when the connection is over.
  bool reply(Peer& peer) {
    using Reply = ServerScript::Reply;
    peer.reply_due.reset();
    const auto say = [&](const std::string& uid, bool yes) {
      peer.out +=
          control_text(uid, "t-x-takp-r", std::string("<TakResponse status=\"") + (yes ? "true" : "false") + "\"/>");
    };
    if (script.reply == Reply::kClose) return false;
    if (script.reply == Reply::kSilent) return true;
    if (script.reply == Reply::kWrongUid || script.reply == Reply::kWrongUidThenTrue) {
      say(script.offer_uid + "-of-another", true);
      if (script.reply == Reply::kWrongUid) return true;
    }
    const bool yes = script.reply != Reply::kFalse && peer.requests > script.refuse_first && seen.last_version == "1";
    say(script.offer_uid, yes);
    peer.asked = false;
    if (!yes) return true;
    peer.frames = true;
    ++seen.switched;
    if (script.frame_with_reply) peer.out += hand_made_frame({.uid = "first", .type = "a-f-G"}, system_now());
    return true;
  }

  /// An `<auth>` at the beginning of a connection. False when the connection is over.
  bool introduce(Peer& peer) {
    using Auth = ServerScript::Auth;
    if (peer.introduced || peer.in.size() < 6) return true;
    const std::size_t at = peer.in.find("<auth>");
    const std::size_t event = peer.in.find("<event");
    if (at == std::string::npos || (event != std::string::npos && event < at)) {
      if (event == std::string::npos) return true;
      peer.introduced = true;
      return script.auth == Auth::kIgnored;
    }
    constexpr std::string_view kAuthEnd = "</auth>";
    const std::size_t end = peer.in.find(kAuthEnd, at);
    if (end == std::string::npos) return true;
    const std::string text = peer.in.substr(at, end - at);
    peer.in.erase(0, end + kAuthEnd.size());
    peer.introduced = true;
    ++seen.auths;
    const bool right = text.find("username=\"" + script.username + "\"") != std::string::npos &&
                       text.find("password=\"" + script.password + "\"") != std::string::npos;
    if (script.auth == Auth::kRefused || (script.auth == Auth::kDemanded && !right)) {
      ++seen.auths_refused;
      return false;
    }
    return true;
  }

  /// False when the connection is over.
  bool take_frames(Peer& peer) {
    std::size_t from = 0;
    bool sound = true;
    while (sound) {
      const std::string_view rest = std::string_view(peer.in).substr(from);
      const FrameCut frame = cut_frame(rest);
      if (frame.what == FrameCut::What::kIncomplete) break;
      const auto event = frame.what == FrameCut::What::kWhole ? read_message(frame.message) : std::nullopt;
      if (!event) {
        ++seen.broken_frames;
        sound = false;
      } else if (event->type == "t-x-c-t") {
        ++seen.frame_pings;
        answer(peer, rest.substr(0, frame.size));
      } else {
        note(peer, event->uid);
      }
      from += frame.size;
    }
    peer.in.erase(0, from);
    return sound;
  }

  /// False when the connection is over. `whole` becomes true when an event ended.
  bool take_events(Peer& peer, bool& whole) {
    if (!introduce(peer)) return false;
    if (peer.frames) return take_frames(peer);
    std::size_t from = 0;
    while (true) {
      const std::size_t at = peer.in.find(kEnd, from);
      if (at == std::string::npos) break;
      const std::string_view event = std::string_view(peer.in).substr(from, at + kEnd.size() - from);
      from = at + kEnd.size();
      whole = true;
      const bool ping = event.size() < 600 && event.find("\"t-x-c-t\"") != std::string_view::npos;
      if (!event.starts_with("<?xml ") && !event.starts_with("<event ")) ++torn;
      if (script.element_most != 0 && event.size() > script.element_most) {
        ++seen.oversized;
        return false;
      }
      if (ping) {
        answer(peer, event);
      } else if (attribute(event, "type") == "t-x-takp-q") {
        request(peer, event);
        seen.early_bytes += peer.in.size() - from;
      } else {
        note(peer, attribute(event, "uid"));
      }
    }
    peer.in.erase(0, from);
    return true;
  }

  /// One recv. False when the connection is over.
  bool took(Peer& peer, std::string_view bytes) {
    peer.allowance -= static_cast<double>(bytes.size());
    peer.bytes += bytes.size();
    if (!std::exchange(peer.begun, true)) seen.first_bytes.emplace_back(bytes.substr(0, 64));
    if (peer.asked) seen.early_bytes += bytes.size();
    if (!peer.frames) {
      if (!std::ranges::all_of(bytes, [](char c) { return static_cast<unsigned char>(c) < 0x80; })) ++seen.non_ascii;
      if (script.decode_utf8 && !is_utf8(bytes)) {
        ++seen.utf8_errors;
        return false;
      }
    }
    peer.in += bytes;
    bool whole = false;
    if (!take_events(peer, whole)) return false;
    if (peer.stream.tls() && script.recv_bytes == 0 && !peer.in.empty()) ++seen.split_records;
    if (script.drop_tail && whole && !peer.frames) peer.in.clear();
    return true;
  }

  /// False when the connection is over.
  bool read(Peer& peer, std::vector<char>& buffer) {
    std::size_t most = script.recv_bytes != 0 ? std::min(script.recv_bytes, buffer.size()) : buffer.size();
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
    const bool was_done = peer.stream.handshake_done();
    const auto [state, n] = peer.stream.read(buffer.data(), most);
    if (!was_done && peer.stream.handshake_done()) {
      ++seen.handshakes;
      if (const std::string name = peer.stream.client_name(); !name.empty()) seen.client_names.insert(name);
    }
    if (state == ScriptedStream::State::kEnd) return false;
    if (state == ScriptedStream::State::kAgain) return true;
    if (!took(peer, {buffer.data(), n})) return false;
    if (script.close_after != 0 && peer.bytes >= script.close_after) return false;
    if (script.reset_after != 0 && peer.bytes >= script.reset_after) {
      shut(peer, true);
      return true;
    }
    if (script.half_close_after != 0 && peer.bytes >= script.half_close_after && !peer.half_closed) {
      peer.half_closed = true;
      peer.stream.half_close();
    }
    return true;
  }

  bool write(Peer& peer) {
    const Time now = std::chrono::steady_clock::now();
    if (peer.offer_due && *peer.offer_due <= now) offer(peer);
    if (peer.reply_due && *peer.reply_due <= now && !reply(peer)) return false;
    while (!peer.later.empty() && peer.later.begin()->first <= now) {
      peer.out += peer.frames ? peer.later.begin()->second.frame : peer.later.begin()->second.xml;
      peer.later.erase(peer.later.begin());
    }
    if (peer.half_closed) peer.out.clear();
    while (!peer.out.empty()) {
      const auto [state, n] = peer.stream.write(peer.out.data(), peer.out.size());
      if (state != ScriptedStream::State::kDone) return state == ScriptedStream::State::kAgain;
      bytes_sent += n;
      peer.out.erase(0, n);
    }
    return true;
  }

  void offer(Peer& peer) {
    peer.offer_due.reset();
    peer.offered = true;
    std::string inner;
    for (const std::string& version : script.versions) inner += "<TakProtocolSupport version=\"" + version + "\"/>";
    const std::string text = control_text(script.offer_uid, "t-x-takp-v", inner);
    peer.out += text;
    if (script.offer == ServerScript::Offer::kTwice) peer.out += text;
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
          const bool shaking = peer.stream.tls() && !peer.stream.handshake_done();
          if (wants_input(peer) && !metered) events_wanted |= POLLIN;
          if (!peer.out.empty() && !shaking) events_wanted |= POLLOUT;
          // A negative descriptor is passed over by poll: a peer that is not read must not make it spin (POLLHUP).
          waits.push_back(
              {.fd = events_wanted == 0 ? -1 : peer.stream.descriptor(), .events = events_wanted, .revents = 0});
          if (!peer.later.empty() || peer.offer_due || peer.reply_due || metered) timeout = std::min(timeout, 1);
          if (peer.stream.pending() && wants_input(peer) && !metered) timeout = 0;
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
        if (peer.stream.open() && wants_input(peer) && !read(peer, buffer)) shut(peer, false);
        if (peer.stream.open() && !write(peer)) shut(peer, false);
      }
      std::erase_if(peers, [](const Peer& peer) { return !peer.stream.open(); });
    }
  }
};

ScriptedServer::ScriptedServer(ServerScript script, const std::optional<ServerTls>& tls)
    : impl_(std::make_unique<Impl>()) {
  impl_->script = std::move(script);
  if (tls) impl_->tls = scripted_tls_context(*tls);
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
  if (impl_->holder >= 0) ::close(impl_->holder);
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
    // Closed alone it would go on listening until the thread's poll() lets go of it.
    (void)::shutdown(impl_->listener, SHUT_RDWR);
    ::close(std::exchange(impl_->listener, -1));
    impl_->hold_port();
  } else if (!yes && impl_->listener < 0) {
    if (impl_->holder >= 0) ::close(std::exchange(impl_->holder, -1));
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

ScriptedServer::Seen ScriptedServer::seen() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->seen;
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
