#pragma once
// The state of a release as Git has it: kubernetes/environments/ENV/slots.yaml, the values of the chart that a release
// changes. The file is written whole, in one form, so that a commit shows what a step changed and nothing else.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "detection/error.hpp"

namespace detection::slotctl {

enum class Slot : std::uint8_t { kBlue, kGreen };

[[nodiscard]] std::string_view slot_name(Slot slot) noexcept;
[[nodiscard]] std::optional<Slot> slot_named(std::string_view name) noexcept;
[[nodiscard]] constexpr Slot other(Slot slot) noexcept {
  return slot == Slot::kBlue ? Slot::kGreen : Slot::kBlue;
}

/// An image, each part empty where the chart's own holds.
struct Image {
  std::string repository{}, tag{}, digest{};
  [[nodiscard]] bool empty() const noexcept { return repository.empty() && tag.empty() && digest.empty(); }
  /// For people: the tag, or the digest where there is none, or "the chart's image".
  [[nodiscard]] std::string text() const;
  friend bool operator==(const Image&, const Image&) = default;
};

struct SlotValues {
  bool running = false;               ///< false: idle, 0 pods and no autoscaler
  std::optional<int> min_replicas{};  ///< least pods of its autoscaler; none: the environment's
  Image image{};
  std::map<std::string, std::string> config{};  ///< option -> its value as YAML on one line
  /// The same version with the same settings, however many pods.
  [[nodiscard]] bool same_release(const SlotValues& that) const { return image == that.image && config == that.config; }
  friend bool operator==(const SlotValues&, const SlotValues&) = default;
};

struct Slots {
  Slot active = Slot::kBlue;
  SlotValues blue{}, green{};
  bool migrate = true;  ///< whether the sync of this commit runs the migration
  [[nodiscard]] SlotValues& of(Slot slot) noexcept { return slot == Slot::kBlue ? blue : green; }
  [[nodiscard]] const SlotValues& of(Slot slot) const noexcept { return slot == Slot::kBlue ? blue : green; }
  friend bool operator==(const Slots&, const Slots&) = default;
};

/// kConfiguration with the place and the reason: what is not understood would be lost by the next step, so it is
/// refused.
[[nodiscard]] Result<Slots> parse_slots(std::string_view yaml);
[[nodiscard]] std::string format_slots(const Slots& slots, std::string_view environment);
/// `config` of a slot from a file of options: a YAML mapping.
[[nodiscard]] Result<std::map<std::string, std::string>> parse_config(std::string_view yaml);

}  // namespace detection::slotctl
