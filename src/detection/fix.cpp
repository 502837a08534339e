#include "detection/fix.hpp"

namespace detection {

std::string_view position_source_name(PositionSource source) noexcept {
  switch (source) {
    case PositionSource::kSlantRange: return "slant_range";
    case PositionSource::kGroundElevation: return "ground_elevation";
    case PositionSource::kAboveGround: return "above_ground";
    case PositionSource::kTerrain: return "terrain";
  }
  return "unknown";
}

}  // namespace detection
