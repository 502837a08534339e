#include "security/token_cache.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace detection::security {

std::size_t TokenCache::set_of(const Digest& token) noexcept {
  std::size_t value = 0;  // a SHA-256 is spread well enough already
  std::memcpy(&value, token.data(), sizeof value);
  return value % kSets;
}

std::shared_ptr<const Principal> TokenCache::find(const Digest& token, std::uint64_t epoch, UtcMicros now) {
  const auto index = set_of(token);
  const std::scoped_lock lock(locks_[index % kLocks].mutex);
  auto& set = sets_[index];
  for (auto& entry : set.entries) {
    if (entry.epoch != epoch || entry.token != token) continue;
    if (now >= entry.principal->expires) return nullptr;
    entry.used = ++set.clock;
    return entry.principal;
  }
  return nullptr;
}

void TokenCache::insert(const Digest& token, std::uint64_t epoch, UtcMicros now,
                        std::shared_ptr<const Principal> principal) {
  const auto index = set_of(token);
  std::shared_ptr<const Principal> replaced;  // ends outside the lock
  const std::scoped_lock lock(locks_[index % kLocks].mutex);
  auto& set = sets_[index];
  const auto worth = [&](const Entry& entry) -> std::uint64_t {
    if (entry.epoch != 0 && entry.token == token) return 0;
    return entry.epoch != epoch || now >= entry.principal->expires ? 1 : 1 + entry.used;
  };
  auto& place = *std::min_element(set.entries.begin(), set.entries.end(),
                                  [&](const Entry& a, const Entry& b) { return worth(a) < worth(b); });
  replaced = std::exchange(place.principal, std::move(principal));
  place.token = token;
  place.epoch = epoch;
  place.used = ++set.clock;
}

std::size_t TokenCache::size(std::uint64_t epoch, UtcMicros now) {
  std::size_t count = 0;
  for (std::size_t index = 0; index < kSets; ++index) {
    const std::scoped_lock lock(locks_[index % kLocks].mutex);
    for (const auto& entry : sets_[index].entries)
      if (entry.epoch == epoch && now < entry.principal->expires) ++count;
  }
  return count;
}

}  // namespace detection::security
