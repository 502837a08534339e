#include "tak/probe.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <random>

#include "cot/event.hpp"
#include "cot/event_splitter.hpp"
#include "cot/reader.hpp"
#include "cot/xml_text.hpp"
#include "tak/certificate.hpp"
#include "tak/probe_datagram.hpp"
#include "tak/probe_stream.hpp"

namespace detection::tak {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::steady_clock;

constexpr std::chrono::hours kExpirySoon{30 * 24};
constexpr std::chrono::seconds kClockTolerance{5};

std::string milliseconds_text(microseconds span) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f ms", static_cast<double>(span.count()) / 1'000);
  return text.data();
}

std::string until_text(UtcMicros expiry, UtcMicros now) {
  return "good until " + format_rfc3339_ms(expiry) + " (" + span_text(expiry - now) + ")";
}

class StreamProbe {
 public:
  explicit StreamProbe(const ProbeOptions& options) : options_(options) {}

  ProbeReport run() {
    if (connect() && (options_.address.scheme != Scheme::kTls || secure())) converse();
    return std::move(report_);
  }

 private:
  void good(std::string name, std::string text) { add(StepState::kGood, std::move(name), std::move(text)); }
  void note(std::string name, std::string text) { add(StepState::kNote, std::move(name), std::move(text)); }
  /// The end of it.
  bool bad(std::string name, std::string text) {
    add(StepState::kBad, std::move(name), std::move(text));
    report_.conclusion = "A feeder would not work: nothing could be delivered.";
    return false;
  }
  void add(StepState state, std::string name, std::string text) {
    report_.steps.push_back({state, std::move(name), std::move(text)});
  }
  [[nodiscard]] ProbeDeadline deadline() const { return steady_clock::now() + options_.timeout; }

  bool connect() {
    const auto& host = options_.address.host;
    const auto addresses = resolve(host, deadline());
    if (!addresses) return bad("name", addresses.error().detail);
    std::string list;
    for (const auto& one : *addresses) list += (list.empty() ? "" : ", ") + one;
    if (list == host)
      good("name", host + " is an address: no name is looked up");
    else
      good("name", host + " is " + list);
    std::string failures;
    for (const auto& address : *addresses) {
      const auto where = address + " port " + std::to_string(options_.address.port);
      const auto begin = steady_clock::now();
      auto stream = ProbeStream::connect(address, options_.address.port, deadline());
      if (!stream) {
        failures += (failures.empty() ? "" : "; ") + where + ": " + stream.error().detail;
        continue;
      }
      if (!failures.empty()) note("tcp", failures);
      good("tcp", "connected to " + where + " in " +
                      milliseconds_text(duration_cast<microseconds>(steady_clock::now() - begin)));
      stream_ = std::move(*stream);
      return true;
    }
    return bad("tcp", failures);
  }

  bool secure() {
    auto context = TlsContext::make(options_.tls, options_.address.host, options_.credentials);
    if (!context) return bad("tls", context.error().detail);
    const auto done = stream_->start_tls(**context, deadline());
    report_.server = TlsContext::server(stream_->ssl());
    if (!done) return bad("tls", done.error().detail);
    report_.tls_version = TlsContext::version(stream_->ssl());
    describe_server();
    describe_client();
    return true;
  }

  void describe_server() {
    const auto now = system_now();
    if (!report_.server) return;
    const auto& server = *report_.server;
    std::string names;
    for (const auto& name : server.names) names += (names.empty() ? "" : ", ") + name;
    const auto text = report_.tls_version + ", the server is " + server.subject + " (" +
                      (server.has_san ? "names: " : "no SAN, CN: ") + names + "), issued by " + server.issuer + ", " +
                      until_text(server.expires, now) + ", pin_sha256=" + server.sha256;
    if (!options_.tls.pin_sha256.empty())
      good("tls", text + "; it is the pinned one");
    else
      good("tls", text);
    if (server.expires - now < kExpirySoon)
      note("tls", server.expires <= now ? "the server's certificate has expired; only the pin lets it pass"
                                        : "the server's certificate ends soon: its administrator should know");
  }

  void describe_client() {
    const auto now = system_now();
    const bool asked = TlsContext::asked_for_certificate(stream_->ssl());
    const auto* ours = options_.credentials.get();
    if (ours == nullptr || ours->certificate_pem.empty()) {
      if (asked) note("client certificate", "the server asks for one and we have none: it may end the connection");
      return;
    }
    const auto text =
        ours->certificate_subject + ", issued by " + ours->certificate_issuer + ", " +
        (*ours->certificate_expires > now ? until_text(*ours->certificate_expires, now)
                                          : "expired at " + format_rfc3339_ms(*ours->certificate_expires)) +
        (asked ? "; the server asked for it" : "; the server did not ask for it");
    const bool soon = *ours->certificate_expires - now < kExpirySoon;
    add(soon ? StepState::kNote : StepState::kGood, "client certificate", text + (soon ? ": renew it soon" : ""));
  }

