#pragma once
// API keys, dsk_<id>_<secret>: their text, and the snapshot of all of them that decides in memory. Private to
// security/.

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "security/authority.hpp"
#include "security/claims.hpp"
#include "security/jose.hpp"
#include "security/published.hpp"

namespace detection::security {

inline constexpr std::size_t kApiKeyIdBytes = 16;            ///< of a-z 0-9
inline constexpr std::size_t kApiKeySecretBytes = 43;        ///< base64url of 256 random bits
inline constexpr std::size_t kApiKeysMost = 10'000;          ///< also revoked ones, until the store forgets them
inline constexpr UtcMicros kNever{253'402'300'799'000'000};  ///< the last second of the year 9999

struct ApiKeyText {
  std::string_view id, secret;
};
/// Nothing when it has not the form of a key.
[[nodiscard]] std::optional<ApiKeyText> parse_api_key(std::string_view text) noexcept;
[[nodiscard]] bool is_api_key_id(std::string_view text) noexcept;
[[nodiscard]] std::optional<std::string> new_api_key_id();
[[nodiscard]] std::optional<std::string> new_api_key_secret();
[[nodiscard]] std::string api_key_text(std::string_view id, std::string_view secret);
[[nodiscard]] ApiKeyInfo api_key_info(const store::ApiKeyRecord& record);

struct ApiKey {
  store::ApiKeyRecord record;
  std::shared_ptr<const Principal> principal;
  std::shared_ptr<const Principal> previous_principal;  ///< whoever comes with the secret from before a rotation
  /// When it was last used here, microseconds; 0: not since it was told to the store.
  std::shared_ptr<std::atomic<std::int64_t>> used;

  /// kUnauthorized: revoked, expired.
  [[nodiscard]] Result<void> usable(UtcMicros now) const;
  /// Until when the secret of that hash is good, whatever becomes of the key; long ago where it is none of the key's.
  [[nodiscard]] UtcMicros secret_until(const Digest& secret) const noexcept;
};
using ApiKeyPointer = std::shared_ptr<const ApiKey>;
struct CheckedApiKey {
  ApiKeyPointer key;
  std::shared_ptr<const Principal> principal;  ///< that of the secret
};
using ApiKeySet = std::unordered_map<std::string, ApiKeyPointer, TextHash, std::equal_to<>>;

class ApiKeys {
 public:
  /// `epoch` moves on after each change that may end a token granted to a key.
  explicit ApiKeys(std::atomic<std::uint64_t>& epoch) : epoch_(epoch) {}

  /// The key of that id and secret, usable now. kUnauthorized; the same work and the same words for an unknown id and a
  /// wrong secret.
  [[nodiscard]] Result<CheckedApiKey> check(std::string_view id, std::string_view secret, UtcMicros now) const;
  /// Null when there is none.
  [[nodiscard]] ApiKeyPointer find(std::string_view id) const;

  /// What the store holds. One caller at a time, also for put().
  void replace(std::vector<store::ApiKeyRecord> records);
  void put(store::ApiKeyRecord record);

  /// Those used since the last call.
  [[nodiscard]] std::vector<std::pair<std::string, UtcMicros>> take_used();
  /// They could not be told to the store: once more next time.
  void give_back_used(const std::vector<std::pair<std::string, UtcMicros>>& used);

 private:
  [[nodiscard]] ApiKeyPointer made(store::ApiKeyRecord record, const ApiKeySet& before) const;

  std::atomic<std::uint64_t>& epoch_;
  Published<ApiKeySet> published_;
};

}  // namespace detection::security
