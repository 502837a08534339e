// token, health: short commands without a room of their own.

#include <cstdio>

#include "app/commands.hpp"
#include "app/web_client.hpp"
#include "detection/json_writer.hpp"
#include "security/token.hpp"

namespace detection::app {
namespace {

int failed(const Error& error) {
  std::fprintf(stderr, "detection-api: %s\n", error.detail.c_str());
  return kFailed;
}

}  // namespace

int token(const Configuration& configuration, const TokenArguments& arguments) {
  const auto path = configuration.text("jwt-key-file");
  if (path.empty()) {
    std::fprintf(stderr, "detection-api: token needs --jwt-key-file\n");
    return kWrongUsage;
  }
  const auto life = parse_duration(arguments.life);
  if (!life) {
    std::fprintf(stderr, "detection-api: --ttl '%s' must be a duration such as 60m or 24h\n", arguments.life.c_str());
    return kWrongUsage;
  }
  const auto key = security::HmacKey::from_file(path);
  if (!key) return failed(key.error());
  const auto now = system_now();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*life);
  const auto minted = security::mint_token(*key, {arguments.subject, arguments.scope, seconds}, now);
  if (!minted) {
    std::fprintf(stderr, "detection-api: %s\n", minted.error().detail.c_str());
    return kWrongUsage;
  }
  if (!arguments.json) {
    std::printf("%s\n", minted->c_str());
    return kDone;
  }
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("access_token");
  w.string(*minted);
  w.key("token_type");
  w.string("Bearer");
  w.key("expires_in");
  w.integer(seconds.count());
  w.key("scope");
  w.string(arguments.scope);
  w.end_object();
  std::printf("%s\n", out.c_str());
  return kDone;
}

int health(const Configuration& configuration, const HealthArguments& arguments) {
  std::string url = arguments.url;
  if (url.empty()) {
    // A service that listens on every address is asked on the loopback.
    // and one that speaks TLS on its plain port: its certificate is not made for the loopback.
    std::string listen = configuration.text(configuration.text("tls-cert-file").empty() ? "listen" : "metrics-listen");
    if (listen.starts_with(":")) listen = "127.0.0.1" + listen;
    if (listen.starts_with("0.0.0.0:")) listen = "127.0.0.1" + listen.substr(7);
    if (listen.starts_with("[::]:")) listen = "[::1]" + listen.substr(4);
    url = "http://" + listen;
  }
  while (url.ends_with('/')) url.pop_back();
  WebClient client(std::chrono::seconds{5});
  const auto answer = client.get(url + (arguments.ready ? "/ready" : "/health"));
  if (!answer) return failed(answer.error());
  if (arguments.json)
    std::printf("%s\n", answer->body.c_str());
  else
    std::printf("%s: %ld\n", arguments.ready ? "ready" : "health", answer->status);
  return answer->status == 200 ? kDone : kFailed;
}

}  // namespace detection::app
