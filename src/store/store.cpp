#include "store/store.hpp"

#include <array>

#include "detection/json_writer.hpp"

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

std::string_view omit_reason_name(OmitReason reason) noexcept {
  switch (reason) {
    case OmitReason::kFiltered: return "filtered";
    case OmitReason::kSuperseded: return "superseded";
    case OmitReason::kStale: return "stale";
  }
  return "filtered";
}

AuditEntry release_entry(std::string_view slot, std::string_view actor) {
  AuditEntry entry{.type = "config_loaded", .actor = std::string(actor), .detail_json = {}};
  json::Writer w(entry.detail_json);
  w.begin_object();
  w.key("setting");
  w.string("release.active_slot");
  w.key("value");
  w.string(slot);
  w.end_object();
  return entry;
}

std::string release_words(const ReleaseStatus& release) {
  if (release.slot.empty()) return "it has no slot and always delivers";
  if (release.delivers) return "slot " + release.slot + " is the active one";
  return "slot " + release.slot + " is not the active one (" + release.active_slot.value_or("none was ever set") + ")";
}

std::string tombstone_text(const Tombstone& t) {
  return "tombstone\n" + t.chain + "\n" + std::to_string(t.up_to_record) + "\n" + t.head_sha256 + "\n" +
         std::to_string(t.records) + "\n" + std::to_string(t.detections) + "\n" + t.detections_sha256 + "\n" +
         std::to_string(t.pruned.count) + "\n";
}

}  // namespace detection::store
