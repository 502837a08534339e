#include "store/store.hpp"

#include <array>

namespace detection::store {
namespace {

constexpr std::array<std::pair<DeliveryState, std::string_view>, 7> kStates{{
    {DeliveryState::kQueued, "queued"},
    {DeliveryState::kHeld, "held"},
    {DeliveryState::kDelivered, "delivered"},
    {DeliveryState::kRejected, "rejected"},
    {DeliveryState::kDeadLetter, "dead_letter"},
    {DeliveryState::kDiscarded, "discarded"},
    {DeliveryState::kSpooled, "spooled"},
}};

}  // namespace

std::string_view delivery_state_name(DeliveryState state) noexcept {
  for (const auto& [value, name] : kStates)
    if (value == state) return name;
  return "queued";
}

std::optional<DeliveryState> parse_delivery_state(std::string_view name) noexcept {
  for (const auto& [value, text] : kStates)
    if (text == name) return value;
  return std::nullopt;
}

}  // namespace detection::store
