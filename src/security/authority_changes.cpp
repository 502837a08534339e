// What the authority makes and changes: API keys, granted tokens, revocations. Durable and audited by the store first,
// then in memory.

#include <algorithm>

#include "detection/text.hpp"
#include "security/authority_impl.hpp"

namespace detection::security {
namespace {

constexpr std::size_t kNameCharactersMost = 128;
constexpr std::size_t kRevokedTokensMost = 20'000;

std::unexpected<Error> invalid(std::string field, std::string message) {
  return fail(ErrorCode::kValidationFailed, message, {{std::move(field), message}});
}

/// Everything that comes from outside and enters the audit; commands have no http/ before them.
bool printable(std::string_view text, std::size_t characters_most) {
  const auto characters = printable_characters(text).value_or(0);
  return characters > 0 && characters <= characters_most;
}

store::AuditEntry audit_entry(std::string_view type, std::string_view actor, const store::ApiKeyRecord& key) {
  store::AuditEntry entry{std::string(type), "INFO", std::string(actor), {}, {}};
  json::Writer w(entry.detail_json);
  w.begin_object();
  w.key("id");
  w.string(key.id);
  w.key("name");
  w.string(key.name);
  w.key("scopes");
  w.string(key.scopes);
  w.end_object();
  return entry;
}

Result<store::ApiKeyRecord> find_record(store::Store& store, std::string_view id) {
  auto records = store.api_keys();
  if (!records) return std::unexpected(std::move(records.error()));
  for (auto& record : *records)
    if (record.id == id) return std::move(record);
  return fail(ErrorCode::kNotFound, "there is no API key of that id");
}

Sha256 stored_form(std::string_view secret) {
  return sha256(secret);
}

std::unexpected<Error> invalid_client() {
  return refused("the client is not known, or its secret is wrong");
}

/// The accepted name that our own tokens carry: ours, unless a list is set that does not have it.
std::string own_name(const std::vector<std::string>& accepted) {
  const bool ours = accepted.empty() || std::find(accepted.begin(), accepted.end(), kOwnName) != accepted.end();
  return ours ? std::string(kOwnName) : accepted.front();
}

}  // namespace

Result<NewApiKey> Authority::create_api_key(const ApiKeyRequest& request, std::string_view actor, UtcMicros now) {
  if (!printable(request.name, kNameCharactersMost)) return invalid("name", "must have 1 to 128 printable characters");
  if (request.scopes.empty()) return invalid("scopes", "must name at least one scope");
  if (request.expires && *request.expires <= now) return invalid("expires", "must be in the future");
  auto id = new_api_key_id();
  auto secret = new_api_key_secret();
  if (!id || !secret) return fail(ErrorCode::kInternal, "no randomness to be had");
  const Cleansed cleansed(*secret);

  const std::scoped_lock lock(impl_->changing);
  const auto there_are = impl_->store.api_keys();
  if (!there_are) return std::unexpected(there_are.error());
  // The store forgets these when it takes the next one.
  const auto kept = std::ranges::count_if(*there_are, [&](const auto& key) { return !store::forgotten(key, now); });
  if (static_cast<std::size_t>(kept) >= kApiKeysMost)
    return fail(ErrorCode::kCapacityExceeded, "there are " + std::to_string(kApiKeysMost) +
                                                  " API keys, the most; revoked and expired ones go " +
                                                  std::to_string(store::kApiKeyKept.count()) + " days after their end");
  store::ApiKeyRecord record;
  record.id = std::move(*id);
  record.name = request.name;
  record.secret_sha256 = stored_form(*secret);
  record.scopes = scope_list(request.scopes);
  record.created_by = actor;
  record.created = now;
  record.expires = request.expires;
  if (auto put = impl_->store.put_api_key(record, audit_entry("key_created", actor, record)); !put)
    return std::unexpected(std::move(put.error()));
  NewApiKey made{api_key_info(record), api_key_text(record.id, *secret)};
  impl_->api_keys.put(std::move(record));
  return made;
}

Result<NewApiKey> Authority::rotate_api_key(std::string_view id, std::string_view actor, UtcMicros now, bool force) {
  auto secret = new_api_key_secret();
  if (!secret) return fail(ErrorCode::kInternal, "no randomness to be had");
  const Cleansed cleansed(*secret);

  const std::scoped_lock lock(impl_->changing);
  auto record = find_record(impl_->store, id);
  if (!record) return std::unexpected(std::move(record.error()));
  if (record->revoked) return fail(ErrorCode::kConflict, "the API key has been revoked");
  if (record->expires && now >= *record->expires) return fail(ErrorCode::kConflict, "the API key has expired");
  if (record->previous_until && now < *record->previous_until && !force)
    return fail(ErrorCode::kConflict, "the API key was rotated before, and the secret from before that is good until " +
                                          format_rfc3339_ms(*record->previous_until) +
                                          "; another rotation ends it at once and must be forced");
  const auto before = record->secret_sha256;
  record->previous_sha256 = before;
  record->previous_until = now + kRotationGrace;
  record->secret_sha256 = stored_form(*secret);
  record->rotated = now;
  if (auto put = impl_->store.put_api_key(*record, audit_entry("key_rotated", actor, *record), before); !put)
    return std::unexpected(std::move(put.error()));
  NewApiKey made{api_key_info(*record), api_key_text(record->id, *secret)};
  impl_->api_keys.put(std::move(*record));
  return made;
}

Result<void> Authority::revoke_api_key(std::string_view id, std::string_view actor, UtcMicros now) {
  const std::scoped_lock lock(impl_->changing);
  auto record = find_record(impl_->store, id);
  if (!record) return std::unexpected(std::move(record.error()));
  if (!record->revoked) {
    record->revoked = now;
    if (auto put = impl_->store.put_api_key(*record, audit_entry("key_revoked", actor, *record)); !put) return put;
  }
  impl_->api_keys.put(std::move(*record));
  return {};
}

Result<std::vector<ApiKeyInfo>> Authority::api_keys() {
  const auto records = impl_->store.api_keys();
  if (!records) return std::unexpected(records.error());
  std::vector<ApiKeyInfo> infos;
  infos.reserve(records->size());
  for (const auto& record : *records) {
    infos.push_back(api_key_info(record));
    // Used since it was last written.
    const auto key = impl_->api_keys.find(record.id);
    const UtcMicros used{key ? key->used->load(std::memory_order_relaxed) : 0};
    auto& last = infos.back().last_used;
    if (used.count != 0 && (!last || *last < used)) last = used;
  }
  return infos;
}

Result<UtcMicros> Authority::revoke_token(std::string_view jti, std::string_view actor, UtcMicros now,
                                          std::optional<UtcMicros> until) {
  if (!printable(jti, kJtiCharactersMost)) return invalid("jti", "must have 1 to 128 printable characters");
  // A token that has just expired is still taken for the clock's skew.
  const auto skewed = until ? *until + std::chrono::seconds(kClockSkew_s) : now + kRevokedFor;
  const auto end = std::clamp(skewed, now, now + kRevokedMost);
  const std::scoped_lock lock(impl_->changing);
  const auto before = impl_->revoked.get();
  if (const auto known = before->find(jti); known != before->end() && known->second >= end) return known->second;
  auto next = std::make_shared<RevokedTokens>(*before);
  std::erase_if(*next, [&](const auto& revoked) { return revoked.second < now; });
  if (!next->contains(jti) && next->size() >= kRevokedTokensMost) {
    const auto first = std::ranges::min_element(*next, {}, &RevokedTokens::value_type::second)->second;
    return fail(ErrorCode::kCapacityExceeded, "there are " + std::to_string(kRevokedTokensMost) +
                                                  " revoked tokens that may still live, the most; there is room from " +
                                                  format_rfc3339_ms(first) +
                                                  " on; until then only the withdrawal of the key that signed a token, "
                                                  "or of the API key it was granted to, ends it");
  }
  store::AuditEntry entry{"token_revoked", "INFO", std::string(actor), {}, {}};
  json::Writer w(entry.detail_json);
  w.begin_object();
  w.key("jti");
  w.string(jti);
  w.key("until");
  w.string(format_rfc3339_us(end));
  w.end_object();
  if (auto done = impl_->store.revoke_token({std::string(jti), end}, entry); !done)
    return std::unexpected(std::move(done.error()));
  (*next)[std::string(jti)] = end;
  impl_->revoked.set(std::move(next));
  impl_->epoch.fetch_add(1, std::memory_order_acq_rel);
  return end;
}

Result<IssuedToken> Authority::grant(std::string_view client_id, std::string_view client_secret, std::string_view scope,
                                     UtcMicros now) {
  auto id = client_id.starts_with(kApiKeyPrefix) ? client_id.substr(kApiKeyPrefix.size()) : client_id;
  auto secret = client_secret;
  if (const auto whole = parse_api_key(client_secret)) {
    if (whole->id != id) return invalid_client();
    secret = whole->secret;
  }
  if (!is_api_key_id(id) || secret.size() != kApiKeySecretBytes) return invalid_client();
  const auto checked = impl_->api_keys.check(id, secret, now);
  if (!checked) return invalid_client();
  const auto& record = checked->key->record;
  const auto& client = *checked->principal;

  auto scopes = parse_scope_list(scope);
  if (!scopes) return std::unexpected(std::move(scopes.error()));
  if (scopes->empty()) scopes = client.scopes;
  if (!scopes->within(client.scopes))
    return invalid("scope", "the client has no more than: " + scope_list(client.scopes));

  const auto left = std::chrono::floor<std::chrono::seconds>(record.expires.value_or(kNever) - now);
  const auto life = std::min({impl_->options.token_life, kTokenLifeMost, left});
  if (life < std::chrono::seconds{1}) return invalid_client();
  const TokenRequest request{client.subject,
                             scope_list(*scopes),
                             life,
                             own_name(impl_->options.issuers),
                             own_name(impl_->options.audiences),
                             std::string(kApiKeyPrefix) + record.id};
  const auto claims = make_claims(request, now);
  if (!claims) return fail(ErrorCode::kInternal, claims.error().detail);
  const auto keys = impl_->ring->keys();
  if (!keys->signing.key)
    return fail(ErrorCode::kStoreUnavailable,
                "this service signs no tokens: it has public keys only. Send the API key itself, or a token of the "
                "issuer that has the private key");
  auto token = keys->signing.key->sign_jws(keys->signing.kid, *claims);
  if (!token) return std::unexpected(std::move(token.error()));
  return IssuedToken{std::move(*token), life, request.scope};
}

}  // namespace detection::security
