#pragma once
// The inside of Authority. Private to security/.

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "security/api_keys.hpp"
#include "security/authority.hpp"
#include "security/published.hpp"
#include "security/token_cache.hpp"
#include "security/token_verifier.hpp"

namespace detection::security {

/// jti -> until when one of it may live.
using RevokedTokens = std::unordered_map<std::string, UtcMicros, TextHash, std::equal_to<>>;

struct Authority::Impl {
  Impl(const AuthorityOptions& o, store::Store& s, telemetry::Metrics& m, telemetry::Log& l)
      : options(o),
        store(s),
        log(l),
        hits(m.counter(telemetry::kCacheHitsTotal, {"token"})),
        misses(m.counter(telemetry::kCacheMissesTotal, {"token"})) {}

  [[nodiscard]] Result<std::shared_ptr<const Principal>> check_token(std::string_view token, UtcMicros now);
  /// Reads the store's API keys and revocations; what cannot be read stays as it was.
  void renew();
  /// Tells the store which keys were used.
  void write_used();
  void run();

  const AuthorityOptions options;
  store::Store& store;
  telemetry::Log& log;
  telemetry::Counter hits, misses;

  std::atomic<std::uint64_t> epoch{1};  ///< see TokenCache
  std::unique_ptr<KeyRing> ring;
  std::optional<TokenVerifier> tokens;
  TokenCache cache;
  ApiKeys api_keys{epoch};
  Published<RevokedTokens> revoked;
  std::mutex changing;  ///< one at a time changes the store and the snapshots made of it, else an older one may win
  bool store_failed = false;  ///< said in the log; for renew()

  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  std::thread thread;
};

}  // namespace detection::security
