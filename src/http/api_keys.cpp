// API keys: made, listed, rotated, revoked, by whoever has the scope admin. A secret is shown once, in the answer that
// makes it.

#include <algorithm>

#include "http/api.hpp"
#include "http/body_fields.hpp"
#include "http/resource_json.hpp"

namespace detection::http {
namespace {

constexpr std::string_view kPath = "/api/v1/api-keys/", kNotKept = "Cache-Control: no-store\r\n";
constexpr std::size_t kIdMost = 64;

std::unexpected<Error> no_such_key() {
  return fail(ErrorCode::kNotFound, "there is no such API key");
}

/// Anything else is none of ours and is not repeated to anybody.
bool is_key_id(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kIdMost && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

Result<security::ApiKeyRequest> request_of(const FieldValues& fields, UtcMicros now) {
  security::ApiKeyRequest request{*fields.texts[kApiKeyName], {}, fields.times[kApiKeyExpires]};
  for (const auto& name : *fields.lists[kApiKeyScopes])
    if (const auto scope = security::parse_scope(name)) request.scopes.add(*scope);
  if (request.expires && *request.expires <= now)
    return fail(ErrorCode::kValidationFailed, "expires must be in the future",
                {{"expires", "must be a time in the future"}});
  return request;
}

}  // namespace

void Api::get_api_keys(Exchange& x) {
  read(x, state_.workers, [this]() -> Result<Rendered> {
    const auto keys = state_.rooms.authority.api_keys();
    if (!keys) return std::unexpected(keys.error());
    Rendered rendered;
    json::Writer w(rendered.body);
    w.begin_object();
    w.key("items");
    w.begin_array();
    for (const auto& key : *keys) append_api_key(w, key);
    w.end_array();
    w.end_object();
    return rendered;
  });
}

void Api::get_api_key(Exchange& x, std::string_view id) {
  read(x, state_.workers, [this, id]() -> Result<Rendered> {
    const auto keys = state_.rooms.authority.api_keys();
    if (!keys) return std::unexpected(keys.error());
    const auto key = std::ranges::find(*keys, id, &security::ApiKeyInfo::id);
    // A revoked one was deleted: only the list still tells of it.
    if (key == keys->end() || key->revoked) return no_such_key();
    Rendered rendered;
    json::Writer w(rendered.body);
    append_api_key(w, *key);
    return rendered;
  });
}

void Api::post_api_key(Exchange& x) {
  const auto fields = read_body(x.body, api_key_fields());
  if (!fields) return refuse(x, fields.error());
  auto request = request_of(*fields, x.received);
  if (!request) return refuse(x, std::move(request.error()));
  read(x, state_.workers,
       [this, request = std::move(*request), actor = x.notes.principal->subject]() -> Result<Rendered> {
         const auto key = state_.rooms.authority.create_api_key(request, actor, system_now());
         if (!key) return std::unexpected(key.error());
         Rendered rendered{.status = 201, .headers = std::string(kNotKept)};
         rendered.headers.append("Location: ").append(kPath).append(key->info.id).append("\r\n");
         json::Writer w(rendered.body);
         append_new_api_key(w, *key);
         return rendered;
       });
}

void Api::delete_api_key(Exchange& x, std::string_view id) {
  if (!is_key_id(id)) return refuse(x, no_such_key().error());
  read(x, state_.workers, [this, id, actor = x.notes.principal->subject]() -> Result<Rendered> {
    const auto revoked = state_.rooms.authority.revoke_api_key(id, actor, system_now());
    if (!revoked) return std::unexpected(revoked.error());
    return Rendered{.status = 204};
  });
}

void Api::post_rotate(Exchange& x, std::string_view id) {
  if (!is_key_id(id)) return refuse(x, no_such_key().error());
  auto fields = read_query(x.head.query, rotate_fields());
  if (!fields) return refuse(x, std::move(fields.error()));
  const bool force = fields->booleans[kRotateForce].value_or(false);
  read(x, state_.workers, [this, id, force, actor = x.notes.principal->subject]() -> Result<Rendered> {
    const auto key = state_.rooms.authority.rotate_api_key(id, actor, system_now(), force);
    if (!key) return std::unexpected(key.error());
    Rendered rendered{.headers = std::string(kNotKept)};
    json::Writer w(rendered.body);
    append_new_api_key(w, *key);
    return rendered;
  });
}

}  // namespace detection::http
