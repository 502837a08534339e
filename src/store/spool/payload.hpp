#pragma once
// An acceptance as bytes, exactly reversible: numbers little-endian, doubles by their bits, texts with their length in
// front, the version first. A later version of the program reads every earlier version: a spool outlives an upgrade.

#include <cstdint>
#include <span>
#include <string>

#include "detection/error.hpp"
#include "store/store.hpp"

namespace detection::store::spool {

inline constexpr std::uint8_t kPayloadVersion = 2;

/// In the first version that can say it, so that an older program reads what it knows.
[[nodiscard]] std::string encode(const Acceptance& item);
/// kInternal: these bytes are no acceptance, or of a version that is not known.
[[nodiscard]] Result<Acceptance> decode(std::span<const std::uint8_t> bytes);

}  // namespace detection::store::spool
