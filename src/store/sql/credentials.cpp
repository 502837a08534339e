#include "store/sql/credentials.hpp"

#include <algorithm>

namespace detection::store::sql {
namespace {

std::optional<std::int64_t> count_of(const std::optional<UtcMicros>& at) {
  return at ? std::optional(at->count) : std::nullopt;
}

std::optional<UtcMicros> time_at(const Query& q, int column) {
  return q.is_null(column) ? std::nullopt : std::optional(UtcMicros{q.integer(column)});
}

std::optional<std::span<const std::uint8_t>> bytes_of(const std::optional<Sha256>& hash) {
  if (!hash) return std::nullopt;
  return *hash;
}

bool read_hash(const Query& q, int column, Sha256& hash) {
  const auto bytes = q.bytes(column);
  if (bytes.size() != hash.size()) return false;
  std::ranges::copy(bytes, hash.begin());
  return true;
}

}  // namespace

Result<void> put_api_key(Database& db, const ApiKeyRecord& key, const std::optional<Sha256>& instead_of,
                         UtcMicros now) {
  const auto before = now + -std::chrono::duration_cast<std::chrono::microseconds>(kApiKeyKept);
  auto removed = db.query("DELETE FROM api_key WHERE (revoked < ?1 OR expires < ?1) AND id <> ?2")
                     .bind(before.count)
                     .bind(key.id)
                     .run();
  if (!removed) return removed;
  if (instead_of) {
    auto same = db.query("SELECT 1 FROM api_key WHERE id = ? AND secret_sha256 = ? AND revoked IS NULL")
                    .bind(key.id)
                    .bind(*instead_of)
                    .step();
    if (!same) return std::unexpected(std::move(same.error()));
    if (!*same) return fail(ErrorCode::kConflict, "the API key was changed meanwhile");
  }
  return db
      .query(
          "INSERT INTO api_key (id, name, secret_sha256, previous_sha256, previous_until, scopes, created_by, created, "
          "rotated, expires, revoked, last_used) VALUES (?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET "
          "name = excluded.name, secret_sha256 = excluded.secret_sha256, previous_sha256 = excluded.previous_sha256, "
          "previous_until = excluded.previous_until, scopes = excluded.scopes, created_by = excluded.created_by, "
          "created = excluded.created, rotated = excluded.rotated, expires = excluded.expires, "
          "revoked = coalesce(api_key.revoked, excluded.revoked), "
          "last_used = CASE WHEN api_key.last_used IS NULL OR excluded.last_used > api_key.last_used THEN "
          "excluded.last_used ELSE api_key.last_used END")
      .bind(key.id)
      .bind(key.name)
      .bind(key.secret_sha256)
      .bind(bytes_of(key.previous_sha256))
      .bind(count_of(key.previous_until))
      .bind(key.scopes)
      .bind(key.created_by)
      .bind(key.created.count)
      .bind(count_of(key.rotated))
      .bind(count_of(key.expires))
      .bind(count_of(key.revoked))
      .bind(count_of(key.last_used))
      .run();
}

Result<std::vector<ApiKeyRecord>> api_keys(Database& db) {
  auto q = db.query(
      "SELECT id, name, secret_sha256, previous_sha256, previous_until, scopes, created_by, created, rotated, expires, "
      "revoked, last_used FROM api_key ORDER BY created, id");
  std::vector<ApiKeyRecord> keys;
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return keys;
    ApiKeyRecord key;
    key.id = q.text(0);
    key.name = q.text(1);
    bool whole = read_hash(q, 2, key.secret_sha256);
    if (!q.is_null(3)) whole &= read_hash(q, 3, key.previous_sha256.emplace());
    if (!whole) return fail(ErrorCode::kInternal, "the record of the API key " + key.id + " is damaged");
    key.previous_until = time_at(q, 4);
    key.scopes = q.text(5);
    key.created_by = q.text(6);
    key.created = {q.integer(7)};
    key.rotated = time_at(q, 8);
    key.expires = time_at(q, 9);
    key.revoked = time_at(q, 10);
    key.last_used = time_at(q, 11);
    keys.push_back(std::move(key));
  }
}

Result<void> touch_api_keys(Database& db, const std::vector<std::pair<std::string, UtcMicros>>& used) {
  for (const auto& [id, at] : used) {
    auto done =
        db.query("UPDATE api_key SET last_used = CASE WHEN last_used > ?1 THEN last_used ELSE ?1 END WHERE id = ?2")
            .bind(at.count)
            .bind(id)
            .run();
    if (!done) return done;
  }
  return {};
}

Result<void> revoke_token(Database& db, const RevokedToken& token, UtcMicros now) {
  if (auto done = db.query("DELETE FROM revoked_token WHERE until < ?").bind(now.count).run(); !done) return done;
  return db
      .query(
          "INSERT INTO revoked_token (jti, until) VALUES (?,?) ON CONFLICT (jti) DO UPDATE SET "
          "until = CASE WHEN excluded.until > revoked_token.until THEN excluded.until ELSE revoked_token.until END")
      .bind(token.jti)
      .bind(token.until.count)
      .run();
}

Result<std::vector<RevokedToken>> revoked_tokens(Database& db) {
  auto q = db.query("SELECT jti, until FROM revoked_token ORDER BY jti");
  std::vector<RevokedToken> tokens;
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return tokens;
    tokens.push_back({std::string(q.text(0)), {q.integer(1)}});
  }
}

}  // namespace detection::store::sql
