#include "security/api_keys.hpp"

#include <algorithm>

#include "detection/text.hpp"

namespace detection::security {
namespace {

constexpr std::string_view kIdLetters = "abcdefghijklmnopqrstuvwxyz0123456789";

/// Of a secret that nobody has: what an unknown id is compared with.
const store::ApiKeyRecord& nobody() {
  static const store::ApiKeyRecord record;
  return record;
}

bool same(const store::ApiKeyRecord& a, const store::ApiKeyRecord& b) {
  return a.name == b.name && a.secret_sha256 == b.secret_sha256 && a.previous_sha256 == b.previous_sha256 &&
         a.previous_until == b.previous_until && a.scopes == b.scopes && a.created_by == b.created_by &&
         a.created == b.created && a.rotated == b.rotated && a.expires == b.expires && a.revoked == b.revoked;
}

ScopeSet known_scopes(std::string_view text) {
  ScopeSet scopes;
  for (auto rest = text; !rest.empty();) {
    const auto end = std::min(rest.find(' '), rest.size());
    if (const auto known = parse_scope(rest.substr(0, end))) scopes.add(*known);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return scopes;
}

void raise(std::atomic<std::int64_t>& value, std::int64_t to) {
  auto now = value.load(std::memory_order_relaxed);
  while (now < to && !value.compare_exchange_weak(now, to, std::memory_order_relaxed)) {
  }
}

}  // namespace

bool is_api_key_id(std::string_view text) noexcept {
  return text.size() == kApiKeyIdBytes && text.find_first_not_of(kIdLetters) == std::string_view::npos;
}

std::optional<ApiKeyText> parse_api_key(std::string_view text) noexcept {
  constexpr auto kIdAt = kApiKeyPrefix.size();
  constexpr auto kSecretAt = kIdAt + kApiKeyIdBytes + 1;
  if (text.size() != kSecretAt + kApiKeySecretBytes || !text.starts_with(kApiKeyPrefix) || text[kSecretAt - 1] != '_')
    return std::nullopt;
  const ApiKeyText parts{text.substr(kIdAt, kApiKeyIdBytes), text.substr(kSecretAt)};
  if (!is_api_key_id(parts.id) || !is_base64url(parts.secret)) return std::nullopt;
  return parts;
}

std::optional<std::string> new_api_key_id() {
  std::string id;
  while (id.size() < kApiKeyIdBytes) {
    const auto random = random_bytes(32);
    if (!random) return std::nullopt;
    for (const char c : *random) {
      const auto value = static_cast<std::size_t>(static_cast<unsigned char>(c));
      if (value < 7 * kIdLetters.size() && id.size() < kApiKeyIdBytes)  // every letter equally likely
        id.push_back(kIdLetters[value % kIdLetters.size()]);
    }
  }
  return id;
}

std::optional<std::string> new_api_key_secret() {
  auto random = random_bytes(32);
  if (!random) return std::nullopt;
  const Cleansed cleansed(*random);
  return base64url_encode(*random);
}

std::string api_key_text(std::string_view id, std::string_view secret) {
  std::string text;
  text.reserve(kApiKeyPrefix.size() + id.size() + 1 + secret.size());
  return text.append(kApiKeyPrefix).append(id).append("_").append(secret);
}

ApiKeyInfo api_key_info(const store::ApiKeyRecord& record) {
  // Names of old may hold bytes that no answer can.
  return {record.id,      as_utf8(record.name), known_scopes(record.scopes), as_utf8(record.created_by),
          record.created, record.rotated,       record.previous_until,       record.expires,
          record.revoked, record.last_used};
}

Result<void> ApiKey::usable(UtcMicros now) const {
  if (record.revoked) return refused("the API key has been revoked");
  if (record.expires && now >= *record.expires) return refused("the API key has expired");
  return {};
}

UtcMicros ApiKey::secret_until(const Digest& secret) const noexcept {
  if (same_secret(as_text(secret), as_text(record.secret_sha256))) return kNever;
  const bool previous = record.previous_sha256 && same_secret(as_text(secret), as_text(*record.previous_sha256));
  return previous ? record.previous_until.value_or(UtcMicros{}) : UtcMicros{};
}

Result<CheckedApiKey> ApiKeys::check(std::string_view id, std::string_view secret, UtcMicros now) const {
  const auto key = find(id);
  const auto& record = key ? key->record : nobody();
  const auto digest = sha256(secret);
  // Both are always compared, whatever the first says.
  const auto& previous = record.previous_sha256 ? *record.previous_sha256 : nobody().secret_sha256;
  const bool is_current = CRYPTO_memcmp(digest.data(), record.secret_sha256.data(), digest.size()) == 0;
  const bool is_previous = CRYPTO_memcmp(digest.data(), previous.data(), digest.size()) == 0;
  const bool in_grace = record.previous_sha256 && record.previous_until && now < *record.previous_until;
  if (!key || !(is_current || (is_previous && in_grace)))
    return refused("the API key is not known, or its secret is wrong");
  if (auto fine = key->usable(now); !fine) return std::unexpected(std::move(fine.error()));
  raise(*key->used, now.count);
  return CheckedApiKey{key, is_current ? key->principal : key->previous_principal};
}

ApiKeyPointer ApiKeys::find(std::string_view id) const {
  const auto keys = published_.get();
  const auto found = keys->find(id);
  return found == keys->end() ? nullptr : found->second;
}

ApiKeyPointer ApiKeys::made(store::ApiKeyRecord record, const ApiKeySet& before) const {
  const auto old = before.find(record.id);
  if (old != before.end() && same(old->second->record, record)) return old->second;
  const auto principal_of = [&](const Digest& secret) {
    auto principal = std::make_shared<Principal>();
    principal->subject = "api-key:" + record.id;
    principal->scopes = known_scopes(record.scopes);
    principal->expires = record.expires.value_or(kNever);
    principal->api_key_id = record.id;
    principal->secret_sha256 = secret;
    return principal;
  };
  auto principal = principal_of(record.secret_sha256);
  auto previous = record.previous_sha256 ? principal_of(*record.previous_sha256) : nullptr;
  auto used = old != before.end() ? old->second->used : std::make_shared<std::atomic<std::int64_t>>(0);
  return std::make_shared<const ApiKey>(std::move(record), std::move(principal), std::move(previous), std::move(used));
}

void ApiKeys::replace(std::vector<store::ApiKeyRecord> records) {
  const auto before = published_.get();
  auto keys = std::make_shared<ApiKeySet>();
  bool changed = records.size() != before->size();
  for (auto& record : records) {
    auto key = made(std::move(record), *before);
    const auto old = before->find(key->record.id);
    changed = changed || old == before->end() || old->second != key;
    (*keys)[key->record.id] = std::move(key);
  }
  if (!changed) return;
  published_.set(std::move(keys));
  epoch_.fetch_add(1, std::memory_order_acq_rel);
}

void ApiKeys::put(store::ApiKeyRecord record) {
  const auto before = published_.get();
  auto keys = std::make_shared<ApiKeySet>(*before);
  auto key = made(std::move(record), *before);
  (*keys)[key->record.id] = key;
  published_.set(std::move(keys));
  epoch_.fetch_add(1, std::memory_order_acq_rel);
}

std::vector<std::pair<std::string, UtcMicros>> ApiKeys::take_used() {
  std::vector<std::pair<std::string, UtcMicros>> used;
  const auto keys = published_.get();
  for (const auto& [id, key] : *keys)
    if (const auto at = key->used->exchange(0, std::memory_order_relaxed); at != 0)
      used.emplace_back(id, UtcMicros{at});
  return used;
}

void ApiKeys::give_back_used(const std::vector<std::pair<std::string, UtcMicros>>& used) {
  for (const auto& [id, at] : used)
    if (const auto key = find(id)) raise(*key->used, at.count);
}

}  // namespace detection::security
