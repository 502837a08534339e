#pragma once
// Token buckets in bounded memory: one table for each kind of caller (subjects, addresses, the token endpoint).
//
// A bucket is one number, the time at which it will be full again (the generic cell rate algorithm): a full bucket and
// an absent one are the same, so forgetting a full one loses nothing. Where a newcomer finds no free place, it takes
// the fullest bucket among its neighbours over as it is, never a full one: whoever comes under ever new names gets, in
// all, no more than the table's buckets do. So a flood of names can make strangers share a bucket, and cannot go round
// the limit.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "http/service.hpp"

namespace detection::http {

/// What a bucket says after it was asked.
struct RateVerdict {
  bool allowed = true;
  std::int64_t remaining = 0;  ///< whole requests that it would still allow now
  std::int64_t full_in_s = 0;  ///< rounded up
  std::int64_t wait_s = 0;     ///< until one is allowed; 0 where one is
};

/// What a caller is called in a limiter.
struct RateKey {
  using Id = std::array<std::uint64_t, 2>;
  std::uint64_t place = 0;  ///< its bucket's, in this process only
  Id id{};  ///< the same in every process: of the SHA-256 of limiter and name. 0 where nothing is shared
};

/// Any thread.
class RateLimiter {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// Others' use takes a bucket at most so many of its depths into debt: a neighbour that counts wrongly shuts nobody
  /// out for good.
  static constexpr std::int64_t kForeignDebtMost = 64;

  /// `name` is what the headers call the policy. `buckets_most` is rounded up to whole groups of neighbours. `shared`:
  /// what is used is counted for other processes (RateSharing).
  RateLimiter(std::string_view name, Rate rate, std::size_t buckets_most, std::uint64_t seed, bool shared = false);

  [[nodiscard]] RateKey key(std::string_view name) const;

  /// Takes one request, or none when there is none to take.
  [[nodiscard]] RateVerdict take(const RateKey& key, Time now);
  /// Whether take() would be allowed.
  [[nodiscard]] RateVerdict peek(const RateKey& key, Time now);
  /// Takes what was used already: the bucket may go into debt.
  void charge(const RateKey& key, std::int64_t requests, Time now);

  struct Used {
    RateKey::Id id{};
    std::int64_t requests = 0;
  };
  /// What was used since the last call, of at most kUsedMost callers.
  [[nodiscard]] std::vector<Used> take_used();
  /// Takes from a caller's bucket what it used elsewhere.
  void used_elsewhere(const RateKey::Id& id, std::int64_t requests, Time now);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  /// RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers), each line ended by CRLF.
  void append_headers(std::string& out, const RateVerdict& verdict) const;

 private:
  static constexpr std::size_t kWays = 8, kLocks = 64, kUsedMost = 1'024;
  struct Bucket {
    std::uint64_t key = 0;
    std::int64_t full_ns = 0;  ///< on the steady clock
  };
  using Group = std::array<Bucket, kWays>;
  struct IdHash {
    std::size_t operator()(const RateKey::Id& id) const noexcept { return id[0]; }
  };
  struct alignas(64) Lock {
    std::mutex mutex;
    std::unordered_map<RateKey::Id, std::int64_t, IdHash> used;
  };

  [[nodiscard]] Group& group_of(std::uint64_t place) noexcept { return groups_[place & (groups_.size() - 1)]; }
  [[nodiscard]] Lock& lock_of(std::uint64_t place) noexcept { return locks_[(place & (groups_.size() - 1)) % kLocks]; }
  [[nodiscard]] std::uint64_t quick_hash(std::string_view name) const noexcept;
  [[nodiscard]] std::uint64_t place_of(const RateKey::Id& id) const noexcept;
  /// With the lock held.
  void count(Lock& lock, const RateKey& key, std::int64_t requests) const;
  /// With the group's lock held.
  [[nodiscard]] static Bucket& find(Group& group, std::uint64_t key, std::int64_t now_ns);
  [[nodiscard]] RateVerdict verdict(std::int64_t full_ns, std::int64_t now_ns, bool allowed) const noexcept;

  const std::string name_;
  const std::uint64_t seed_;
  const bool shared_;
  const std::int64_t interval_ns_;  ///< of one request
  const std::int64_t depth_ns_;     ///< of the whole bucket
  const std::string policy_;        ///< the constant part of the headers
  std::vector<Group> groups_;
  std::array<Lock, kLocks> locks_;
};

/// The limiters of the service (RateLimits) and what is left to addresses that have spent theirs.
class RateGates {
 public:
  /// `shared`: all but the reserve.
  explicit RateGates(const RateLimits& limits, bool shared = false);

  const bool enabled;
  RateLimiter subject, address, token;
  /// Checks of unknown credentials from addresses without budget, for the process: so that a flood of bad tokens from
  /// one address (a whole site behind one proxy, say) keeps nobody there out for good, and gets few signatures checked.
  RateLimiter reserve;
};

}  // namespace detection::http
