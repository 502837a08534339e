#pragma once
// Who may do what: the one place that http/ asks. Joins the key ring (JWT), the API keys of the store and the list of
// revoked tokens. What decides on a request lives in memory as immutable snapshots; one thread of the authority renews
// them (key files, the store's keys and revocations) every second, so that every replica follows within seconds.

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "detection/error.hpp"
#include "detection/time.hpp"
#include "security/token.hpp"
#include "store/store.hpp"
#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace detection::security {

struct AuthorityOptions {
  std::filesystem::path key_file;       ///< the HMAC key (HS256); may be empty when there is a directory
  std::filesystem::path key_directory;  ///< further keys, one a file; its name is the kid; empty: none
  std::string signing_key;              ///< kid of the key that signs; empty: the key file, else the last by name
  std::vector<std::string> issuers;     ///< accepted `iss`; empty: our own, and a token without iss
  std::vector<std::string> audiences;   ///< accepted `aud`; empty: our own, and a token without aud
  std::chrono::seconds token_life{3600};
  std::chrono::milliseconds refresh{1'000};
  bool only_api_keys = false;  ///< for commands that make and revoke API keys: no signing key is read, no token good
};

struct IssuedToken {
  std::string access_token;
  std::chrono::seconds life{};
  std::string scope;
};

struct ApiKeyRequest {
  std::string name;                    ///< 1-128 printable characters
  ScopeSet scopes;                     ///< not empty
  std::optional<UtcMicros> expires{};  ///< in the future
};

/// What may be shown of a key.
struct ApiKeyInfo {
  std::string id;
  std::string name;
  ScopeSet scopes;
  std::string created_by;
  UtcMicros created{};
  std::optional<UtcMicros> rotated{}, previous_until{}, expires{}, revoked{}, last_used{};
};

struct NewApiKey {
  ApiKeyInfo info;
  std::string secret_text;  ///< dsk_<id>_<secret>; shown once, kept nowhere
};

inline constexpr std::chrono::hours kRotationGrace{24};
/// Ours live at most kTokenLifeMost; those of others are seldom good for longer than this.
inline constexpr std::chrono::hours kRevokedFor{24 * 90};
inline constexpr std::chrono::hours kRevokedMost{24 * 366 * 10};

class Authority {
 public:
  /// Loads the keys. kConfiguration, saying how to make one, for a missing, short or known-default key. The store must
  /// outlive it. A store that cannot be read is no reason to fail: API keys are then unknown until it can.
  [[nodiscard]] static Result<std::unique_ptr<Authority>> open(const AuthorityOptions& options, store::Store& store,
                                                               telemetry::Metrics& metrics, telemetry::Log& log);
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  /// Begins to renew; ends with the object or stop().
  void start();
  void stop();

  /// A JWT or an API key (dsk_...), as it stood behind "Bearer " or in X-API-Key. Memory only, any thread.
  /// kUnauthorized with a reason that is safe to show ("the token has expired").
  [[nodiscard]] Result<std::shared_ptr<const Principal>> authenticate(std::string_view credential, UtcMicros now);

  /// Moves on with every change that may end a credential which was good: of signing keys, API keys, revocations. One
  /// load, any thread.
  [[nodiscard]] std::uint64_t epoch() const noexcept;
  /// For what goes on longer than a request: until when a principal of authenticate() is good, as long as epoch() (read
  /// before) stays. kUnauthorized when it is no more, with a reason that is safe to show. Memory only, any thread.
  [[nodiscard]] Result<UtcMicros> good_until(const Principal& principal, UtcMicros now) const;

  /// The client-credentials grant (RFC 6749 section 4.4): the client is an API key; `client_id` its id (with or without
  /// "dsk_"), `client_secret` its secret or the whole key text. An empty scope means all of the key's.
  /// kUnauthorized (invalid_client); kValidationFailed on "scope" (invalid_scope); kStoreUnavailable: there are only
  /// public keys.
  [[nodiscard]] Result<IssuedToken> grant(std::string_view client_id, std::string_view client_secret,
                                          std::string_view scope, UtcMicros now);

  /// The public keys (RFC 7517), as JSON: {"keys":[...]}; never a symmetric one.
  [[nodiscard]] std::shared_ptr<const std::string> jwks() const;

  // API keys and revocation: durable and audited when they return; may wait for the disk.
  [[nodiscard]] Result<NewApiKey> create_api_key(const ApiKeyRequest& request, std::string_view actor, UtcMicros now);
  /// A new secret for the same id; the old one is good for kRotationGrace. kNotFound; kConflict: revoked, expired, or
  /// (without `force`, which ends it) the grace of an earlier rotation runs. Of several at once one wins.
  [[nodiscard]] Result<NewApiKey> rotate_api_key(std::string_view id, std::string_view actor, UtcMicros now,
                                                 bool force = false);
  /// At once here, within seconds elsewhere. Revoking again changes nothing. kNotFound.
  [[nodiscard]] Result<void> revoke_api_key(std::string_view id, std::string_view actor, UtcMicros now);
  [[nodiscard]] Result<std::vector<ApiKeyInfo>> api_keys();
  /// Kept until no token of that id can live, which is what it gives: `until` is the token's exp where it is known, at
  /// most kRevokedMost ahead; without one kRevokedFor ahead. Again it is only ever prolonged. kCapacityExceeded.
  [[nodiscard]] Result<UtcMicros> revoke_token(std::string_view jti, std::string_view actor, UtcMicros now,
                                               std::optional<UtcMicros> until = {});

  /// "<kid>:<base64url>", for tombstones of the audit: HMAC-SHA256 by a key derived from an HMAC key of the ring, or
  /// the signature of the asymmetric one where there is none. Holds as long as that key (or its public part) is in the
  /// ring.
  [[nodiscard]] Result<std::string> sign(std::string_view text) const;
  [[nodiscard]] bool verify(std::string_view text, std::string_view signature) const;

 private:
  struct Impl;
  explicit Authority(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace detection::security