  /// `<auth>`, a ping, and what comes back.
  void converse() {
    const auto* ours = options_.credentials.get();
    std::string out;
    if (ours != nullptr && !ours->username.empty()) {
      out = "<auth><cot username=\"";
      cot::append_escaped(out, ours->username);
      out += "\" password=\"";
      cot::append_escaped(out, ours->password);
      out += "\"/></auth>";
      authenticated_ = true;
    }
    const auto own_uid = "detection-api.probe-" + std::to_string(std::random_device{}());
    ping_uid_ = own_uid + "-ping";
    ping_time_ = UtcMicros{system_now().count / 1'000 * 1'000};
    cot::append_ping_xml(out, own_uid, ping_time_);
    sent_ = steady_clock::now();
    if (auto sent = stream_->write(out, deadline()); !sent) {
      bad("ping", sent.error().detail);
      return;
    }
    const auto offer_until = sent_ + options_.offer_wait;
    const auto ping_until = sent_ + std::max(options_.timeout, options_.offer_wait);
    bool ended = false;
    std::string why;
    while (!ended) {
      const bool answered = report_.ping != PingAnswer::kNone;
      if (answered && (report_.offers_protobuf || steady_clock::now() >= offer_until)) break;
      auto got = stream_->read(answered ? offer_until : ping_until);
      if (got.state == ProbeStream::ReadState::kTimeout && !answered) break;
      ended = got.state == ProbeStream::ReadState::kEnded;
      why = std::move(got.text);
      if (got.state == ProbeStream::ReadState::kBytes) take(why);
    }
    conclude(ended, why);
  }

  void take(std::string_view bytes) {
    if (!bytes_seen_ && bytes.size() >= 2 && bytes[0] == '\x15' && bytes[1] == '\x03') looks_like_tls_ = true;
    bytes_seen_ = true;
    while (const auto event = splitter_.next(bytes)) {
      const auto name = cot::read_event_name(*event);
      if (!name) continue;
      if (name->type == "t-x-takp-v") {
        report_.offers_protobuf = report_.offers_protobuf || event->find("version=\"1\"") != std::string_view::npos ||
                                  event->find("version='1'") != std::string_view::npos;
      } else if (report_.ping == PingAnswer::kNone && name->type == "t-x-c-t-r") {
        answered(PingAnswer::kPong);
        if (const auto theirs = cot::read_event_time(name->time))
          report_.server_clock_ahead = *theirs - (ping_time_ + *report_.round_trip / 2);
      } else if (report_.ping == PingAnswer::kNone && name->type == "t-x-c-t" && name->uid == ping_uid_) {
        answered(PingAnswer::kEcho);
      } else {
        ++others_;
      }
    }
  }

  void answered(PingAnswer how) {
    report_.ping = how;
    report_.round_trip = duration_cast<microseconds>(steady_clock::now() - sent_);
  }

  void conclude(bool ended, const std::string& why) {
    if (ended) {
      bad(authenticated_ ? "auth" : "connection", ending(why));
      return;
    }
    if (authenticated_)
      good("auth", "user '" + options_.credentials->username + "' was sent first, and the server did not refuse it");
    if (report_.offers_protobuf)
      good("protobuf", "the server offers TAK Protocol version 1: a feeder takes it");
    else
      good("protobuf", "not offered within " + span_text(options_.offer_wait) + ": a feeder speaks XML");
    if (others_ > 0) good("picture", "the server sent " + std::to_string(others_) + " other events");
    report_.would_deliver = true;
    if (report_.ping == PingAnswer::kNone) {
      note("ping", "not answered within " + span_text(options_.timeout));
      report_.conclusion =
          "A feeder would work, but this server does not answer pings: deliveries are called 'sent, unconfirmed'.";
      return;
    }
    std::string text = report_.ping == PingAnswer::kPong ? "answered with a pong" : "sent back as it was (an echo)";
    text += " after " + milliseconds_text(*report_.round_trip);
    good("ping", text);
    describe_clock();
    report_.conclusion = "A feeder would work: events are delivered, and confirmed by the answers to its pings.";
  }

  void describe_clock() {
    if (!report_.server_clock_ahead) return;
    const auto ahead = *report_.server_clock_ahead;
    const bool off = std::chrono::abs(ahead) > kClockTolerance;
    const std::string text = "the server's clock is " +
                             (off ? span_text(ahead) : milliseconds_text(std::chrono::abs(ahead))) +
                             (ahead.count() >= 0 ? " ahead of ours" : " behind ours");
    if (off)
      note("clock", text + ": markers may be grey at once or stay too long; set the clocks of both machines");
    else
      good("clock", text);
  }

  [[nodiscard]] std::string ending(const std::string& why) const {
    if (looks_like_tls_) return "this port speaks TLS: use tls:// with it";
    if (authenticated_) return why + " after the user and password were sent: they are probably wrong";
    if (options_.address.scheme == Scheme::kTcp && !bytes_seen_)
      return why + " without a word: it may be a port for TLS (use tls://), or one that demands a user and password";
    return why;
  }

  const ProbeOptions& options_;
  ProbeReport report_;
  std::unique_ptr<ProbeStream> stream_;
  cot::EventSplitter splitter_;
  std::string ping_uid_;
  UtcMicros ping_time_{};
  steady_clock::time_point sent_{};
  std::size_t others_ = 0;
  bool authenticated_ = false, bytes_seen_ = false, looks_like_tls_ = false;
};

}  // namespace

ProbeReport probe(const ProbeOptions& options) {
  std::vector<ProbeStep> first{{StepState::kGood, "address", sink_url(options.address)}};
  if (options.credentials)
    for (const auto& warning : options.credentials->warnings)
      first.push_back({StepState::kNote, "credentials", warning});
  auto report = options.address.scheme == Scheme::kUdp    ? probe_datagram(options)
                : options.address.scheme == Scheme::kFile ? probe_file(options)
                                                          : StreamProbe(options).run();
  report.steps.insert(report.steps.begin(), std::make_move_iterator(first.begin()),
                      std::make_move_iterator(first.end()));
  return report;
}

}  // namespace detection::tak
