#pragma once
// GREEN, YELLOW, RED: how far an operator may trust a point.

#include <cstdint>
#include <optional>
#include <string_view>

#include "detection/fix.hpp"

namespace detection {

enum class Flag : std::uint8_t { kGreen, kYellow, kRed };
[[nodiscard]] std::string_view flag_name(Flag flag) noexcept;
[[nodiscard]] std::optional<Flag> parse_flag(std::string_view name) noexcept;

/// Bounds of the flags: GREEN needs ce90 <= green_ce90_m and confidence >= green_confidence; RED is ce90 > red_ce90_m
/// or confidence < red_confidence or no CE90 at all; all else is YELLOW.
struct FlagPolicy {
  double green_ce90_m = 25;
  double red_ce90_m = 100;
  double green_confidence = 0.6;
  double red_confidence = 0.4;
};

/// Why a flag is not GREEN; a set, printed as words in `flag_reasons`.
enum class FlagReason : std::uint8_t {
  kCe90AboveGreen = 1,
  kCe90AboveRed = 2,
  kCe90Unbounded = 4,
  kConfidenceBelowGreen = 8,
  kConfidenceBelowRed = 16,
  kGrazing = 32,
};
/// "ce90_above_green" and so on.
[[nodiscard]] std::string_view flag_reason_name(FlagReason reason) noexcept;
inline constexpr FlagReason kAllFlagReasons[] = {FlagReason::kCe90AboveGreen,     FlagReason::kCe90AboveRed,
                                                 FlagReason::kCe90Unbounded,      FlagReason::kConfidenceBelowGreen,
                                                 FlagReason::kConfidenceBelowRed, FlagReason::kGrazing};

struct FlagVerdict {
  Flag flag = Flag::kRed;
  std::uint8_t reasons = 0;  ///< bits of FlagReason
  [[nodiscard]] bool has(FlagReason reason) const noexcept {
    return (reasons & static_cast<std::uint8_t>(reason)) != 0;
  }
};

[[nodiscard]] FlagVerdict classify(const Fix& fix, double ai_confidence, const FlagPolicy& policy) noexcept;

}  // namespace detection
