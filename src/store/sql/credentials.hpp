#pragma once
// API keys and revoked tokens: plain rows, each change of which has its audit record in the same transaction.

#include <utility>
#include <vector>

#include "store/sql/connection.hpp"
#include "store/store.hpp"

namespace detection::store::sql {

/// Adds or replaces it, but for two things that never go back: a key that was revoked stays so, and last_used.
[[nodiscard]] Result<void> put_api_key(Database& db, const ApiKeyRecord& key, const std::optional<Sha256>& instead_of,
                                       UtcMicros now);
[[nodiscard]] Result<std::vector<ApiKeyRecord>> api_keys(Database& db);
[[nodiscard]] Result<void> touch_api_keys(Database& db, const std::vector<std::pair<std::string, UtcMicros>>& used);
/// Also forgets what has become pointless by `now`.
[[nodiscard]] Result<void> revoke_token(Database& db, const RevokedToken& token, UtcMicros now);
[[nodiscard]] Result<std::vector<RevokedToken>> revoked_tokens(Database& db);

}  // namespace detection::store::sql
