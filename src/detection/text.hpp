#pragma once
// Text from outside: UTF-8 (RFC 3629), and what of it may stand in names, answers and the audit.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace detection {

/// Bytes of the character that the text begins with; 0: it begins with none. Overlong forms, surrogates and everything
/// beyond U+10FFFF are none.
[[nodiscard]] std::size_t first_character_bytes(std::string_view text) noexcept;

[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

/// How many characters a text has that is UTF-8 without a control character (C0, DEL, C1); nothing for any other.
[[nodiscard]] std::optional<std::size_t> printable_characters(std::string_view text) noexcept;

/// The text, each byte that is no UTF-8 as U+FFFD.
[[nodiscard]] std::string as_utf8(std::string_view text);

/// The beginning of a UTF-8 text, at most so many bytes, cut between two characters.
[[nodiscard]] std::string_view clipped(std::string_view text, std::size_t bytes_most) noexcept;

}  // namespace detection
