#pragma once
// Which height is what: turns a request's elevation, its reference and the ground it knows into a camera on the
// ellipsoid and something that ends its ray.
//
//   slant range        decides where it is given
//   agl                ground that far below the camera; height unknown (hae null)
//   agl + ground       camera = ground + agl
//   hae, msl + ground  as stated; msl = hae - geoid undulation at the camera
//   hae, msl alone     kValidationFailed on sensor_metadata.ground_elevation_m

#include "geolocate/locate.hpp"

namespace detection::geolocate {

struct Resolved {
  LatLonHae camera{};
  Target target{};
  Accuracy accuracy{};  ///< the request's over the settings', `ground_m` 0 where no ground height takes part
};

[[nodiscard]] Result<Resolved> resolve_datum(const SensorMetadata& sensor, const Settings& settings);

}  // namespace detection::geolocate
