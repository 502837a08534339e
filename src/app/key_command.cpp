// key create, list, rotate, revoke: the API keys of a store, also beside a running serve.

#include <unistd.h>

#include <cstdio>
#include <functional>

#include "app/commands.hpp"
#include "app/open_store.hpp"
#include "detection/json_writer.hpp"
#include "security/authority.hpp"
#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace detection::app {
namespace {

constexpr std::string_view kActor = "command";

int failed(const Error& error) {
  std::fprintf(stderr, "detection-api: %s\n", error.detail.c_str());
  for (const auto& field : error.fields) std::fprintf(stderr, "  %s: %s\n", field.field.c_str(), field.message.c_str());
  return error.code == ErrorCode::kValidationFailed ? kWrongUsage : kFailed;
}

int wrong_usage(const std::string& why) {
  std::fprintf(stderr, "detection-api: %s\n", why.c_str());
  return kWrongUsage;
}

/// Runs `action` with the API keys of the store, opened beside whoever serves it.
int with_keys(const Configuration& configuration, const std::function<int(security::Authority&)>& action) {
  telemetry::Metrics metrics;
  telemetry::Log log(STDERR_FILENO, telemetry::Level::kWarning);
  auto store = open_store(configuration, StoreRole::kCommand);
  if (!store) return failed(store.error());
  security::AuthorityOptions keys;
  keys.only_api_keys = true;
  auto authority = security::Authority::open(keys, **store, metrics, log);
  if (!authority) return failed(authority.error());
  const int code = action(**authority);
  authority->reset();
  (*store)->close();
  return code;
}

void member(json::Writer& w, std::string_view name, const std::optional<UtcMicros>& time) {
  w.key(name);
  if (time)
    w.string(format_rfc3339_us(*time));
  else
    w.null();
}

/// As the API shows a key; `secret_text` only where it is new.
void append_key(json::Writer& w, const security::ApiKeyInfo& key, const std::string* secret_text) {
  w.begin_object();
  w.key("id");
  w.string(key.id);
  w.key("name");
  w.string(key.name);
  w.key("scopes");
  w.begin_array();
  for (const auto scope : security::kAllScopes)
    if (key.scopes.has(scope)) w.string(security::scope_name(scope));
  w.end_array();
  if (secret_text != nullptr) {
    w.key("key");
    w.string(*secret_text);
  }
  w.key("created_by");
  w.string(key.created_by);
  member(w, "created", key.created);
  member(w, "rotated", key.rotated);
  member(w, "previous_until", key.previous_until);
  member(w, "expires", key.expires);
  member(w, "revoked", key.revoked);
  member(w, "last_used", key.last_used);
  w.end_object();
}

int print_new(const Result<security::NewApiKey>& made, bool json) {
  if (!made) return failed(made.error());
  if (json) {
    std::string out;
    json::Writer w(out);
    append_key(w, made->info, &made->secret_text);
    std::printf("%s\n", out.c_str());
    return kDone;
  }
  // The key alone on stdout, so that it can be piped to where it belongs.
  std::printf("%s\n", made->secret_text.c_str());
  std::fprintf(stderr, "key %s (%s): %s\nIt is shown this once; only its hash is kept.\n", made->info.id.c_str(),
               made->info.name.c_str(), security::scope_list(made->info.scopes).c_str());
  if (made->info.previous_until)
    std::fprintf(stderr, "The one before it is good until %s.\n",
                 format_rfc3339_ms(*made->info.previous_until).c_str());
  return kDone;
}

const char* state_of(const security::ApiKeyInfo& key, UtcMicros now) {
  if (key.revoked) return "revoked";
  if (key.expires && *key.expires <= now) return "expired";
  return "good";
}

}  // namespace

int key_create(const Configuration& configuration, const KeyArguments& arguments) {
  const auto scopes = security::parse_scope_list(arguments.scope);
  if (!scopes) return wrong_usage(scopes.error().detail);
  if (scopes->empty()) return wrong_usage("--scope must name at least one scope");
  security::ApiKeyRequest request{arguments.name, *scopes, {}};
  const auto now = system_now();
  if (!arguments.life.empty()) {
    const auto life = parse_duration(arguments.life);
    if (!life || life->count() <= 0)
      return wrong_usage("--ttl '" + arguments.life + "' must be a duration such as 90d");
    request.expires = UtcMicros{now.count + std::chrono::duration_cast<std::chrono::microseconds>(*life).count()};
  }
  return with_keys(configuration, [&](security::Authority& keys) {
    return print_new(keys.create_api_key(request, kActor, now), arguments.json);
  });
}

int key_list(const Configuration& configuration, const KeyArguments& arguments) {
  return with_keys(configuration, [&](security::Authority& authority) {
    const auto keys = authority.api_keys();
    if (!keys) return failed(keys.error());
    if (arguments.json) {
      std::string out;
      json::Writer w(out);
      w.begin_object();
      w.key("items");
      w.begin_array();
      for (const auto& key : *keys) append_key(w, key, nullptr);
      w.end_array();
      w.end_object();
      std::printf("%s\n", out.c_str());
      return kDone;
    }
    std::printf("%-16s  %-8s  %-24s  %-24s  %s\n", "id", "state", "last used", "name", "scopes");
    for (const auto& key : *keys)
      std::printf("%-16s  %-8s  %-24s  %-24s  %s\n", key.id.c_str(), state_of(key, system_now()),
                  key.last_used ? format_rfc3339_ms(*key.last_used).c_str() : "never", key.name.c_str(),
                  security::scope_list(key.scopes).c_str());
    return kDone;
  });
}

int key_rotate(const Configuration& configuration, const KeyArguments& arguments) {
  return with_keys(configuration, [&](security::Authority& keys) {
    return print_new(keys.rotate_api_key(arguments.id, kActor, system_now(), arguments.force), arguments.json);
  });
}

int key_revoke(const Configuration& configuration, const KeyArguments& arguments) {
  return with_keys(configuration, [&](security::Authority& keys) {
    if (auto done = keys.revoke_api_key(arguments.id, kActor, system_now()); !done) return failed(done.error());
    if (arguments.json)
      std::printf("{\"id\":\"%s\",\"revoked\":true}\n", arguments.id.c_str());
    else
      std::printf("revoked %s\n", arguments.id.c_str());
    return kDone;
  });
}

}  // namespace detection::app
