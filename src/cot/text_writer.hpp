#pragma once
// Writes text into room that was made before, without a check of capacity for each piece: the hot path of the
// encoders. For this room only. Output is ASCII where it says so; nothing here depends on the locale.

#include <array>
#include <cassert>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace detection::cot {

/// A byte of a text becomes at most so many by `escaped` ("&#xfffd;") or `clean`.
inline constexpr std::size_t kEscapedBytesMost = 8;
/// Longest output of `fixed`: sign, 19 digits, point.
inline constexpr std::size_t kFixedBytesMost = 21;

namespace text_tables {
constexpr std::array<bool, 256> plain_characters() {
  std::array<bool, 256> plain{};
  for (std::size_t c = 0x20; c < 0x7f; ++c) plain[c] = true;
  for (const char c : {'<', '>', '&', '"', '\''}) plain[static_cast<unsigned char>(c)] = false;
  return plain;
}
/// What stands for itself in XML and in protobuf.
inline constexpr auto kPlain = plain_characters();

constexpr std::array<char, 200> two_digits() {
  std::array<char, 200> pairs{};
  for (std::size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}
inline constexpr auto kPairs = two_digits();
}  // namespace text_tables

/// Bytes that `escaped` would write.
[[nodiscard]] std::size_t escaped_bytes(std::string_view text) noexcept;

class TextWriter {
 public:
  explicit TextWriter(char* at) noexcept : at_(at) {}

  [[nodiscard]] char* at() const noexcept { return at_; }
  /// To a place from where on everything is written again.
  void back_to(char* at) noexcept { at_ = at; }
  void skip(std::size_t bytes) noexcept { at_ += bytes; }

  void byte(char c) noexcept { *at_++ = c; }
  template <std::size_t kSize>
  void text(const char (&literal)[kSize]) noexcept {
    std::memcpy(at_, literal, kSize - 1);
    at_ += kSize - 1;
  }
  void text(std::string_view text) noexcept {
    if (!text.empty()) std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }

  /// As the value of a quoted attribute or as element text. Markup characters become entities, other characters beyond
  /// ASCII numeric references; a byte that is not UTF-8 becomes U+FFFD, a character that XML 1.0 forbids '?', line ends
  /// and tabs a space.
  void escaped(std::string_view text) noexcept {
    std::size_t plain = 0;
    while (plain < text.size() && text_tables::kPlain[static_cast<unsigned char>(text[plain])]) ++plain;
    this->text(text.substr(0, plain));
    if (plain < text.size()) escaped_slowly(text.substr(plain));
  }
  /// What a reader of `escaped` gets back: well-formed UTF-8.
  void clean(std::string_view text) noexcept {
    std::size_t plain = 0;
    while (plain < text.size() && text_tables::kPlain[static_cast<unsigned char>(text[plain])]) ++plain;
    this->text(text.substr(0, plain));
    if (plain < text.size()) clean_slowly(text.substr(plain));
  }

  void whole(std::uint64_t value) noexcept { at_ = std::to_chars(at_, at_ + 20, value).ptr; }

  /// Fixed point with exactly that many digits behind the point, rounded to nearest: never an exponent, never -0. Cut
  /// to what 63 bits hold (19 digits in all); NaN is 0 (callers decide what unknown means before).
  template <int kDecimals>
  void fixed(double value) noexcept {
    static_assert(kDecimals >= 0 && kDecimals <= 8);
    constexpr std::array<std::uint64_t, 9> kScales{1,       10,        100,        1'000,      10'000,
                                                   100'000, 1'000'000, 10'000'000, 100'000'000};
    constexpr std::uint64_t kScale = kScales[kDecimals];
    constexpr double kMost = 9e18;
    double scaled = value * static_cast<double>(kScale);
    if (!(scaled >= -kMost)) scaled = std::isnan(scaled) ? 0 : -kMost;
    if (scaled > kMost) scaled = kMost;
    // std::llround, which is a call. The difference is exact.
    auto nearest = static_cast<std::int64_t>(scaled);
    const double rest = scaled - static_cast<double>(nearest);
    nearest += rest >= 0.5 ? 1 : rest <= -0.5 ? -1 : 0;
    if (nearest < 0) byte('-');
    const auto magnitude = static_cast<std::uint64_t>(nearest < 0 ? -nearest : nearest);
    whole(magnitude / kScale);
    if constexpr (kDecimals > 0) {
      byte('.');
      auto part = static_cast<std::uint32_t>(magnitude % kScale);
      int left = kDecimals;
      for (; left >= 2; left -= 2, part /= 100) std::memcpy(at_ + left - 2, &text_tables::kPairs[2 * (part % 100)], 2);
      if (left == 1) *at_ = static_cast<char>('0' + part);
      at_ += kDecimals;
    }
  }

 private:
  void escaped_slowly(std::string_view text) noexcept;
  void clean_slowly(std::string_view text) noexcept;

  char* at_;
};

/// Lets `write(TextWriter&)` put at most `most` bytes behind `out`.
template <class Write>
void append_with(std::string& out, std::size_t most, Write&& write) {
  const std::size_t start = out.size();
  out.resize_and_overwrite(start + most, [&](char* data, std::size_t) {
    TextWriter writer(data + start);
    write(writer);
    const auto size = static_cast<std::size_t>(writer.at() - data);
    assert(size <= start + most);
    return size;
  });
}

}  // namespace detection::cot
