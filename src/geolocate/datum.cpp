#include "geolocate/datum.hpp"

#include <cmath>

#include "geolocate/geoid.hpp"

namespace detection::geolocate {
namespace {

std::unexpected<Error> bad_field(const char* field, const char* message) {
  return fail(ErrorCode::kValidationFailed, message, {{field, message}});
}

}  // namespace

Result<Resolved> resolve_datum(const SensorMetadata& sensor, const Settings& settings) {
  const bool agl = sensor.elevation_reference == ElevationReference::kAgl;
  if (!agl && !sensor.slant_range_m && !sensor.ground_elevation_m) {
    return bad_field("sensor_metadata.ground_elevation_m",
                     "an elevation above the ellipsoid or sea level needs ground_elevation_m or slant_range_m");
  }
  if (sensor.elevation_reference == ElevationReference::kMsl && settings.geoid == nullptr) {
    return bad_field("sensor_metadata.elevation_reference",
                     "msl needs the EGM96 geoid, which this service has not loaded; state hae or agl");
  }

  Resolved resolved{.camera = {sensor.location_lat_deg, sensor.location_lon_deg, sensor.location_elevation_m},
                    .target = {},
                    .accuracy = merge(settings.accuracy, sensor.accuracy)};
  switch (sensor.elevation_reference) {
    case ElevationReference::kAgl: resolved.camera.hae_m += sensor.ground_elevation_m.value_or(0); break;
    case ElevationReference::kMsl:
      resolved.camera.hae_m += settings.geoid->undulation_m(sensor.location_lat_deg, sensor.location_lon_deg);
      break;
    case ElevationReference::kHae: break;
  }

  const bool height_known = !agl || sensor.ground_elevation_m;
  if (sensor.slant_range_m || !height_known) resolved.accuracy.ground_m = sensor.accuracy.ground_m.value_or(0);
  if (sensor.slant_range_m) {
    resolved.target = Target::at_range(*sensor.slant_range_m, height_known);
    // The ground takes part only where the camera's own height stands on it.
    if (agl) resolved.accuracy.vertical_m = std::hypot(resolved.accuracy.vertical_m, resolved.accuracy.ground_m);
  } else if (height_known) {
    resolved.target = Target::at_height(*sensor.ground_elevation_m);
  } else {
    resolved.target = Target::above_ground(0);
  }
  return resolved;
}

}  // namespace detection::geolocate
