#pragma once
// Detections posted to a service by tests, and what became of them. Each must be accepted: a failure of the test else.

#include <chrono>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_set>
#include <vector>

#include "integration/support/peers.hpp"
#include "integration/support/service.hpp"

namespace detection::integration {

using Uids = std::unordered_set<std::string>;

/// 8 of 10 in batches, the rest one by one from two connections; their CoT uids.
[[nodiscard]] Uids post_mixed(const Service& service, std::size_t count);
/// In batches spread over the time; `count` in the end, however slow that is.
[[nodiscard]] Uids post_over(const Service& service, std::size_t count, std::chrono::milliseconds time);
/// At once, in batches.
[[nodiscard]] inline Uids post_batches(const Service& service, std::size_t count) {
  return post_over(service, count, std::chrono::milliseconds(0));
}

/// Waits until nothing is queued for any of these sinks.
[[nodiscard]] bool drained(const Service& service, const std::vector<std::string>& sinks,
                           std::chrono::milliseconds most);
/// A sink's entry of GET /api/v1/delivery; null when it has none.
[[nodiscard]] nlohmann::json delivery_of(const Service& service, const std::string& sink);

struct Comparison {
  std::size_t missing = 0;   ///< posted, not there
  std::size_t strange = 0;   ///< there, not posted
  std::size_t repeated = 0;  ///< received again: the sum over all uids
};
[[nodiscard]] Comparison compare(const Uids& posted, const UidCounts& received);

}  // namespace detection::integration
