#pragma once
// Tokens that were found good, so that the next request with one costs a hash and a look-up. By the token's SHA-256:
// two tokens with one hash cannot be made, and a memory dump of the cache holds no token. Bounded: sets of eight
// entries, each in one cache line; a new one takes the place of one that is of no more use, else of the one looked at
// longest ago in its set, so that no flood empties it (and only good tokens enter). An entry is good for one epoch:
// whoever changes keys or revocations moves the epoch on, and everything from before is forgotten at once. Any thread.
// Private to security/.

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "security/jose.hpp"
#include "security/token.hpp"

namespace detection::security {

class TokenCache {
 public:
  static constexpr std::size_t kEntriesMost = 4096;

  TokenCache() : sets_(kSets) {}

  /// Nothing when it is not there, of another epoch, or over.
  [[nodiscard]] std::shared_ptr<const Principal> find(const Digest& token, std::uint64_t epoch, UtcMicros now);
  /// `epoch` as it was before the token was looked at. Good until the principal's end.
  void insert(const Digest& token, std::uint64_t epoch, UtcMicros now, std::shared_ptr<const Principal> principal);
  /// How many entries are of this epoch and not over.
  [[nodiscard]] std::size_t size(std::uint64_t epoch, UtcMicros now);

 private:
  static constexpr std::size_t kWays = 8;
  static constexpr std::size_t kSets = kEntriesMost / kWays;
  static constexpr std::size_t kLocks = 32;

  struct Entry {
    Digest token{};
    std::uint64_t epoch = 0;  ///< 0: empty
    std::uint64_t used = 0;
    std::shared_ptr<const Principal> principal{};
  };
  struct Set {
    std::array<Entry, kWays> entries{};
    std::uint64_t clock = 0;
  };
  struct alignas(64) Lock {
    std::mutex mutex;
  };
  static std::size_t set_of(const Digest& token) noexcept;

  std::vector<Set> sets_;
  std::array<Lock, kLocks> locks_{};
};

}  // namespace detection::security
