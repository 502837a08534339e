#pragma once
// Base64, RFC 4648 section 4 (standard alphabet, padded), strictly: no line ends, no stray bits.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace detection::http {

/// Length of the text of `bytes` bytes.
[[nodiscard]] constexpr std::size_t base64_bytes(std::size_t bytes) noexcept {
  return (bytes + 2) / 3 * 4;
}

[[nodiscard]] std::string encode_base64(std::string_view bytes);
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text);

}  // namespace detection::http
