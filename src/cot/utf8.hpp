#pragma once
// UTF-8 (RFC 3629) one character at a time, and which characters XML 1.0 allows.

#include <cstddef>
#include <string_view>

namespace detection::cot {

struct Utf8Character {
  char32_t value = 0;
  std::size_t bytes = 0;  ///< 0: the text does not start with a well-formed character
};

/// Refuses overlong forms, surrogates and everything beyond U+10FFFF.
[[nodiscard]] constexpr Utf8Character decode_utf8(std::string_view text) noexcept {
  if (text.empty()) return {};
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return {first, 1};
  const std::size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < bytes) return {};
  char32_t value = first & (0x7fU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xc0) != 0x80) return {};
    value = (value << 6) | (next & 0x3fU);
  }
  if ((bytes == 3 && value < 0x800) || (bytes == 4 && (value < 0x10000 || value > 0x10ffff)) ||
      (value >= 0xd800 && value <= 0xdfff))
    return {};
  return {value, bytes};
}

/// Production [2] of XML 1.0, fifth edition.
[[nodiscard]] constexpr bool is_xml_character(char32_t c) noexcept {
  return c == 0x9 || c == 0xa || c == 0xd || (c >= 0x20 && c <= 0xd7ff) || (c >= 0xe000 && c <= 0xfffd) ||
         (c >= 0x10000 && c <= 0x10ffff);
}

/// Well-formed UTF-8 of nothing but characters that XML allows.
[[nodiscard]] constexpr bool is_xml_text(std::string_view text) noexcept {
  while (!text.empty()) {
    const auto character = decode_utf8(text);
    if (character.bytes == 0 || !is_xml_character(character.value)) return false;
    text.remove_prefix(character.bytes);
  }
  return true;
}

}  // namespace detection::cot
