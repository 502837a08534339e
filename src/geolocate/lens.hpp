#pragma once
// The lens: pixel to ray and back. Models and coefficient order are OpenCV's (calib3d, fisheye): Brown-Conrady with 4
// or 5 coefficients, the rational model with 8, Kannala-Brandt fisheye with 4.
// "Normalised" means divided by the focal length: x = (u - cx) / fx, y = (v - cy) / fy.

#include <optional>

#include "detection/camera.hpp"
#include "geolocate/vec3.hpp"

namespace detection::geolocate {

/// The ray of a pixel in camera axes (x boresight, y right, z down), and how it moves with the pixel.
struct CameraRay {
  Vec3 direction{1, 0, 0};  ///< unit length; x <= 0 is legal for a fisheye (90 degrees off axis and more)
  Vec3 per_x{0, 1, 0};      ///< derivative by the normalised, distorted x
  Vec3 per_y{0, 0, 1};      ///< the same by y
  double x = 0, y = 0;      ///< the normalised, distorted coordinates themselves
};

/// None when no ray belongs to the pixel: the inverse does not converge within 20 Newton steps, the radial map folds
/// back before it, or the angle off axis exceeds 180 degrees. Coefficients beyond `count` are taken as 0.
[[nodiscard]] std::optional<CameraRay> camera_ray(const Intrinsics& lens, Pixel pixel) noexcept;

/// The pixel at which a ray is seen. None behind a pinhole camera (direction.x <= 0) or where the map is not finite.
/// camera_ray of the result gives the ray again.
[[nodiscard]] std::optional<Pixel> project(const Intrinsics& lens, Vec3 direction) noexcept;

}  // namespace detection::geolocate
