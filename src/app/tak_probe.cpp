// tak probe: what a feeder would meet at a TAK server, in words.

#include <cstdio>
#include <expected>
#include <optional>

#include "app/commands.hpp"
#include "app/tak_commands.hpp"
#include "detection/json_writer.hpp"
#include "pipeline/sink_settings.hpp"
#include "tak/probe.hpp"

namespace detection::app {
namespace {

int wrong_usage(const std::string& why) {
  std::fprintf(stderr, "detection-api: %s\n", why.c_str());
  return kWrongUsage;
}

constexpr const char* word_of(tak::StepState state) {
  switch (state) {
    case tak::StepState::kGood: return "ok";
    case tak::StepState::kNote: return "note";
    case tak::StepState::kBad: return "FAILED";
  }
  return "";
}

constexpr const char* word_of(tak::PingAnswer answer) {
  switch (answer) {
    case tak::PingAnswer::kNone: return "none";
    case tak::PingAnswer::kPong: return "pong";
    case tak::PingAnswer::kEcho: return "echo";
  }
  return "";
}

void member(json::Writer& w, std::string_view name, const std::optional<std::chrono::microseconds>& span) {
  w.key(name);
  if (span)
    w.number(static_cast<double>(span->count()) / 1'000'000);
  else
    w.null();
}

std::string json_of(const tak::ProbeReport& report) {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("would_deliver");
  w.boolean(report.would_deliver);
  w.key("conclusion");
  w.string(report.conclusion);
  w.key("steps");
  w.begin_array();
  for (const auto& step : report.steps) {
    w.begin_object();
    w.key("step");
    w.string(step.name);
    w.key("state");
    w.string(step.state == tak::StepState::kBad ? "failed" : word_of(step.state));
    w.key("text");
    w.string(step.text);
    w.end_object();
  }
  w.end_array();
  w.key("tls_version");
  if (report.tls_version.empty())
    w.null();
  else
    w.string(report.tls_version);
  w.key("server_certificate");
  if (report.server) {
    w.begin_object();
    w.key("subject");
    w.string(report.server->subject);
    w.key("issuer");
    w.string(report.server->issuer);
    w.key("expires");
    w.string(format_rfc3339_ms(report.server->expires));
    w.key("sha256");
    w.string(report.server->sha256);
    w.end_object();
  } else {
    w.null();
  }
  w.key("offers_protobuf");
  w.boolean(report.offers_protobuf);
  w.key("ping");
  w.string(word_of(report.ping));
  member(w, "round_trip_s", report.round_trip);
  member(w, "server_clock_ahead_s", report.server_clock_ahead);
  w.end_object();
  return out;
}

/// The URL as `serve` takes it, with its settings; flags go before these, and the folder's endpoint where there is
/// none. The exit code of what is wrong has been explained.
std::expected<void, int> read_sink(const TakProbeArguments& arguments, tak::ProbeOptions& options) {
  const auto load = [&](const std::string& folder) -> std::optional<int> {
    auto credentials = tak::load_credentials(folder, system_now());
    if (!credentials) {
      std::fprintf(stderr, "detection-api: %s\n", credentials.error().detail.c_str());
      return kFailed;
    }
    options.credentials = std::move(*credentials);
    return std::nullopt;
  };
  auto url = arguments.url;
  if (url.empty() && !arguments.credentials.empty()) {
    if (const auto wrong = load(arguments.credentials)) return std::unexpected(*wrong);
    url = options.credentials->endpoint;
  }
  if (url.empty())
    return std::unexpected(wrong_usage("tak probe needs a URL, or --tak-credentials of a folder with an endpoint"));
  // [NAME=]URL, as --tak-sink has it.
  if (const auto equals = url.find('='); equals < url.find("://")) url.erase(0, equals + 1);
  auto setup = pipeline::parse_sink(url);
  if (!setup) return std::unexpected(wrong_usage(setup.error().detail));
  const auto either = [](const std::string& flag, const std::string& setting) { return flag.empty() ? setting : flag; };
  options.address = std::move(setup->sink.address);
  options.interface = either(arguments.interface, setup->sink.interface);
  options.tls = {either(arguments.credentials, setup->sink.tls.credentials),
                 either(arguments.expected_name, setup->sink.tls.expected_name),
                 either(arguments.pin_sha256, setup->sink.tls.pin_sha256)};
  if (!options.credentials && !options.tls.credentials.empty())
    if (const auto wrong = load(options.tls.credentials)) return std::unexpected(*wrong);
  return {};
}

}  // namespace

int tak_probe(const TakProbeArguments& arguments) {
  tak::ProbeOptions options;
  const auto timeout = parse_duration(arguments.timeout);
  if (!timeout || timeout->count() <= 0)
    return wrong_usage("--timeout '" + arguments.timeout + "' must be a duration such as 10s");
  options.timeout = *timeout;
  if (auto read = read_sink(arguments, options); !read) return read.error();

  const auto report = tak::probe(options);
  if (arguments.json) {
    std::printf("%s\n", json_of(report).c_str());
  } else {
    for (const auto& step : report.steps)
      std::printf("%-6s  %-18s  %s\n", word_of(step.state), step.name.c_str(), step.text.c_str());
    std::printf("%s\n", report.conclusion.c_str());
  }
  return report.would_deliver ? kDone : kFailed;
}

}  // namespace detection::app
