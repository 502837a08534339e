#include "cot/xml_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "cot/utf8.hpp"

namespace detection::cot {
namespace {

constexpr std::array<bool, 256> plain_characters() {
  std::array<bool, 256> plain{};
  for (std::size_t c = 0x20; c < 0x7f; ++c) plain[c] = true;
  for (const char c : {'<', '>', '&', '"', '\''}) plain[static_cast<unsigned char>(c)] = false;
  return plain;
}
constexpr auto kPlain = plain_characters();

void append_reference(std::string& out, char32_t character) {
  std::array<char, 8> digits;
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), static_cast<std::uint32_t>(character), 16).ptr;
  out.append("&#x");
  out.append(digits.data(), end);
  out.push_back(';');
}

}  // namespace

void append_escaped(std::string& out, std::string_view text) {
  std::size_t done = 0;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (kPlain[static_cast<unsigned char>(c)]) {
      ++i;
      continue;
    }
    out.append(text.substr(done, i - done));
    const auto character = decode_utf8(text.substr(i));
    i += std::max<std::size_t>(character.bytes, 1);
    done = i;
    switch (c) {
      case '<': out.append("&lt;"); break;
      case '>': out.append("&gt;"); break;
      case '&': out.append("&amp;"); break;
      case '"': out.append("&quot;"); break;
      case '\'': out.append("&apos;"); break;
      case '\t':
      case '\n':
      case '\r': out.push_back(' '); break;
      default:
        if (character.bytes == 0)
          append_reference(out, U'\uFFFD');
        else if (is_xml_character(character.value) && character.value != 0x7f)
          append_reference(out, character.value);
        else
          out.push_back('?');
    }
  }
  out.append(text.substr(done));
}

void append_fixed(std::string& out, double value, int decimals) {
  constexpr double kMost = 9e18;
  constexpr std::array<double, 9> kScale{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
  if (std::isnan(value)) value = 0;
  const auto scaled = std::llround(std::clamp(value * kScale[static_cast<std::size_t>(decimals)], -kMost, kMost));
  auto rest = static_cast<std::uint64_t>(scaled < 0 ? -scaled : scaled);
  std::array<char, kFixedBytesMost> buffer;
  char* const end = buffer.data() + buffer.size();
  char* at = end;
  for (int i = 0; i < decimals; ++i, rest /= 10) *--at = static_cast<char>('0' + rest % 10);
  if (decimals > 0) *--at = '.';
  do {
    *--at = static_cast<char>('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  if (scaled < 0) *--at = '-';
  out.append(at, end);
}

}  // namespace detection::cot
