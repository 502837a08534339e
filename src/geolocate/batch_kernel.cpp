// The chain of locate() for the plain case, written without branches so that the compiler vectorises the loop. One
// source, compiled for three instruction sets (function attributes, so no inline function of a header is ever compiled
// for a wider set than the program's). No -ffast-math: only -fno-math-errno and -fno-trapping-math (CMakeLists.txt).

#include "geolocate/batch_kernel.hpp"

#include <numbers>

#include "geolocate/circular_error.hpp"
#include "geolocate/grazing.hpp"
#include "geolocate/wgs84.hpp"

#define ALWAYS_INLINE [[gnu::always_inline]] inline

namespace detection::geolocate {
namespace {

ALWAYS_INLINE double root(double v) noexcept {
  return __builtin_sqrt(v);
}
ALWAYS_INLINE double magnitude(double v) noexcept {
  return __builtin_fabs(v);
}

/// To the nearest whole number, |v| < 2^51: SSE2 has no rounding instruction.
ALWAYS_INLINE double whole(double v) noexcept {
  constexpr double kShift = 6755399441055744.0;  // 1.5 * 2^52
  return (v + kShift) - kShift;
}

struct SinCos {
  double sin, cos;
};

/// Within 1 ulp: the reduction by 90 degrees is exact in degrees; polynomials of fdlibm's k_sin and k_cos.
ALWAYS_INLINE SinCos sin_cos_deg(double deg) noexcept {
  const double quarter = whole(deg * (1.0 / 90));
  const double t = (deg - quarter * 90) * kRadPerDeg, z = t * t;
  const double s = t + t * z *
                           (-1.66666666666666324348e-01 +
                            z * (8.33333333332248946124e-03 +
                                 z * (-1.98412698298579493134e-04 +
                                      z * (2.75573137070700676789e-06 +
                                           z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)))));
  const double c = 1 - z * 0.5 +
                   z * z *
                       (4.16666666666666019037e-02 +
                        z * (-1.38888888888741095749e-03 +
                             z * (2.48015872894767294178e-05 +
                                  z * (-2.75573143513906633035e-07 +
                                       z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11)))));
  // Quadrant -2, -1, 0, 1 or 2 (both ends are the half turn).
  const double quadrant = quarter - 4 * whole(quarter * 0.25);
  const bool odd = magnitude(quadrant) == 1;
  const double first = odd ? c : s, second = odd ? s : c;
  const bool half_turn = magnitude(quadrant) == 2;
  return {.sin = half_turn || quadrant == -1 ? -first : first, .cos = half_turn || quadrant == 1 ? -second : second};
}

/// Degrees; within 2 ulp. Reduction to |z| <= tan(pi/8) with one division, rational form of Cephes' atan.
ALWAYS_INLINE double atan2_deg(double y, double x) noexcept {
  const double ay = magnitude(y), ax = magnitude(x);
  const bool steep = ay > ax;
  const double low = steep ? ax : ay, high = steep ? ay : ax;
  const bool wide = low > high * 0.41421356237309503;
  const double z = (wide ? low - high : low) / (wide ? low + high : high), z2 = z * z;
  const double p =
      -6.485021904942025371773e1 +
      z2 * (-1.228866684490136173410e2 +
            z2 * (-7.500855792314704667340e1 + z2 * (-1.615753718733365076637e1 + z2 * -8.750608600031904122785e-1)));
  const double q =
      1.945506571482613964425e2 +
      z2 *
          (4.853903996359136964868e2 +
           z2 * (4.328810604912902668951e2 + z2 * (1.650270098316988542046e2 + z2 * (2.485846490142306297962e1 + z2))));
  double angle = (z + z * z2 * p / q) * kDegPerRad;
  angle = wide ? angle + 45 : angle;
  angle = steep ? 90 - angle : angle;
  angle = x < 0 ? 180 - angle : angle;
  return y < 0 ? -angle : angle;
}

