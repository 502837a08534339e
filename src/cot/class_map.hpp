#pragma once
// Which CoT type an object class becomes: data, not code.
//
// The text: one `class = type` a line, `#` starts a comment. Classes are compared without regard to case, and '-', '_',
// '.' and spaces are one and the same ("Traffic Light" is "traffic_light"). A '.' in the place of the affiliation
// ("a-.-G-E-V") takes the configured one; a letter there is an override of the operator's. The class `default` is what
// unknown classes become (`a-.-G` unless stated).
// An unknown class takes the type of its nearest parent: the longest known part before one of its separators
// ("truck.military.large" -> "truck.military" -> "truck"), else the default.

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "detection/error.hpp"

namespace detection::cot {

/// The map that the service comes with (data/cot/class_map.txt).
extern const std::string_view kBuiltInClassMap;

/// Immutable after its making: any thread may ask.
class ClassMap {
 public:
  /// kConfiguration with the line's number and the rule for a line of another form, a class of other characters or
  /// twice stated, or what is no CoT type. `affiliation` is one of kAffiliations (cot/event_type.hpp).
  [[nodiscard]] static Result<ClassMap> parse(std::string_view text, char affiliation = 'u');
  [[nodiscard]] static ClassMap built_in(char affiliation = 'u');

  /// Never empty; lives as long as the map. Does not allocate.
  [[nodiscard]] std::string_view type_of(std::string_view object_class) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return types_.size(); }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  ClassMap() = default;

  std::unordered_map<std::string, std::string, Hash, std::equal_to<>> types_;  ///< by folded class
  std::string default_type_;
};

}  // namespace detection::cot
