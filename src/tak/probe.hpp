#pragma once
// What a feeder would meet at an address, step by step, for the person who sets it up. Blocking, with deadlines; made
// of plain sockets, apart from the sinks' connections. Sends pings only (and `<auth>` where there is a user): nothing
// shows on a map.

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "tak/credentials.hpp"
#include "tak/sink.hpp"
#include "tak/tls_context.hpp"

namespace detection::tak {

struct ProbeOptions {
  SinkAddress address{};
  TlsOptions tls{};
  CredentialsPointer credentials{};             ///< null: none
  std::string interface{};                      ///< of udp://, as in SinkOptions
  std::chrono::milliseconds timeout{10'000};    ///< of each step: lookup, connecting, TLS, the answer to a ping
  std::chrono::milliseconds offer_wait{2'000};  ///< for the offer of protobuf, after connecting
};

enum class StepState : std::uint8_t {
  kGood,
  kNote,  ///< works, but somebody should know
  kBad,
};

struct ProbeStep {
  StepState state = StepState::kGood;
  std::string
      name;  ///< "address", "credentials", "name", "tcp", "tls", "client certificate", "auth", "protobuf", "ping"
  std::string text;  ///< one line
};

enum class PingAnswer : std::uint8_t { kNone, kPong, kEcho };

struct ProbeReport {
  std::vector<ProbeStep> steps;
  bool would_deliver = false;
  std::string conclusion;  ///< what it means for delivery
  std::optional<ServerCertificate> server{};
  std::string tls_version;
  bool offers_protobuf = false;
  PingAnswer ping = PingAnswer::kNone;
  std::optional<std::chrono::microseconds> round_trip{};
  std::optional<std::chrono::microseconds> server_clock_ahead{};
};

[[nodiscard]] ProbeReport probe(const ProbeOptions& options);

}  // namespace detection::tak