ALWAYS_INLINE double scalar_product(Vec3 a, Vec3 b) noexcept {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}
ALWAYS_INLINE Vec3 along(Vec3 a, Vec3 b, Vec3 c, Vec3 by) noexcept {
  return {a.x * by.x + b.x * by.y + c.x * by.z, a.y * by.x + b.y * by.y + c.y * by.z,
          a.z * by.x + b.z * by.y + c.z * by.z};
}

/// Bowring as in wgs84.cpp, two evaluations: 4e-9 m up to 500 km.
struct Normal {
  double cos_lat, sin_lat, across_m, height_m;
};
ALWAYS_INLINE Normal normal_at(Vec3 p) noexcept {
  const double r = root(p.x * p.x + p.y * p.y);
  double c = r * kSemiMinorM, s = p.z * kSemiMajorM;
  double shrink = 1 / root(c * c + s * s);
  c *= shrink;
  s *= shrink;
  double up = p.z + kSecondEccentricity2 * kSemiMinorM * s * s * s;
  double out = r - kEccentricity2 * kSemiMajorM * c * c * c;
  c = out;
  s = (1 - kFlattening) * up;
  shrink = 1 / root(c * c + s * s);
  c *= shrink;
  s *= shrink;
  up = p.z + kSecondEccentricity2 * kSemiMinorM * s * s * s;
  out = r - kEccentricity2 * kSemiMajorM * c * c * c;
  shrink = 1 / root(up * up + out * out);
  const double cos_lat = out * shrink, sin_lat = up * shrink;
  return {.cos_lat = cos_lat,
          .sin_lat = sin_lat,
          .across_m = r,
          .height_m = r * cos_lat + p.z * sin_lat - kSemiMajorM * root(1 - kEccentricity2 * sin_lat * sin_lat)};
}

