#pragma once
// UUIDs (RFC 9562) as 16 bytes in network order.

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "detection/time.hpp"

namespace detection {

struct Uuid {
  std::array<std::uint8_t, 16> bytes{};
  friend auto operator<=>(const Uuid&, const Uuid&) = default;
};

/// The 8-4-4-4-12 form in either case, any version and variant; nothing else (no braces, no urn:).
[[nodiscard]] std::optional<Uuid> parse_uuid(std::string_view text) noexcept;
/// Lower case, 36 characters.
[[nodiscard]] std::string to_string(const Uuid& id);
void append_uuid(std::string& out, const Uuid& id);

/// Version 8 (RFC 9562 section 5.8) from the first 16 bytes of a hash: the same hash gives the same UUID.
[[nodiscard]] Uuid uuid_from_hash(const std::array<std::uint8_t, 32>& hash) noexcept;

/// Mints version 7: 48 bits of milliseconds, 12 bits of counter, 62 random bits, so that ids of one thread are in the
/// order of their making (and cheap to index). One object per thread.
class UuidMint {
 public:
  explicit UuidMint(std::uint64_t seed) : random_(seed) {}
  [[nodiscard]] Uuid mint(UtcMicros now) noexcept;

 private:
  std::mt19937_64 random_;
  std::int64_t last_ms_ = 0;
  std::uint32_t counter_ = 0;
};

}  // namespace detection
