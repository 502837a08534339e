#pragma once
// The form of a CoT type: MITRE's event schema 2.0 (`\w+(-\w+)*(;[^;]*)?`), and of atoms "a-<affiliation>-<dimension>".

#include <cstddef>
#include <string_view>

namespace detection::cot {

inline constexpr std::size_t kTypeBytesMost = 64;
/// Pending, unknown, assumed friend, friend, neutral, suspect, hostile, joker, faker, none.
inline constexpr std::string_view kAffiliations = "puafnshjko";
/// Space, air, ground, surface, subsurface, other.
inline constexpr std::string_view kDimensions = "PAGSUX";

/// Matches the schema, has at most kTypeBytesMost bytes, only printable ASCII without markup characters, and, for an
/// atom ("a-..."), a known affiliation and dimension.
[[nodiscard]] bool is_event_type(std::string_view type) noexcept;

}  // namespace detection::cot
