#pragma once
// Detections by id, as they were read from the store, in bounded memory. What is kept never changes: the detection and
// its request. What does change is looked up each time by the reader (find_cached): the delivery, and through it
// whether a held one was decided on.

#include <array>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "store/store.hpp"
#include "telemetry/metrics.hpp"

namespace detection::http {

using CachedDetection = std::shared_ptr<const store::StoredDetection>;

/// The least lately read ones go first. Any thread.
class ReadCache {
 public:
  ReadCache(std::size_t entries_most, telemetry::Metrics& metrics);

  /// Null when it is not here. Counts.
  [[nodiscard]] CachedDetection find(const Uuid& id);
  void put(CachedDetection detection);
  void erase(const Uuid& id);

 private:
  static constexpr std::size_t kShards = 8;
  struct Hash {
    std::uint64_t seed;
    std::size_t operator()(const Uuid& id) const noexcept;
  };
  using Order = std::list<CachedDetection>;  ///< latest first
  struct Shard {
    explicit Shard(Hash hash) : places(0, hash) {}
    std::mutex mutex;
    Order order;
    std::unordered_map<Uuid, Order::iterator, Hash> places;
  };
  [[nodiscard]] Shard& shard_of(const Uuid& id) { return *shards_[(hash_(id) >> 56) % kShards]; }

  const Hash hash_;
  const std::size_t most_of_shard_;
  std::array<std::unique_ptr<Shard>, kShards> shards_;
  telemetry::Counter hits_, misses_;
};

/// A detection and its delivery as they are now. kNotFound.
struct ReadDetection {
  CachedDetection stored;
  store::DeliveryStatus delivery;
};
[[nodiscard]] Result<ReadDetection> read_detection(store::Store& store, ReadCache& cache, const Uuid& id);
/// Only what never changes: its decision may be out of date.
[[nodiscard]] Result<CachedDetection> find_detection(store::Store& store, ReadCache& cache, const Uuid& id);

}  // namespace detection::http
