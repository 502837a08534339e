#pragma once
// Pieces of JSON's syntax (RFC 8259) that the on-demand parser leaves to its user, and the cutting of batches.

#include <cstddef>
#include <string_view>
#include <vector>

#include "detection/error.hpp"

namespace detection::http {

/// Deepest nesting that a body may have.
inline constexpr int kJsonDepthMost = 16;

[[nodiscard]] bool is_json_number(std::string_view token) noexcept;
/// White space of JSON, nothing else.
[[nodiscard]] bool is_json_blank(std::string_view text) noexcept;
/// Without white space around it.
[[nodiscard]] std::string_view json_trimmed(std::string_view text) noexcept;
/// False for decoded text with a NUL or a lone surrogate (as \u escapes can make).
[[nodiscard]] bool is_sane_text(std::string_view decoded) noexcept;

/// The elements of a JSON array as they stand in `text`, uncut and unchecked: each must still be parsed, and then the
/// whole is a valid array. kMalformedJson, or kPayloadTooLarge for more than `most`.
[[nodiscard]] Result<std::vector<std::string_view>> split_array(std::string_view text, std::size_t most);

}  // namespace detection::http
