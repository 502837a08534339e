#pragma once
// A TAK server for tests: one thread, epoll, TCP or TLS on 127.0.0.1. It splits its input at </event>, answers pings as
// TAK Server does, and counts an event as received only when it answered a ping that followed it: what it had read
// before its connection was cut is nobody's promise.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>

namespace detection::integration {

enum class PingReply : std::uint8_t {
  kPong,    ///< t-x-c-t-r with uid takPong, as TAK Server
  kEcho,    ///< the ping itself, as OpenTAKServer 1.7
  kSilent,  ///< nothing, ever: events then count as received when they are read
};

struct FastSinkOptions {
  std::uint16_t port = 0;  ///< 0: one from free_port()
  PingReply reply = PingReply::kPong;
  bool record_uids = true;                     ///< false: events are only counted
  std::filesystem::path certificate{}, key{};  ///< PEM; then it speaks TLS, and its name is localhost
};

class FastSink {
 public:
  explicit FastSink(const FastSinkOptions& options = {});
  ~FastSink();
  FastSink(const FastSink&) = delete;
  FastSink& operator=(const FastSink&) = delete;

  /// Listens (again, on the same port). Throws when the port is taken.
  void start();
  /// Resets every connection and listens no more.
  void stop();
  /// Resets the connections there are; goes on listening.
  void cut_connections();
  /// Resets the next connection that has brought so many bytes: wherever that is, usually inside an event.
  void cut_after_bytes(std::uint64_t bytes);
  void reply_with(PingReply reply);

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::string url() const {
    return (tls_ ? "tls://localhost:" : "tcp://127.0.0.1:") + std::to_string(port_);
  }

  // Any thread, also while it runs.
  [[nodiscard]] std::uint64_t events() const noexcept;       ///< received (see above), repeats counted
  [[nodiscard]] std::uint64_t events_read() const noexcept;  ///< read, answered for or not
  [[nodiscard]] std::uint64_t malformed() const noexcept;    ///< text that is no event
  [[nodiscard]] std::uint64_t pings() const noexcept;
  [[nodiscard]] std::uint64_t connections() const noexcept;  ///< accepted so far
  [[nodiscard]] std::uint64_t cuts() const noexcept;         ///< by cut_after_bytes
  /// steady_clock's count of the first event read since start(), of the last one received; 0: none.
  [[nodiscard]] std::int64_t first_event_ns() const noexcept;
  [[nodiscard]] std::int64_t last_event_ns() const noexcept;
  [[nodiscard]] std::size_t distinct() const;
  [[nodiscard]] std::unordered_map<std::string, std::uint32_t> uids() const;  ///< uid -> times received

 private:
  struct Impl;
  std::uint16_t port_;
  bool tls_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detection::integration
