#include "detection/camera.hpp"

namespace detection {

Accuracy merge(Accuracy base, const AccuracyOverride& over) noexcept {
  base.horizontal_m = over.horizontal_m.value_or(base.horizontal_m);
  base.vertical_m = over.vertical_m.value_or(base.vertical_m);
  base.ground_m = over.ground_m.value_or(base.ground_m);
  base.heading_deg = over.heading_deg.value_or(base.heading_deg);
  base.pitch_deg = over.pitch_deg.value_or(base.pitch_deg);
  base.roll_deg = over.roll_deg.value_or(base.roll_deg);
  base.focal_percent = over.focal_percent.value_or(base.focal_percent);
  base.pixel_px = over.pixel_px.value_or(base.pixel_px);
  base.slant_range_m = over.slant_range_m.value_or(base.slant_range_m);
  return base;
}

}  // namespace detection
