#pragma once
// A TAK server for tests whose faults are switched on by a script: target tak_test_server, never part of the product.
// Listens on 127.0.0.1, an ephemeral port. One thread of its own; every function may be called from any thread.
// It shares no code with the sink, so that a mistake is not made on both sides.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tak/scripted_stream.hpp"

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

  std::size_t recv_bytes = 0;    ///< of one recv at most; 0: as much as there is
  bool drop_tail = false;        ///< as OpenTAKServer: what follows a whole event in one recv, unfinished, is lost
  bool decode_utf8 = false;      ///< as OpenTAKServer: each recv is decoded by itself; closes where that fails
  std::size_t element_most = 0;  ///< as GoATAK: closes on an XML element of more bytes (there 2048); 0: any size

  /// `<auth>` as the first message: asked for (else closed), or refused whatever it says.
  enum class Auth : std::uint8_t { kIgnored, kDemanded, kRefused };
  Auth auth = Auth::kIgnored;
  std::string username = {}, password = {};  ///< that kDemanded wants

  // Negotiation of TAK Protocol v1; a connection decides at connect whether it offers.
  enum class Offer : std::uint8_t { kNever, kAtConnect, kTwice };
  Offer offer = Offer::kNever;
  std::chrono::milliseconds offer_delay{0};   ///< after the connect
  std::vector<std::string> versions = {"1"};  ///< that are offered; only 1 is ever accepted
  std::string offer_uid = "protouid";         ///< of offer and answer (GoATAK's literal)
  enum class Reply : std::uint8_t { kTrue, kFalse, kSilent, kClose, kWrongUid, kWrongUidThenTrue };
  Reply reply = Reply::kTrue;
  std::chrono::milliseconds reply_delay{0};
  int refuse_first = 0;              ///< so many first requests of a connection get "false"
  std::size_t xml_before_reply = 0;  ///< events sent between request and answer
  bool frame_with_reply = false;     ///< an event as a frame in the same segment as the answer

  // Ends, after so many bytes of a connection (0: never):
  std::uint64_t close_after = 0, reset_after = 0, half_close_after = 0, pause_after = 0;
};

class ScriptedServer {
 public:
  /// With `tls`: nothing else is spoken on its port.
  explicit ScriptedServer(ServerScript script = {}, const std::optional<ServerTls>& tls = {});
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
  /// What the rules of reference/tak.md 1.5 and 1.6 are held against, over all connections.
  struct Seen {
    std::uint64_t requests = 0;      ///< for a protocol
    std::uint64_t unasked = 0;       ///< of them: without an offer before, or not with its uid
    std::uint64_t early_bytes = 0;   ///< between a request and its answer
    std::uint64_t switched = 0;      ///< connections that went over to frames
    std::uint64_t frame_events = 0;  ///< read as frames, pings not
    std::uint64_t frame_pings = 0;
    std::uint64_t broken_frames = 0;  ///< no magic byte, unreadable, or XML after the switch
    std::uint64_t oversized = 0;      ///< elements beyond element_most
    std::uint64_t utf8_errors = 0;    ///< recvs that are no UTF-8 by themselves
    std::uint64_t non_ascii = 0;      ///< recvs of XML with such a byte
    std::uint64_t split_records = 0;  ///< TLS records that end inside an event
    std::uint64_t auths = 0, auths_refused = 0;
    std::uint64_t handshakes = 0;               ///< TLS, done
    std::string last_version = {};              ///< that was asked for
    std::set<std::string> client_names = {};    ///< subjects of the clients' certificates
    std::vector<std::string> first_bytes = {};  ///< of each connection, at most 64
  };
  [[nodiscard]] Seen seen() const;
  /// Waits until so many different events were read; false after the time.
  [[nodiscard]] bool wait_for_events(std::size_t different, std::chrono::milliseconds most) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detection::tak
