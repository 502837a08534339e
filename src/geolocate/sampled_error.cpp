// The error of rays that graze the ground, by fixed draws; see sample_error in error_model.hpp.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "geolocate/circular_error.hpp"
#include "geolocate/error_model.hpp"
#include "geolocate/intersect.hpp"

namespace detection::geolocate {
namespace {

constexpr int kDraws = 64;

// Medians of 64 strata of the standard normal, scaled to unit variance; the lower half is the mirror image.
constexpr double kUpperNodes[kDraws / 2] = {
    0.019780, 0.059370, 0.099052, 0.138887, 0.178940, 0.219276, 0.259965, 0.301081, 0.342702, 0.384913, 0.427808,
    0.471490, 0.516071, 0.561682, 0.608469, 0.656600, 0.706270, 0.757711, 0.811198, 0.867062, 0.925715, 0.987669,
    1.053581, 1.124317, 1.201046, 1.285415, 1.379855, 1.488190, 1.617006, 1.779273, 2.007286, 2.441715};
constexpr double node(int stratum) noexcept {
  return stratum < kDraws / 2 ? -kUpperNodes[kDraws / 2 - 1 - stratum] : kUpperNodes[stratum - kDraws / 2];
}

// A Latin hypercube: draw i takes stratum i of the depression and these of bearing, camera height, ground height, east,
// north. Found by exchanging until all correlations (also of squares) were below 0.02.
constexpr std::uint8_t kStrata[kDraws][5] = {
    {37, 44, 36, 32, 44}, {57, 5, 58, 0, 33},   {34, 45, 42, 40, 38}, {28, 12, 49, 42, 30}, {63, 27, 5, 33, 51},
    {3, 48, 51, 35, 1},   {9, 62, 27, 43, 58},  {20, 4, 11, 36, 56},  {19, 37, 10, 2, 0},   {11, 39, 15, 23, 6},
    {26, 32, 2, 63, 25},  {49, 61, 54, 53, 5},  {32, 21, 22, 44, 15}, {17, 3, 61, 52, 36},  {14, 14, 55, 41, 60},
    {2, 17, 56, 45, 22},  {5, 63, 14, 30, 42},  {27, 42, 16, 18, 54}, {21, 15, 18, 55, 31}, {33, 38, 17, 20, 26},
    {40, 16, 8, 21, 32},  {43, 9, 13, 28, 7},   {38, 31, 53, 24, 46}, {7, 23, 6, 12, 39},   {47, 51, 32, 15, 45},
    {10, 22, 4, 37, 19},  {6, 2, 44, 27, 17},   {44, 50, 0, 25, 40},  {60, 56, 60, 38, 12}, {62, 11, 41, 58, 23},
    {59, 54, 12, 19, 8},  {58, 24, 50, 48, 50}, {30, 40, 59, 34, 18}, {16, 35, 20, 11, 49}, {46, 26, 25, 9, 55},
    {23, 20, 28, 61, 63}, {61, 43, 33, 17, 62}, {42, 47, 46, 62, 24}, {29, 28, 24, 56, 37}, {22, 10, 62, 39, 14},
    {41, 57, 21, 6, 47},  {25, 59, 39, 59, 41}, {31, 41, 26, 3, 11},  {39, 29, 38, 10, 20}, {56, 1, 9, 50, 2},
    {53, 8, 31, 31, 59},  {51, 58, 57, 1, 28},  {4, 33, 23, 7, 27},   {48, 13, 43, 46, 48}, {24, 18, 34, 47, 13},
    {18, 52, 37, 8, 53},  {1, 34, 19, 60, 21},  {15, 0, 7, 4, 52},    {0, 25, 45, 5, 35},   {36, 30, 30, 16, 34},
    {13, 36, 63, 13, 61}, {54, 53, 1, 29, 9},   {35, 55, 52, 22, 4},  {55, 60, 47, 57, 43}, {52, 7, 40, 51, 3},
    {12, 49, 48, 49, 10}, {45, 19, 35, 14, 16}, {50, 6, 29, 26, 29},  {8, 46, 3, 54, 57}};

/// Two unit vectors across the ray, and a square root of the ray's angular covariance in them.
struct Spread {
  Vec3 down, aside;
  double sigma_down = 0, aside_per_down = 0, sigma_aside = 0;
};

Spread spread_of(Vec3 ray, const RayErrors& errors) noexcept {
  Spread spread;
  const double level = std::sqrt(ray.x * ray.x + ray.y * ray.y);
  spread.aside = level > 1e-9 ? Vec3{-ray.y / level, ray.x / level, 0} : Vec3{0, 1, 0};
  spread.down = cross(ray, spread.aside);
  double dd = 0, aa = 0, da = 0;
  for (const Vec3& error : errors) {
    const double d = dot(spread.down, error), a = dot(spread.aside, error);
    dd += d * d;
    aa += a * a;
    da += d * a;
  }
  spread.sigma_down = std::sqrt(dd);
  if (dd > 0) spread.aside_per_down = da / spread.sigma_down;
  spread.sigma_aside = std::sqrt(std::max(0.0, aa - spread.aside_per_down * spread.aside_per_down));
  return spread;
}

/// The radius below which 90 % of the draws lie; infinite when more than a tenth missed.
double radius90(double* radii_m, int count) noexcept {
  std::sort(radii_m, radii_m + count);
  // Draw k of the sorted ones stands for the probability (k + 1/2) / count.
  const double place = 0.9 * count - 0.5;
  const int low = std::clamp(static_cast<int>(place), 0, count - 2);
  if (std::isinf(radii_m[low + 1])) return radii_m[low + 1];
  return radii_m[low] + (radii_m[low + 1] - radii_m[low]) * (place - low);
}

}  // namespace

SampledError sample_error(const GrazingRay& ray, const TargetFrame& frame, const RayErrors& errors,
                          const Accuracy& accuracy, double margin) noexcept {
  const Spread spread = spread_of(ray.ray_ned, errors);
  const Vec3 nominal_m = ray.ray_ned * ray.range_m;
  SampledError result;
  auto& [ee, nn, uu, en, eu, nu] = result.covariance;
  double radii_m[kDraws];
  int count = 0;
  for (int i = 0; i < kDraws; ++i) {
    const auto& strata = kStrata[i];
    const double down = spread.sigma_down * node(i);
    const double aside = spread.aside_per_down * node(i) + spread.sigma_aside * node(strata[0]);
    const double camera_up_m = accuracy.vertical_m * node(strata[1]);
    const double ground_up_m = accuracy.ground_m * node(strata[2]);
    Vec3 drawn = ray.ray_ned + spread.down * down + spread.aside * aside;
    drawn = drawn * (1 / norm(drawn));
    // A camera that is higher by 1 m over a ground that is higher by 2 m: only the difference bends the answer.
    const Crossing crossing = cross_height(ray.camera, ray.camera_hae_m, ray.camera.ned * drawn,
                                           ray.ground_hae_m + ground_up_m - camera_up_m);
    // A world in which the camera is under the ground does not exist.
    if (crossing.meeting == Meeting::kBelow) continue;
    const Vec3 moved_m = drawn * crossing.range_m - nominal_m;
    const double e = dot(frame.east, moved_m) + accuracy.horizontal_m * node(strata[3]);
    const double n = dot(frame.north, moved_m) + accuracy.horizontal_m * node(strata[4]);
    const double u = crossing.meeting == Meeting::kHit ? ground_up_m : 0;
    ee += e * e;
    nn += n * n;
    en += e * n;
    eu += e * u;
    nu += n * u;
    radii_m[count++] =
        crossing.meeting == Meeting::kHit ? std::sqrt(e * e + n * n) : std::numeric_limits<double>::infinity();
  }
  if (count < 2) return result;
  for (double* sum : {&ee, &nn, &en, &eu, &nu}) *sum /= count;
  uu = accuracy.ground_m * accuracy.ground_m;
  const double radius_m = radius90(radii_m, count);
  // P(miss) = Phi(-margin / sigma) > 5 %.
  if (margin >= kLe90PerSigma * spread.sigma_down && std::isfinite(radius_m)) result.ce90_m = radius_m;
  return result;
}

}  // namespace detection::geolocate
