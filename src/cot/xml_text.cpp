#include "cot/xml_text.hpp"

#include <algorithm>
#include <array>

#include "cot/utf8.hpp"

namespace detection::cot {
namespace {

/// The next character of `text`: as it is, or what stands for it ('?', a space, U+FFFD).
struct Character {
  char32_t value;
  std::size_t bytes;  ///< of `text` that it takes
};

Character next_character(std::string_view text) noexcept {
  const auto found = decode_utf8(text);
  if (found.bytes == 0) return {U'\uFFFD', 1};
  if (found.value == '\t' || found.value == '\n' || found.value == '\r') return {U' ', 1};
  if (!is_xml_character(found.value) || found.value == 0x7f) return {U'?', found.bytes};
  return {found.value, found.bytes};
}

std::string_view entity(char32_t c) noexcept {
  switch (c) {
    case U'<': return "&lt;";
    case U'>': return "&gt;";
    case U'&': return "&amp;";
    case U'"': return "&quot;";
    case U'\'': return "&apos;";
    default: return {};
  }
}

}  // namespace

void TextWriter::escaped_slowly(std::string_view text) noexcept {
  while (!text.empty()) {
    const auto [value, bytes] = next_character(text);
    text.remove_prefix(bytes);
    if (const auto name = entity(value); !name.empty()) {
      this->text(name);
    } else if (value < 0x80) {
      byte(static_cast<char>(value));
    } else {
      this->text("&#x");
      at_ = std::to_chars(at_, at_ + 8, static_cast<std::uint32_t>(value), 16).ptr;
      byte(';');
    }
  }
}

void TextWriter::clean_slowly(std::string_view text) noexcept {
  while (!text.empty()) {
    const auto [value, bytes] = next_character(text);
    if (value == U'\uFFFD')
      this->text("\xEF\xBF\xBD");
    else if (value < 0x80)
      byte(static_cast<char>(value));
    else
      this->text(text.substr(0, bytes));
    text.remove_prefix(bytes);
  }
}

std::size_t escaped_bytes(std::string_view text) noexcept {
  if (std::ranges::all_of(text, [](char c) { return text_tables::kPlain[static_cast<unsigned char>(c)]; }))
    return text.size();
  std::size_t size = 0;
  while (!text.empty()) {
    std::array<char, kEscapedBytesMost * 4> room;
    TextWriter writer(room.data());
    const auto bytes = next_character(text).bytes;
    writer.escaped(text.substr(0, bytes));
    size += static_cast<std::size_t>(writer.at() - room.data());
    text.remove_prefix(bytes);
  }
  return size;
}

void append_escaped(std::string& out, std::string_view text) {
  append_with(out, kEscapedBytesMost * text.size(), [&](TextWriter& writer) { writer.escaped(text); });
}

void append_fixed(std::string& out, double value, int decimals) {
  append_with(out, kFixedBytesMost, [&](TextWriter& writer) {
    switch (decimals) {
      case 0: return writer.fixed<0>(value);
      case 1: return writer.fixed<1>(value);
      case 2: return writer.fixed<2>(value);
      case 3: return writer.fixed<3>(value);
      case 4: return writer.fixed<4>(value);
      case 5: return writer.fixed<5>(value);
      case 6: return writer.fixed<6>(value);
      case 7: return writer.fixed<7>(value);
      default: return writer.fixed<8>(value);
    }
  });
}

}  // namespace detection::cot
