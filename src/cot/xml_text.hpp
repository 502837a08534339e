#pragma once
// Pieces of XML 1.0 text for the writer: escapes and numbers. Output is ASCII; nothing here depends on the locale.

#include <cstddef>
#include <string>
#include <string_view>

namespace detection::cot {

/// As the value of a quoted attribute or as element text. Markup characters become entities, other characters beyond
/// ASCII numeric references; a byte that is not UTF-8 becomes U+FFFD, a character that XML 1.0 forbids '?', line ends
/// and tabs a space.
void append_escaped(std::string& out, std::string_view text);

/// Fixed point with exactly `decimals` (0..8) digits behind the point, rounded to nearest: never an exponent, never -0.
/// Cut to what 63 bits hold (19 digits in all); NaN is 0 (callers decide what unknown means before).
void append_fixed(std::string& out, double value, int decimals);

/// Longest output of append_fixed: sign, 19 digits, point.
inline constexpr std::size_t kFixedBytesMost = 21;

}  // namespace detection::cot
