#include "detection/flag.hpp"

namespace detection {

std::string_view flag_name(Flag flag) noexcept {
  switch (flag) {
    case Flag::kGreen: return "GREEN";
    case Flag::kYellow: return "YELLOW";
    case Flag::kRed: return "RED";
  }
  return "RED";
}

std::optional<Flag> parse_flag(std::string_view name) noexcept {
  for (const Flag flag : {Flag::kGreen, Flag::kYellow, Flag::kRed})
    if (flag_name(flag) == name) return flag;
  return std::nullopt;
}

std::string_view flag_reason_name(FlagReason reason) noexcept {
  switch (reason) {
    case FlagReason::kCe90AboveGreen: return "ce90_above_green";
    case FlagReason::kCe90AboveRed: return "ce90_above_red";
    case FlagReason::kCe90Unbounded: return "ce90_unbounded";
    case FlagReason::kConfidenceBelowGreen: return "confidence_below_green";
    case FlagReason::kConfidenceBelowRed: return "confidence_below_red";
    case FlagReason::kGrazing: return "grazing";
  }
  return "unknown";
}

FlagVerdict classify(const Fix& fix, double ai_confidence, const FlagPolicy& policy) noexcept {
  FlagVerdict verdict{Flag::kGreen, 0};
  const auto lower = [&](Flag to, FlagReason why) {
    if (to > verdict.flag) verdict.flag = to;
    verdict.reasons = static_cast<std::uint8_t>(verdict.reasons | static_cast<std::uint8_t>(why));
  };
  if (!fix.ce90_m) {
    lower(Flag::kRed, FlagReason::kCe90Unbounded);
  } else if (*fix.ce90_m > policy.red_ce90_m) {
    lower(Flag::kRed, FlagReason::kCe90AboveRed);
  } else if (*fix.ce90_m > policy.green_ce90_m) {
    lower(Flag::kYellow, FlagReason::kCe90AboveGreen);
  }
  if (ai_confidence < policy.red_confidence) {
    lower(Flag::kRed, FlagReason::kConfidenceBelowRed);
  } else if (ai_confidence < policy.green_confidence) {
    lower(Flag::kYellow, FlagReason::kConfidenceBelowGreen);
  }
  if (fix.grazing) lower(verdict.flag, FlagReason::kGrazing);  // said, but the CE90 already carries it
  return verdict;
}

}  // namespace detection
