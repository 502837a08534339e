#pragma once
// SHA-256 over fields in one canonical form: integers and the bits of doubles as 8 bytes little-endian, texts and
// byte strings as their length (8 bytes) and then themselves, an absent value as one byte 0, a present optional one
// as one byte 1 before it.

#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "detection/detection.hpp"

struct evp_md_ctx_st;

namespace detection::store::sql {

/// Not thread-safe; keep one, it keeps its buffer.
class Digest {
 public:
  Digest();
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;

  Digest& raw(std::span<const std::uint8_t> bytes) {
    buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return *this;
  }
  Digest& add(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    char bytes[8];
    for (unsigned i = 0; i < 8; ++i) bytes[i] = static_cast<char>(bits >> (8 * i));
    buffer_.append(bytes, 8);
    return *this;
  }
  Digest& add(double value) { return add(std::bit_cast<std::int64_t>(value)); }
  Digest& add(std::string_view text) {
    add(static_cast<std::int64_t>(text.size()));
    buffer_.append(text);
    return *this;
  }
  Digest& add(std::span<const std::uint8_t> bytes) {
    return add(std::string_view{reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  template <class T>
  Digest& add(const std::optional<T>& value) {
    buffer_.push_back(value ? '\1' : '\0');
    return value ? add(*value) : *this;
  }

  /// Of what was added since the last finish.
  [[nodiscard]] Sha256 finish();

 private:
  std::string buffer_;
  evp_md_ctx_st* context_;
};

[[nodiscard]] std::string hex(std::span<const std::uint8_t> bytes);

}  // namespace detection::store::sql
