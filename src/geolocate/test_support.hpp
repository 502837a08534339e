#pragma once
// For this room's tests: the shared vectors, and cameras to look with.

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "geolocate/locate.hpp"
#include "geolocate/wgs84.hpp"
#include "test_paths.hpp"

namespace detection::geolocate::test {

inline nlohmann::json vectors(const std::string& name) {
  std::ifstream file(std::string(DETECTION_TEST_VECTORS) + "/" + name);
  EXPECT_TRUE(file) << "tests/vectors/" << name << " is missing";
  return nlohmann::json::parse(file);
}

inline double number(const nlohmann::json& value) {
  return value.is_string() ? std::stod(value.get<std::string>()) : value.get<double>();
}
inline Vec3 vec3(const nlohmann::json& v) {
  return {number(v[0]), number(v[1]), number(v[2])};
}
inline LatLonHae place(const nlohmann::json& v) {
  return {number(v[0]), number(v[1]), number(v[2])};
}

inline constexpr Pixel kCentre{960, 540};
inline constexpr double kMaxRangeM = 1'000'000;

/// A 1920 x 1080 camera with an ideal lens.
inline Camera camera(LatLonHae position, double heading_deg, double pitch_deg, double roll_deg = 0) {
  return {.position = position,
          .attitude = {heading_deg, pitch_deg, roll_deg},
          .lens = {.fx_px = 1500, .fy_px = 1500, .cx_px = 960, .cy_px = 540, .distortion = {}}};
}

/// The same as a request.
inline SensorMetadata sensor(LatLonHae position, ElevationReference reference, double heading_deg, double pitch_deg) {
  SensorMetadata s;
  s.location_lat_deg = position.lat_deg;
  s.location_lon_deg = position.lon_deg;
  s.location_elevation_m = position.hae_m;
  s.elevation_reference = reference;
  s.attitude = {heading_deg, pitch_deg, 0};
  s.focal_length_px = 1500;
  s.image_width_px = 1920;
  s.image_height_px = 1080;
  return s;
}

inline Accuracy no_error() {
  return {.horizontal_m = 0,
          .vertical_m = 0,
          .ground_m = 0,
          .heading_deg = 0,
          .pitch_deg = 0,
          .roll_deg = 0,
          .focal_percent = 0,
          .pixel_px = 0,
          .slant_range_m = 0};
}

inline double distance_m(const LatLonHae& a, const LatLonHae& b) {
  return norm(to_ecef(a) - to_ecef(b));
}

inline double uniform(std::mt19937_64& random, double low, double high) {
  return std::uniform_real_distribution<double>(low, high)(random);
}
inline double normal(std::mt19937_64& random, double sigma) {
  return sigma > 0 ? std::normal_distribution<double>(0, sigma)(random) : 0;
}

}  // namespace detection::geolocate::test
