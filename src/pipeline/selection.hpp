#pragma once
// What of a claim goes out to a sink, and what is left out and why. Pure.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "pipeline/sink_filter.hpp"
#include "store/store.hpp"

namespace detection::pipeline {

/// What of the events that pass the filter a sink still wants when they could not go out at once.
struct KeepPolicy {
  bool latest = false;  ///< of several events of one uid in a claim only the newest observation
  bool fresh = false;   ///< nothing that is stale by now
  friend bool operator==(const KeepPolicy&, const KeepPolicy&) = default;
};

struct SelectionRules {
  SinkFilter filter{};
  KeepPolicy keep{};
  /// Of `fresh`: so long behind its observation (or its receipt, where that was earlier: a detector's clock may be
  /// ahead) an event is stale.
  std::chrono::microseconds stale_after = std::chrono::minutes{5};

  /// Nothing is ever left out.
  [[nodiscard]] bool take_all() const noexcept { return filter.empty() && keep == KeepPolicy{}; }
};

struct Selection {
  std::vector<std::uint32_t> sent;  ///< indices of the claim's items, in its order
  std::vector<store::Omission> omitted{};
};

/// Take-backs and what is guaranteed (a person asked for it) are never superseded or stale; they may supersede nothing
/// either, so that what is newer still goes out.
[[nodiscard]] Selection select(const std::vector<store::OutboxItem>& items, const SelectionRules& rules, UtcMicros now);

/// Keeps the first `most` that are sent and what was left out up to there; how many of the claim's items that are (all
/// of them when nothing was cut).
[[nodiscard]] std::size_t cut(Selection& selection, const std::vector<store::OutboxItem>& items, std::size_t most);

}  // namespace detection::pipeline
