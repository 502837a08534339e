#pragma once
// Which events a sink gets at all. Pure; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/store.hpp"

namespace detection::pipeline {

/// The text itself, or with a '*' at its end everything that begins so. '*' elsewhere stands for itself.
[[nodiscard]] bool matches_pattern(std::string_view pattern, std::string_view text) noexcept;

/// An empty list lets everything through. What a filter names must all hold.
struct SinkFilter {
  std::vector<std::string> types{};    ///< patterns of CoT types
  std::vector<std::string> sources{};  ///< patterns
  std::vector<std::string> classes{};  ///< patterns of object classes
  std::uint8_t flags = 0;              ///< bits 1 << Flag; 0: all
  std::optional<store::BoundingBox> area{};

  [[nodiscard]] bool empty() const noexcept;
  /// Take-backs pass always: what they speak of may have gone out under an older filter. What a person released passes
  /// whatever its flag: a flag says how far a point may be trusted that nobody has looked at.
  [[nodiscard]] bool passes(const store::OutboxItem& item) const noexcept;
};

}  // namespace detection::pipeline
