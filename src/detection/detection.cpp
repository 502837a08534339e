#include "detection/detection.hpp"

#include <cmath>
#include <numbers>

namespace detection {

Intrinsics intrinsics(const SensorMetadata& sensor) noexcept {
  const double width = sensor.image_width_px, height = sensor.image_height_px;
  Intrinsics lens;
  switch (sensor.focal_kind) {
    case FocalKind::kPixels: lens.fx_px = sensor.focal_length_px; break;
    case FocalKind::kMillimetres: lens.fx_px = sensor.focal_length_mm * width / sensor.sensor_width_mm; break;
    case FocalKind::kHorizontalFov:
      lens.fx_px = width / 2 / std::tan(sensor.hfov_deg * (std::numbers::pi / 360));
      break;
  }
  lens.fy_px = sensor.focal_length_y_px.value_or(lens.fx_px);
  lens.cx_px = sensor.principal_point ? sensor.principal_point->x_px : width / 2;
  lens.cy_px = sensor.principal_point ? sensor.principal_point->y_px : height / 2;
  lens.distortion = sensor.distortion;
  return lens;
}

}  // namespace detection
