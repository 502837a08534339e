#pragma once
// A TAK server for tests whose faults are switched on by a script: target tak_test_server, never part of the product.
// Listens on 127.0.0.1, an ephemeral port. One thread of its own; every function may be called from any thread.
// It shares no code with the sink, so that a mistake is not made on both sides.

#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <string>

namespace detection::tak {

/// What the server does from now on, also on connections that stand (except what is said to happen at connect).
struct ServerScript {
  enum class Answer : std::uint8_t { kPong, kEcho, kNever };
  Answer answer = Answer::kPong;
  std::chrono::milliseconds pong_delay{0};
  int pong_repeats = 0;  ///< the same bytes again, so often
  std::chrono::milliseconds repeat_delay{0};
  int lose_every = 0;                            ///< every n-th ping of a connection is read and never answered
  int lose_first = 0;                            ///< so many first pings of a connection
  std::chrono::milliseconds pong_resolution{1};  ///< of the time in a pong

  // At connect:
  std::size_t replay_events = 0;      ///< "whole picture"
  std::size_t giant_event_bytes = 0;  ///< one event of that size
  std::string junk = {};              ///< these bytes

  // Reading:
  std::size_t read_bytes_per_second = 0;  ///< 0: as fast as they come
  std::size_t receive_buffer = 0;         ///< SO_RCVBUF at accept; 0: the system's
  bool paused = false;                    ///< reads nothing (a hung server: its kernel still acknowledges)
  bool count_only = false;                ///< counts events and does not remember uids (benchmarks)

  // Ends, after so many bytes of a connection (0: never):
  std::uint64_t close_after = 0, reset_after = 0, half_close_after = 0, pause_after = 0;
};

class ScriptedServer {
 public:
  explicit ScriptedServer(ServerScript script = {});
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  void set(ServerScript script);
  /// True: connections are refused until false; those that stand are kept.
  void refuse(bool yes);
  void drop_connections(bool with_reset);
  /// To every connection.
  void send_to_all(std::string bytes);

  /// The event was read to its last byte (before any pong that followed it went out).
  [[nodiscard]] bool has_read(const std::string& uid) const;
  [[nodiscard]] std::set<std::string> uids() const;
  [[nodiscard]] std::uint64_t events() const;  ///< read, repeats included, pings not
  [[nodiscard]] std::uint64_t pings() const;
  [[nodiscard]] std::uint64_t torn() const;         ///< pieces that are no whole event
  [[nodiscard]] std::uint64_t connections() const;  ///< accepted
  [[nodiscard]] std::uint64_t bytes_sent() const;
  /// Waits until so many different events were read; false after the time.
  [[nodiscard]] bool wait_for_events(std::size_t different, std::chrono::milliseconds most) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detection::tak
