#include "http/read_cache.hpp"

#include <cstring>
#include <random>
#include <utility>

namespace detection::http {
namespace {

std::uint64_t random_seed() {
  std::random_device random;
  return (std::uint64_t{random()} << 32) | random();
}

}  // namespace

std::size_t ReadCache::Hash::operator()(const Uuid& id) const noexcept {
  // Callers choose ids: without the seed they could choose ones that fall together.
  std::array<std::uint64_t, 2> words{};
  std::memcpy(words.data(), id.bytes.data(), id.bytes.size());
  std::uint64_t hash = seed;
  for (const auto word : words) {
    hash = (hash ^ word) * 0xff51'afd7'ed55'8ccd;
    hash = (hash ^ (hash >> 33)) * 0xc4ce'b9fe'1a85'ec53;
    hash ^= hash >> 33;
  }
  return hash;
}

ReadCache::ReadCache(std::size_t entries_most, telemetry::Metrics& metrics)
    : hash_{random_seed()},
      most_of_shard_((entries_most + kShards - 1) / kShards),
      hits_(metrics.counter(telemetry::kCacheHitsTotal, {"detections"})),
      misses_(metrics.counter(telemetry::kCacheMissesTotal, {"detections"})) {
  for (auto& shard : shards_) shard = std::make_unique<Shard>(hash_);
}

CachedDetection ReadCache::find(const Uuid& id) {
  auto& shard = shard_of(id);
  {
    const std::scoped_lock lock(shard.mutex);
    if (const auto found = shard.places.find(id); found != shard.places.end()) {
      shard.order.splice(shard.order.begin(), shard.order, found->second);
      hits_.increment();
      return *found->second;
    }
  }
  misses_.increment();
  return nullptr;
}

void ReadCache::put(CachedDetection detection) {
  if (most_of_shard_ == 0) return;
  const auto id = detection->located.id;
  auto& shard = shard_of(id);
  CachedDetection dropped;  // freed without the lock
  const std::scoped_lock lock(shard.mutex);
  if (const auto found = shard.places.find(id); found != shard.places.end()) {
    dropped = std::exchange(*found->second, std::move(detection));
    shard.order.splice(shard.order.begin(), shard.order, found->second);
    return;
  }
  shard.order.push_front(std::move(detection));
  shard.places.emplace(id, shard.order.begin());
  if (shard.order.size() <= most_of_shard_) return;
  dropped = std::move(shard.order.back());
  shard.places.erase(dropped->located.id);
  shard.order.pop_back();
}

void ReadCache::erase(const Uuid& id) {
  auto& shard = shard_of(id);
  const std::scoped_lock lock(shard.mutex);
  const auto found = shard.places.find(id);
  if (found == shard.places.end()) return;
  shard.order.erase(found->second);
  shard.places.erase(found);
}

Result<CachedDetection> find_detection(store::Store& store, ReadCache& cache, const Uuid& id) {
  if (auto known = cache.find(id)) return known;
  auto found = store.find(id);
  if (!found) return std::unexpected(std::move(found.error()));
  if (!*found) return fail(ErrorCode::kNotFound, "there is no detection " + to_string(id));
  auto stored = std::make_shared<const store::StoredDetection>(std::move(**found));
  // A decision may change: one that was decided on is read again each time. What is in the spool (it has no sequence)
  // may yet turn out to contradict what the store has.
  if (!stored->decision && stored->sequence > 0) cache.put(stored);
  return stored;
}

Result<ReadDetection> read_detection(store::Store& store, ReadCache& cache, const Uuid& id) {
  auto stored = find_detection(store, cache, id);
  if (!stored) return std::unexpected(std::move(stored.error()));
  auto delivery = store.delivery_status(id);
  if (!delivery) return std::unexpected(std::move(delivery.error()));
  const bool decided_since = (*stored)->disposition == store::Disposition::kHold && !(*stored)->decision &&
                             delivery->state != store::DeliveryState::kHeld;
  if (decided_since) {
    cache.erase(id);
    stored = find_detection(store, cache, id);
    if (!stored) return std::unexpected(std::move(stored.error()));
  }
  return ReadDetection{std::move(*stored), std::move(*delivery)};
}

}  // namespace detection::http