ALWAYS_INLINE void locate_lane(KernelBlock& k, std::size_t i) noexcept {
  const SinCos lat = sin_cos_deg(k.lat_deg[i]), lon = sin_cos_deg(k.lon_deg[i]);
  const SinCos heading = sin_cos_deg(k.heading_deg[i]), pitch = sin_cos_deg(k.pitch_deg[i]);
  const SinCos roll = sin_cos_deg(k.roll_deg[i]);

  const double normal = kSemiMajorM / root(1 - kEccentricity2 * lat.sin * lat.sin);
  const double across = (normal + k.hae_m[i]) * lat.cos;
  const Vec3 origin{across * lon.cos, across * lon.sin, (normal * (1 - kEccentricity2) + k.hae_m[i]) * lat.sin};
  const Vec3 north{-lat.sin * lon.cos, -lat.sin * lon.sin, lat.cos}, east{-lon.sin, lon.cos, 0};
  const Vec3 down{-lat.cos * lon.cos, -lat.cos * lon.sin, -lat.sin};

  const Vec3 fore{heading.cos * pitch.cos, heading.sin * pitch.cos, -pitch.sin};
  const Vec3 right{heading.cos * pitch.sin * roll.sin - heading.sin * roll.cos,
                   heading.sin * pitch.sin * roll.sin + heading.cos * roll.cos, pitch.cos * roll.sin};
  const Vec3 below{heading.cos * pitch.sin * roll.cos + heading.sin * roll.sin,
                   heading.sin * pitch.sin * roll.cos - heading.cos * roll.sin, pitch.cos * roll.cos};

  const double x = (k.x_px[i] - k.cx_px[i]) / k.fx_px[i], y = (k.y_px[i] - k.cy_px[i]) / k.fy_px[i];
  const double shrink = 1 / root(1 + x * x + y * y);
  const Vec3 ray = along(fore, right, below, {shrink, x * shrink, y * shrink});  // north-east-down
  const Vec3 d = along(north, east, down, ray);

  // Start on the enlarged ellipsoid, then two Newton steps on the true height.
  const double ground = k.ground_hae_m[i];
  const double wide = 1 / (kSemiMajorM + ground), tall = 1 / (kSemiMinorM + ground);
  const Vec3 p{origin.x * wide, origin.y * wide, origin.z * tall}, q{d.x * wide, d.y * wide, d.z * tall};
  const double a = scalar_product(q, q), b = scalar_product(p, q), c = scalar_product(p, p) - 1;
  const double discriminant = b * b - a * c;
  double t = c / (root(discriminant > 0 ? discriminant : 0) - b);
  double change = 0;
  for (int step = 0; step < 2; ++step) {
    const Vec3 at{origin.x + d.x * t, origin.y + d.y * t, origin.z + d.z * t};
    const Normal n = normal_at(at);
    const double slope = n.cos_lat * (at.x * d.x + at.y * d.y) / n.across_m + n.sin_lat * d.z;
    change = (ground - n.height_m) / slope;
    t += change;
  }
  const Vec3 point{origin.x + d.x * t, origin.y + d.y * t, origin.z + d.z * t};
  const Normal n = normal_at(point);
  const double cos_lon = point.x / n.across_m, sin_lon = point.y / n.across_m;

  // East, north and up at the target in the camera's north-east-down axes.
  const Vec3 e_axis{-sin_lon, cos_lon, 0}, n_axis{-n.sin_lat * cos_lon, -n.sin_lat * sin_lon, n.cos_lat};
  const Vec3 u_axis{n.cos_lat * cos_lon, n.cos_lat * sin_lon, n.sin_lat};
  const Vec3 te{scalar_product(north, e_axis), scalar_product(east, e_axis), scalar_product(down, e_axis)};
  const Vec3 tn{scalar_product(north, n_axis), scalar_product(east, n_axis), scalar_product(down, n_axis)};
  const Vec3 tu{scalar_product(north, u_axis), scalar_product(east, u_axis), scalar_product(down, u_axis)};
  const double rise = scalar_product(tu, ray);
  const double run_e = scalar_product(te, ray) / rise, run_n = scalar_product(tn, ray) / rise;
  const Vec3 se{te.x - tu.x * run_e, te.y - tu.y * run_e, te.z - tu.z * run_e};
  const Vec3 sn{tn.x - tu.x * run_n, tn.y - tu.y * run_n, tn.z - tu.z * run_n};

  // Columns as in error_model.cpp.
  const double heading_s = k.heading_sigma_deg[i] * kRadPerDeg, pitch_s = k.pitch_sigma_deg[i] * kRadPerDeg;
  const double roll_s = k.roll_sigma_deg[i] * kRadPerDeg;
  const Vec3 by_heading{-ray.y * heading_s, ray.x * heading_s, 0};
  const Vec3 by_pitch{heading.cos * ray.z * pitch_s, heading.sin * ray.z * pitch_s,
                      -(heading.sin * ray.y + heading.cos * ray.x) * pitch_s};
  const Vec3 by_roll{(fore.y * ray.z - fore.z * ray.y) * roll_s, (fore.z * ray.x - fore.x * ray.z) * roll_s,
                     (fore.x * ray.y - fore.y * ray.x) * roll_s};
  const double cx = x * shrink, cy = y * shrink;
  const Vec3 per_x{(right.x - ray.x * cx) * shrink, (right.y - ray.y * cx) * shrink, (right.z - ray.z * cx) * shrink};
  const Vec3 per_y{(below.x - ray.x * cy) * shrink, (below.y - ray.y * cy) * shrink, (below.z - ray.z * cy) * shrink};
  const double px = k.pixel_px[i] / k.fx_px[i], py = k.pixel_px[i] / k.fy_px[i];
  const double focal = k.focal_percent[i] * 0.01;
  const Vec3 by_focal{(per_x.x * x + per_y.x * y) * focal, (per_x.y * x + per_y.y * y) * focal,
                      (per_x.z * x + per_y.z * y) * focal};

  double ee = 0, nn = 0, en = 0, sink = 0;
  const auto add = [&](Vec3 v, double scale) __attribute__((always_inline)) {
    const double e = scalar_product(se, v) * scale, m = scalar_product(sn, v) * scale, z = v.z * scale;
    ee += e * e;
    nn += m * m;
    en += e * m;
    sink += z * z;
  };
  add(by_heading, 1);
  add(by_pitch, 1);
  add(by_roll, 1);
  add(per_x, px);
  add(per_y, py);
  add(by_focal, 1);
  const double t2 = t * t;
  const double level = k.horizontal_m[i] * k.horizontal_m[i], vertical = k.vertical_m[i] * k.vertical_m[i];
  const double terrain = k.ground_m[i] * k.ground_m[i];
  ee = ee * t2 + level * (se.x * se.x + se.y * se.y) + vertical * se.z * se.z + terrain * run_e * run_e;
  nn = nn * t2 + level * (sn.x * sn.x + sn.y * sn.y) + vertical * sn.z * sn.z + terrain * run_n * run_n;
  en = en * t2 + level * (se.x * sn.x + se.y * sn.y) + vertical * se.z * sn.z + terrain * run_e * run_n;

  const double middle = (ee + nn) * 0.5, half = (ee - nn) * 0.5;
  const double spread = root(half * half + en * en);
  const double minor2 = middle - spread > 0 ? middle - spread : 0, major2 = middle + spread;
  const double ratio = root(minor2 / (major2 > 0 ? major2 : 1));
  const double major = root(major2);

  const double sin_grazing = -rise;
  const double flat = ray.x * ray.x + ray.y * ray.y;
  const double sigma2 = sink / (flat > 1e-4 ? flat : 1e-4);
  // may_graze() of grazing.hpp, squared where sigma stands as its square.
  const double bound = kGrazingSigmas * std::numbers::pi * ray.z, square = sin_grazing * sin_grazing;

  k.point_lat_deg[i] = atan2_deg(n.sin_lat, n.cos_lat);
  k.point_lon_deg[i] = atan2_deg(sin_lon, cos_lon);
  k.range_m[i] = t;
  const double cos_grazing2 = 1 - square;
  k.grazing_deg[i] = atan2_deg(sin_grazing, root(cos_grazing2 > 0 ? cos_grazing2 : 0));
  k.ee[i] = ee;
  k.nn[i] = nn;
  k.en[i] = en;
  k.eu[i] = terrain * run_e;
  k.nu[i] = terrain * run_n;
  k.ce90_m[i] = major * circle90_factor(ratio);
  // A chain of selects in double: && would branch and int would be another vector length. A NaN fails every test.
  double sure = discriminant > 1e-6 * b * b ? 1 : 0;
  sure = ray.z > 0.01 ? sure : 0;
  sure = sin_grazing > 1.5 * kSinGrazing ? sure : 0;
  sure = square * square > bound * bound * sigma2 ? sure : 0;
  sure = k.hae_m[i] - ground > 0.01 ? sure : 0;
  sure = magnitude(change) < 1e-3 ? sure : 0;
  sure = n.across_m > 1 ? sure : 0;
  sure = major2 < 1e300 ? sure : 0;
  k.sure[i] = sure;
}

}  // namespace

namespace {

ALWAYS_INLINE void run(KernelBlock& block) noexcept {
  for (std::size_t i = 0; i < kBlock; ++i) locate_lane(block, i);
}

void run_baseline(KernelBlock& block) noexcept {
  run(block);
}
#if defined(__x86_64__)
[[gnu::target("arch=x86-64-v3")]] void run_avx2(KernelBlock& block) noexcept {
  run(block);
}
#if defined(__clang__)
[[gnu::target("arch=x86-64-v4")]]
#else
[[gnu::target("arch=x86-64-v4,prefer-vector-width=512")]]
#endif
void run_avx512(KernelBlock& block) noexcept {
  run(block);
}
#endif

}  // namespace

void run_kernel(KernelBlock& block, VectorUnits units) noexcept {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512cd");
  if (avx512 && (units == VectorUnits::kBest || units == VectorUnits::kAvx512)) return run_avx512(block);
  if (avx2 && (units == VectorUnits::kBest || units == VectorUnits::kAvx2)) return run_avx2(block);
#else
  (void)units;
#endif
  run_baseline(block);
}

}  // namespace detection::geolocate
