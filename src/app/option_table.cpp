#include <cstdio>
#include <cstdlib>

#include "app/options.hpp"
#include "http/service.hpp"
#include "pipeline/sink_settings.hpp"
#include "security/token.hpp"
#include "telemetry/log.hpp"

namespace detection::app {
namespace {

using Complaint = std::optional<std::string>;

template <class T>
Complaint complaint_of(const Result<T>& parsed) {
  return parsed ? Complaint{} : Complaint{parsed.error().detail};
}

Complaint endpoint(std::string_view v) {
  return complaint_of(http::parse_endpoint(v));
}
Complaint accuracy(std::string_view v) {
  return complaint_of(parse_accuracy(v));
}

Complaint camera_accuracy(std::string_view v) {
  const auto colon = v.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return "must be CAMERA_ID:key=number,...";
  return accuracy(v.substr(colon + 1));
}

Complaint sink(std::string_view v) {
  const auto equals = v.find('=');
  const auto scheme = v.find("://");
  if (equals != std::string_view::npos && equals < scheme) {
    const auto name = v.substr(0, equals);
    if (name.empty() || name.size() > 64) return "the name of a sink has 1 to 64 characters";
    for (const char c : name)
      if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
            c == '.'))
        return "the name of a sink is made of letters, digits, '-', '_' and '.'";
    v.remove_prefix(equals + 1);
  }
  return complaint_of(pipeline::parse_sink(v));
}

Complaint duration(std::string_view v) {
  return parse_duration(v) ? Complaint{} : "must be a duration such as 250ms, 10s, 5m or 2h";
}
Complaint positive_duration(std::string_view v) {
  const auto parsed = parse_duration(v);
  return parsed && parsed->count() > 0 ? Complaint{} : "must be a duration over 0 such as 250ms, 10s, 5m or 2h";
}
Complaint metres(std::string_view v) {
  const auto parsed = parse_number(v);
  return parsed && *parsed > 0 && *parsed <= 1e8 ? Complaint{} : "must be a number of metres over 0";
}
Complaint share(std::string_view v) {
  const auto parsed = parse_number(v);
  return parsed && *parsed >= 0 && *parsed <= 1 ? Complaint{} : "must be a number from 0 to 1";
}
Complaint threads(std::string_view v) {
  const auto parsed = parse_number(v);
  return parsed && *parsed >= 1 && *parsed <= 64 && *parsed == static_cast<int>(*parsed)
             ? Complaint{}
             : "must be a whole number from 1 to 64";
}
Complaint connections(std::string_view v) {
  const auto parsed = parse_number(v);
  return parsed && *parsed >= 1 && *parsed <= 100'000 && *parsed == static_cast<int>(*parsed)
             ? Complaint{}
             : "must be a whole number from 1 to 100000";
}
Complaint red_policy(std::string_view v) {
  return v == "hold" || v == "send" ? Complaint{} : "must be hold or send";
}
Complaint cot_error(std::string_view v) {
  return v == "ce90" || v == "sigma" ? Complaint{} : "must be ce90 or sigma";
}
Complaint rate_limit(std::string_view v) {
  return v == "on" || v == "off" ? Complaint{} : "must be on or off";
}
Complaint rate(std::string_view v) {
  return complaint_of(http::parse_rate(v));
}
Complaint address_block(std::string_view v) {
  return complaint_of(http::parse_address_block(v));
}
Complaint origin(std::string_view v) {
  const auto scheme = v.find("://");
  const bool good = (v.starts_with("http://") || v.starts_with("https://")) && v.size() > scheme + 3 &&
                    v.size() <= 256 && v.find_first_of("/ *\"", scheme + 3) == std::string_view::npos;
  return good ? Complaint{} : "must be an origin such as https://map.example.org, without a path";
}
Complaint token_life(std::string_view v) {
  const auto parsed = parse_duration(v);
  return parsed && *parsed >= std::chrono::seconds{1} && *parsed <= security::kTokenLifeMost
             ? Complaint{}
             : "must be a duration from 1s to 24h";
}
Complaint cache_entries(std::string_view v) {
  const auto parsed = parse_number(v);
  return parsed && *parsed >= 0 && *parsed <= 1'000'000 && *parsed == static_cast<int>(*parsed)
             ? Complaint{}
             : "must be a whole number from 0 to 1000000";
}
Complaint audit_retention(std::string_view v) {
  const auto parsed = parse_duration(v);
  return v == "off" || (parsed && *parsed >= store::kAuditRetentionLeast) ? Complaint{}
                                                                          : "must be off or a duration of at least 90d";
}
Complaint queue_items(std::string_view v) {
  const bool digits = v.find_first_not_of("0123456789") == std::string_view::npos;
  return v == "off" || (digits && pipeline::parse_bytes(v)) ? Complaint{} : "must be off or a whole number over 0";
}
Complaint queue_bytes(std::string_view v) {
  return v == "off" || pipeline::parse_bytes(v) ? Complaint{} : "must be off or a size such as 500MB or 20GiB";
}
Complaint log_level(std::string_view v) {
  return telemetry::parse_level(v) ? Complaint{} : "must be debug, info, warning or error";
}
Complaint affiliation(std::string_view v) {
  return v.size() == 1 && std::string_view("puafnshjko").find(v[0]) != std::string_view::npos
             ? Complaint{}
             : "must be one of p u a f n s h j k o";
}
Complaint uid_prefix(std::string_view v) {
  if (v.empty() || v.size() > 32) return "must have 1 to 32 characters";
  for (const char c : v)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
      return "must be letters, digits, '-' and '_'";
  return std::nullopt;
}
Complaint announce(std::string_view v) {
  const auto parsed = parse_duration(v);
  return v == "off" || (parsed && *parsed >= std::chrono::seconds{1} && *parsed <= std::chrono::hours{1})
             ? Complaint{}
             : "must be off or a duration from 1s to 1h";
}
Complaint announce_position(std::string_view v) {
  return parse_position(v) ? Complaint{} : "must be LAT,LON or LAT,LON,HAE in degrees and metres";
}
Complaint slot(std::string_view v) {
  return v == "blue" || v == "green" ? Complaint{} : "must be blue or green";
}
Complaint database_url(std::string_view v) {
  const bool known = v.starts_with("postgresql://") || v.starts_with("postgres://");
  return known ? Complaint{} : "must be a URL such as postgresql://HOST:5432/NAME?sslmode=verify-full";
}
Complaint process_name(std::string_view v) {
  return is_process_name(v) ? Complaint{} : "must be 1 to 64 letters, digits, '-', '_' and '.'";
}
Complaint spool_items(std::string_view v) {
  const bool digits = v.find_first_not_of("0123456789") == std::string_view::npos;
  return digits && pipeline::parse_bytes(v) ? Complaint{} : "must be a whole number over 0";
}
Complaint spool_bytes(std::string_view v) {
  return pipeline::parse_bytes(v) ? Complaint{} : "must be a size over 0 such as 768MiB";
}

}  // namespace

std::span<const OptionSpec> option_table() {
  static const OptionSpec table[] = {
      {"config", "FILE", "", "TOML file with any of these options; keys with '_' for '-'"},
      {"data-dir", "DIR", "./data",
       "where the SQLite store lives, or the spool when --database-url is given; made if missing"},
      {"database-url", "URL", "",
       "PostgreSQL as the store, as libpq takes it (TLS as its sslmode says); it may hold a password and is never "
       "shown",
       database_url, false, true},
      {"database-credentials", "DIR", "",
       "files username and password of --database-url, each optional; read at every new connection"},
      {"process-name", "NAME", "",
       "of this process in the database, unlike that of any other that runs; default: the host's name, with the "
       "process number where that is not 1",
       process_name},
      {"spool-max-items", "N", "500000",
       "detections that may wait on this disk while the database is away; at the limit detections get 507",
       spool_items},
      {"spool-max-bytes", "BYTES", "768MiB",
       "the same by what they take there; the default leaves a 1Gi volume room for the log of the spool", spool_bytes},
      {"jwt-key-file", "FILE", "", "the HMAC key of bearer tokens, at least 32 bytes (openssl rand -base64 48 > FILE)"},
      {"jwt-key-dir", "DIR", "",
       "further keys of bearer tokens, one a file (PEM: ES256, RS256, EdDSA; other text: HS256); its name is the kid"},
      {"jwt-signing-key", "KID", "", "the key that signs tokens; none: the key file, else the last by name"},
      {"jwt-issuer", "ISSUER", "", "accepted iss; may be given several times; none: our own, and tokens without one",
       nullptr, true},
      {"jwt-audience", "AUDIENCE", "",
       "accepted aud; may be given several times; none: our own, and tokens without one", nullptr, true},
      {"jwt-token-life", "DURATION", "60m", "how long a token of the token endpoint is good, at most 24h", token_life},
      {"listen", "ADDRESS:PORT", "127.0.0.1:8000", "the API", endpoint},
      {"metrics-listen", "ADDRESS:PORT", "127.0.0.1:9100", "/metrics, /health, /ready", endpoint},
      {"tak-sink", "[NAME=]URL[?SETTING=...]", "",
       "a TAK server, tcp://HOST:PORT, tls://, udp:// or file:///PATH; settings below; may be given several times",
       sink, true},
      {"tak-credentials", "DIR", "",
       "user, password, certificates and endpoint of TAK servers: see tak.md; re-read when they change; a sink's "
       "setting "
       "credentials goes before it"},
      {"queue-max-items", "N", "5000000", "events that may wait for a sink; at the limit detections get 507; off: any",
       queue_items},
      {"queue-max-bytes", "BYTES", "20GiB", "the same by what they take in the store, about; off: any", queue_bytes},
      {"announce", "DURATION", "off",
       "how often TAK servers are told where the cameras of the last minutes are and look; off: never", announce},
      {"announce-position", "LAT,LON[,HAE]", "", "where this service is, which is then announced too",
       announce_position},
      {"slot", "blue|green", "",
       "the release slot of this process: with --database-url it delivers only while `slot get` says the same; with "
       "SQLite a mere name",
       slot},
      {"http-threads", "N", "2", "event threads of the API", threads},
      {"http-connections", "N", "4096", "most open connections; further ones get 503", connections},
      {"rate-limit", "on|off", "on", "off turns every limiter off (benchmarks, checks)", rate_limit},
      {"rate-limit-subject", "RATE:BURST", "2000:4000",
       "requests a second of one authenticated subject; 10/m: a minute", rate},
      {"rate-limit-address", "RATE:BURST", "2:10", "requests a second of one address without authentication", rate},
      {"rate-limit-token", "RATE:BURST", "10/m:10", "requests to the token endpoint of one address", rate},
      {"trusted-proxy", "CIDR", "", "a proxy whose X-Forwarded-For names the client; may be given several times",
       address_block, true},
      {"cors-origin", "ORIGIN", "", "a web origin that may call the API from a browser; may be given several times",
       origin, true},
      {"tls-cert-file", "FILE", "", "PEM certificate chain of the API port; re-read when it changes"},
      {"tls-key-file", "FILE", "", "its private key"},
      {"read-cache", "N", "4096", "detections by id that are kept in memory; 0: none", cache_entries},
      {"max-range", "METRES", "1000000", "a detection farther away is refused as out_of_range", metres},
      {"accuracy", "KEY=N,...", "", "standard deviations over the built-in defaults, for requests that state none",
       accuracy},
      {"camera-accuracy", "CAMERA_ID:KEY=N,...", "", "the same for one camera; may be given several times",
       camera_accuracy, true},
      {"geoid-file", "FILE", "/usr/share/proj/egm96_15.gtx",
       "EGM96 grid for elevation_reference msl (Debian: proj-data)"},
      {"green-ce90", "METRES", "25", "GREEN needs a CE90 of at most this", metres},
      {"red-ce90", "METRES", "100", "a CE90 over this is RED", metres},
      {"green-confidence", "0-1", "0.6", "GREEN needs at least this AI confidence", share},
      {"red-confidence", "0-1", "0.4", "less AI confidence is RED", share},
      {"red-policy", "hold|send", "hold", "whether RED detections wait for a person", red_policy},
      {"cot-error", "ce90|sigma", "ce90", "what ce and le of a CoT point mean", cot_error},
      {"cot-stale", "DURATION", "5m", "how long an event stays on the map; renewed at late delivery",
       positive_duration},
      {"cot-uid-prefix", "TEXT", "DET", "first part of CoT uids", uid_prefix},
      {"cot-affiliation", "LETTER", "u", "affiliation of CoT types (u: unknown)", affiliation},
      {"class-map", "FILE", "", "object classes to CoT types, in place of the built-in map"},
      {"shutdown-grace", "DURATION", "20s", "how long a stop may take to finish what is in flight", duration},
      {"drain-delay", "DURATION", "0s", "after SIGTERM, how long to serve with /ready at 503 before the stop",
       duration},
      {"audit-retention", "DURATION", "off", "audit records older than this are removed, at least 90d; off: none are",
       audit_retention},
      {"log-level", "LEVEL", "info", "debug, info, warning or error", log_level},
  };
  return table;
}

const OptionSpec& option(std::string_view name) {
  for (const auto& spec : option_table())
    if (spec.name == name) return spec;
  std::fprintf(stderr, "bug: option %.*s is not in the table\n", static_cast<int>(name.size()), name.data());
  std::abort();
}

}  // namespace detection::app
