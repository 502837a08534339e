#include "geolocate/locate.hpp"

#include <bit>
#include <limits>
#include <sstream>

#include "geolocate/geoid.hpp"
#include "geolocate/rotation.hpp"
#include "geolocate/test_support.hpp"

namespace detection::geolocate {
namespace {

using test::camera;
using test::kCentre;
using test::kMaxRangeM;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

TEST(Locate, AnalyticVectorsThroughTheCoreAndTheRequest) {
  int rays = 0;
  const auto file = test::vectors("analytic_wgs84.json");
  for (const auto& ray : file["rays"]) {
    const LatLonHae where = test::place(ray["sensor"]);
    const double azimuth = ray["az_deg"], depression = ray["depression_deg"], ground = ray["surface_hae_m"];
    const auto core = locate(camera(where, azimuth, -depression), kCentre, Target::at_height(ground), {}, kMaxRangeM);
    SensorMetadata sensor = test::sensor(where, ElevationReference::kHae, azimuth, -depression);
    sensor.ground_elevation_m = ground;
    const auto request = locate(kCentre, sensor, Settings{});
    ++rays;
    const std::string status = ray["status"];
    if (status != "hit") {
      const GeometryError expected =
          status == "below" ? GeometryError::kCameraBelowTerrain : GeometryError::kAboveHorizon;
      ASSERT_FALSE(core) << ray["name"];
      EXPECT_EQ(core.error(), expected) << ray["name"];
      ASSERT_FALSE(request) << ray["name"];
      EXPECT_EQ(request.error().code, error_code(expected)) << ray["name"];
      EXPECT_FALSE(request.error().detail.empty());
      continue;
    }
    ASSERT_TRUE(core) << ray["name"];
    ASSERT_TRUE(request) << ray["name"] << request.error().detail;
    for (const Fix& fix : {*core, *request}) {
      EXPECT_LT(norm(to_ecef(fix.position) - test::vec3(ray["ecef"])), 1e-6) << ray["name"];
      EXPECT_EQ(fix.position.hae_m, ground) << ray["name"];
      EXPECT_NEAR(fix.slant_range_m, ray["range_m"].get<double>(), 1e-6) << ray["name"];
      EXPECT_NEAR(fix.grazing_deg, ray["grazing_deg"].get<double>(), 1e-6) << ray["name"];
      EXPECT_TRUE(fix.hae_known && fix.source == PositionSource::kGroundElevation);
      ASSERT_TRUE(fix.le90_m);
      EXPECT_NEAR(*fix.le90_m, 1.64485 * 2.4, 1e-4);
      for (const double c : fix.covariance_enu_m2) EXPECT_TRUE(std::isfinite(c)) << ray["name"];
    }
  }
  EXPECT_EQ(rays, 47);
}

TEST(Locate, RealPacketsByRangeAndByGround) {
  int packets = 0;
  const auto file = test::vectors("misb_day_night_24.json");
  for (const auto& p : file["packets"]) {
    const LatLonHae where{p["sensor_lat"], p["sensor_lon"], p["sensor_alt_msl"]};
    const double azimuth = p["rel_az"], elevation = p["rel_el"], ground = p["ground_height_used"];
    const double range = p["slant_range"];
    SensorMetadata sensor = test::sensor(where, ElevationReference::kHae, azimuth, elevation);
    sensor.attitude.roll_deg = p["rel_roll"];
    const auto horizontal = [&p](const LatLonHae& at) {
      return test::distance_m({at.lat_deg, at.lon_deg, 0}, {p["fc_lat"], p["fc_lon"], 0});
    };

    sensor.slant_range_m = range;
    const auto by_range = locate(kCentre, sensor, Settings{});
    ASSERT_TRUE(by_range);
    EXPECT_EQ(by_range->source, PositionSource::kSlantRange);
    EXPECT_LT(horizontal(by_range->position), 0.05);
    EXPECT_NEAR(by_range->position.hae_m, p["ref"]["by_range"]["h"].get<double>(), 1e-3);
    EXPECT_LT(test::distance_m(by_range->position,
                               {p["ref"]["by_range"]["lat"], p["ref"]["by_range"]["lon"], p["ref"]["by_range"]["h"]}),
              1e-3);

    sensor.slant_range_m.reset();
    sensor.ground_elevation_m = ground;
    const auto by_ground = locate(kCentre, sensor, Settings{});
    ASSERT_TRUE(by_ground);
    EXPECT_LT(horizontal(by_ground->position), 3);
    EXPECT_LT(
        test::distance_m(by_ground->position, {p["ref"]["by_ground"]["lat"], p["ref"]["by_ground"]["lon"], ground}),
        1e-3);

    // The packets' convention is the absolute one: what the platform adds is far off.
    const Look truth = look(where, {p["fc_lat"], p["fc_lon"], ground});
    const double absolute = angle_between_deg(line_of_sight(sensor.attitude), truth.direction);
    const Attitude composed =
        compose({p["platform_heading"], p["platform_pitch"], p["platform_roll"]}, sensor.attitude);
    EXPECT_LT(absolute, 0.02);
    EXPECT_GT(angle_between_deg(line_of_sight(composed), truth.direction), 10 * absolute);
    ++packets;
  }
  EXPECT_EQ(packets, 24);
}

TEST(Locate, CameraTransformsPublishedPoints) {
  // A flat Earth: the same ray, met with the plane z = 0 here.
  const auto file = test::vectors("cameratransform_docs.json");
  for (const auto& c : file["cases"]) {
    const Intrinsics lens{.fx_px = c["f_px_x"],
                          .fy_px = c["f_px_y"],
                          .cx_px = c["image"][0].get<double>() / 2,
                          .cy_px = c["image"][1].get<double>() / 2};
    const Attitude attitude{c["heading"], c["tilt"].get<double>() - 90, -c["roll"].get<double>()};
    const double height = c["elevation"];
    for (const auto& pair : c["space_from_image_z0"]) {
      const Camera eye{.position = {0, 0, height}, .attitude = attitude, .lens = lens};
      const auto fix = locate(eye, {pair[0][0], pair[0][1]}, Target::at_range(1000), {}, kMaxRangeM);
      ASSERT_TRUE(fix);
      const Site site = site_at(eye.position);
      const Vec3 ned = transposed_times(site.ned, to_ecef(fix->position) - site.ecef_m);
      const double scale = height / ned.z, tolerance = lens.fx_px == 3729 ? 0.005 : 2e-7;
      EXPECT_NEAR(ned.y * scale, pair[1][0].get<double>(), tolerance) << pair;
      EXPECT_NEAR(ned.x * scale, pair[1][1].get<double>(), tolerance) << pair;
    }
  }
}

TEST(Locate, PixelsMoveThePointTheRightWay) {
  // Nadir from 100 m, image top north: 150 px right is 10 m east, 150 px down is 10 m south.
  const Camera eye = camera({0, 0, 100}, 0, -90);
  const auto fix = locate(eye, {960 + 150, 540 + 150}, Target::at_height(0), {}, kMaxRangeM);
  ASSERT_TRUE(fix);
  EXPECT_NEAR(fix->position.lon_deg * kRadPerDeg * kSemiMajorM, 10, 1e-4);
  EXPECT_NEAR(fix->position.lat_deg * kRadPerDeg * kSemiMajorM * (1 - kEccentricity2), -10, 1e-4);
}

TEST(Locate, HeightReferencesAsInTheContract) {
  SensorMetadata s = test::sensor({48, 11, 120}, ElevationReference::kAgl, 30, -45);
  const auto agl = locate(kCentre, s, Settings{});
  ASSERT_TRUE(agl);
  EXPECT_EQ(agl->source, PositionSource::kAboveGround);
  EXPECT_FALSE(agl->hae_known);
  EXPECT_FALSE(agl->le90_m);
  ASSERT_TRUE(agl->ce90_m);
  EXPECT_NEAR(agl->slant_range_m, 120 * std::sqrt(2), 0.01);
  EXPECT_EQ(agl->covariance_enu_m2[2], 0) << "ground_m is 0 for agl unless stated";

  s.ground_elevation_m = 500;
  const auto grounded = locate(kCentre, s, Settings{});
  ASSERT_TRUE(grounded);
  EXPECT_EQ(grounded->source, PositionSource::kGroundElevation);
  EXPECT_TRUE(grounded->hae_known && grounded->le90_m);
  EXPECT_EQ(grounded->position.hae_m, 500);
  EXPECT_NEAR(grounded->slant_range_m, agl->slant_range_m, 1e-3);
  EXPECT_GT(*grounded->ce90_m, *agl->ce90_m) << "the ground's own error now takes part";

  s.slant_range_m = 200;
  const auto ranged = locate(kCentre, s, Settings{});
  ASSERT_TRUE(ranged);
  EXPECT_EQ(ranged->source, PositionSource::kSlantRange);
  EXPECT_TRUE(ranged->hae_known);
  EXPECT_NEAR(ranged->position.hae_m, 620 - 200 / std::sqrt(2), 0.01);
  s.ground_elevation_m.reset();
  const auto relative = locate(kCentre, s, Settings{});
  ASSERT_TRUE(relative);
  EXPECT_EQ(relative->source, PositionSource::kSlantRange);
  EXPECT_FALSE(relative->hae_known || relative->le90_m);

  for (const auto reference : {ElevationReference::kHae, ElevationReference::kMsl}) {
    s.slant_range_m.reset();
    s.elevation_reference = reference;
    const auto none = locate(kCentre, s, Settings{});
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, ErrorCode::kValidationFailed);
    ASSERT_EQ(none.error().fields.size(), 1u);
    EXPECT_EQ(none.error().fields[0].field, "sensor_metadata.ground_elevation_m");
  }
  s.ground_elevation_m = 0;
  const auto no_geoid = locate(kCentre, s, Settings{});
  ASSERT_FALSE(no_geoid);
  EXPECT_EQ(no_geoid.error().fields.at(0).field, "sensor_metadata.elevation_reference");
}

TEST(Locate, SeaLevelHeightsGetTheGeoidWithTheRightSign) {
  // A world whose geoid stands 46 m over the ellipsoid everywhere.
  std::string bytes;
  const auto put = [&bytes](auto word) {
    for (int shift = static_cast<int>(sizeof(word) * 8) - 8; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<char>(word >> shift & 0xff));
    }
  };
  for (const double v : {-90.0, -180.0, 10.0, 10.0}) put(std::bit_cast<std::uint64_t>(v));
  put(std::uint32_t{19});
  put(std::uint32_t{36});
  for (int i = 0; i < 19 * 36; ++i) put(std::bit_cast<std::uint32_t>(46.0F));
  const auto geoid = Geoid::parse(std::as_bytes(std::span(bytes)));
  ASSERT_TRUE(geoid) << geoid.error().detail;
  SensorMetadata msl = test::sensor({48, 11, 1000}, ElevationReference::kMsl, 30, -45);
  msl.ground_elevation_m = 300;
  SensorMetadata hae = test::sensor({48, 11, 1046}, ElevationReference::kHae, 30, -45);
  hae.ground_elevation_m = 300;
  const auto a = locate(kCentre, msl, Settings{.geoid = &*geoid}), b = locate(kCentre, hae, Settings{});
  ASSERT_TRUE(a && b);
  EXPECT_LT(test::distance_m(a->position, b->position), 1e-6);
}

TEST(Locate, PixelsOutsideTheImage) {
  const SensorMetadata s = test::sensor({48, 11, 120}, ElevationReference::kAgl, 30, -45);
  EXPECT_FALSE(locate({0, 0}, s, Settings{})->outside_image);
  EXPECT_FALSE(locate({1920, 1080}, s, Settings{})->outside_image);
  EXPECT_TRUE(locate({1920.5, 10}, s, Settings{})->outside_image);
  EXPECT_TRUE(locate({10, -1}, s, Settings{})->outside_image);
  for (const Pixel p : {Pixel{1921.01, 5}, Pixel{-1.01, 5}, Pixel{kNaN, 5}}) {
    const auto fix = locate(p, s, Settings{});
    ASSERT_FALSE(fix);
    EXPECT_EQ(fix.error().fields.at(0).field, "pixel_x");
  }
  EXPECT_EQ(locate({5, 1082}, s, Settings{}).error().fields.at(0).field, "pixel_y");
}

TEST(Locate, SaysNoWithTheRightWord) {
  const auto status = [](const Camera& c, const Target& t, double max_m = kMaxRangeM, Pixel p = kCentre) {
    const auto fix = locate(c, p, t, {}, max_m);
    return fix ? GeometryError{} : fix.error();
  };
  EXPECT_EQ(status(camera({45, 7, 100}, 0, 10), Target::at_height(0)), GeometryError::kAboveHorizon);
  EXPECT_EQ(status(camera({45, 7, 100}, 0, 0), Target::at_height(100)), GeometryError::kAboveHorizon);
  EXPECT_EQ(status(camera({45, 7, 100}, 0, 90), Target::at_height(0)), GeometryError::kAboveHorizon);
  EXPECT_EQ(status(camera({45, 7, -5}, 0, -30), Target::above_ground(0)), GeometryError::kCameraBelowTerrain);
  EXPECT_EQ(status(camera({45, 7, 100}, 0, -30), Target::at_height(0), 150), GeometryError::kOutOfRange);
  EXPECT_EQ(status(camera({45, 7, 100}, 0, -30), Target::at_range(151), 150), GeometryError::kOutOfRange);
  Camera folded = camera({45, 7, 100}, 0, -30);
  folded.lens.distortion = {.model = DistortionModel::kBrown, .count = 4, .coefficients = {-2, 0, 0, 0}};
  EXPECT_EQ(status(folded, Target::at_height(0), kMaxRangeM, {0, 0}), GeometryError::kBehindCamera);
  for (int e = 1; e <= 8; ++e) {
    const Error error = to_error(static_cast<GeometryError>(e));
    EXPECT_NE(error.code, ErrorCode::kInternal);
    EXPECT_GT(error.detail.size(), 20u);
  }
}

TEST(Locate, EdgesOfTheEarth) {
  for (const double lat : {90.0, -90.0, 89.9999999, 0.0}) {
    for (const double lon : {-180.0, 180.0, 0.0, 179.9999999}) {
      for (const double heading : {0.0, 90.0, 359.9, 720.0}) {
        for (const double pitch : {-90.0, -89.9999, -30.0, -91.0, -150.0}) {
          const auto fix =
              locate(camera({lat, lon, 1000}, heading, pitch, 190), kCentre, Target::at_height(0), {}, kMaxRangeM);
          ASSERT_TRUE(fix) << lat << ' ' << lon << ' ' << heading << ' ' << pitch;
          EXPECT_TRUE(fix->position.lon_deg > -180 && fix->position.lon_deg <= 180);
          EXPECT_TRUE(std::abs(fix->position.lat_deg) <= 90);
          EXPECT_TRUE(fix->ce90_m && std::isfinite(*fix->ce90_m) && *fix->ce90_m > 0);
          EXPECT_NEAR(test::distance_m(fix->position, {lat, lon, 1000}), fix->slant_range_m, 1e-6);
        }
      }
    }
  }
  // On the surface: here, and nowhere when it looks up.
  const auto on = locate(camera({45, 7, 100}, 0, -30), kCentre, Target::at_height(100), {}, kMaxRangeM);
  ASSERT_TRUE(on);
  EXPECT_EQ(on->slant_range_m, 0);
  EXPECT_LT(test::distance_m(on->position, {45, 7, 100}), 1e-8);
  EXPECT_FALSE(locate(camera({45, 7, 100}, 0, 30), kCentre, Target::at_height(100), {}, kMaxRangeM));
}

TEST(Locate, NeverANumberThatIsNone) {
  const double bad[] = {kNaN, kInf, -kInf};
  const auto refused = [](Camera c, Pixel p, Target t, Accuracy a, double max_m) {
    const auto fix = locate(c, p, t, a, max_m);
    return !fix && fix.error() == GeometryError::kInvalidInput;
  };
  const Camera good = camera({45, 7, 100}, 0, -30);
  const Target ground = Target::at_height(0);
  for (const double v : bad) {
    const auto with = [&](auto set) {
      Camera c = good;
      Pixel p = kCentre;
      Target t = ground;
      Accuracy a;
      set(c, p, t, a);
      return refused(c, p, t, a, kMaxRangeM);
    };
#define EXPECT_REFUSED(field)                                         \
  EXPECT_TRUE(with([v](Camera& c, Pixel& p, Target& t, Accuracy& a) { \
    (void)c, (void)p, (void)t, (void)a;                               \
    field = v;                                                        \
  })) << #field                                                       \
      << v
    EXPECT_REFUSED(c.position.lat_deg);
    EXPECT_REFUSED(c.position.lon_deg);
    EXPECT_REFUSED(c.position.hae_m);
    EXPECT_REFUSED(c.attitude.heading_deg);
    EXPECT_REFUSED(c.attitude.pitch_deg);
    EXPECT_REFUSED(c.attitude.roll_deg);
    EXPECT_REFUSED(c.lens.fx_px);
    EXPECT_REFUSED(c.lens.fy_px);
    EXPECT_REFUSED(c.lens.cx_px);
    EXPECT_REFUSED(c.lens.distortion.coefficients[3]);
    EXPECT_REFUSED(p.x_px);
    EXPECT_REFUSED(p.y_px);
    EXPECT_REFUSED(t.ground_hae_m);
    EXPECT_REFUSED(a.horizontal_m);
    EXPECT_REFUSED(a.vertical_m);
    EXPECT_REFUSED(a.ground_m);
    EXPECT_REFUSED(a.heading_deg);
    EXPECT_REFUSED(a.pitch_deg);
    EXPECT_REFUSED(a.roll_deg);
    EXPECT_REFUSED(a.focal_percent);
    EXPECT_REFUSED(a.pixel_px);
    EXPECT_REFUSED(a.slant_range_m);
#undef EXPECT_REFUSED
    EXPECT_TRUE(refused(good, kCentre, Target::at_range(v), {}, kMaxRangeM));
  }
  EXPECT_TRUE(refused(camera({90.001, 7, 100}, 0, -30), kCentre, ground, {}, kMaxRangeM));
  EXPECT_TRUE(refused(good, kCentre, Target::at_range(0), {}, kMaxRangeM));
  EXPECT_TRUE(refused(good, kCentre, ground, {}, kNaN));
  Camera flat = good;
  flat.lens.fx_px = 0;
  EXPECT_TRUE(refused(flat, kCentre, ground, {}, kMaxRangeM));
}

TEST(Locate, AnyLegalInputGivesFiniteNumbersOrAnError) {
  std::mt19937_64 random(5);
  int located = 0, refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    const double height = std::pow(10, test::uniform(random, -7, 6.2));
    Camera c = camera({test::uniform(random, -90, 90), test::uniform(random, -180, 180), height},
                      test::uniform(random, 0, 360), test::uniform(random, -90, 5), test::uniform(random, -180, 180));
    c.lens.fx_px = std::pow(10, test::uniform(random, -6, 8));
    c.lens.fy_px = std::pow(10, test::uniform(random, -6, 8));
    Accuracy a;
    a.heading_deg = std::pow(10, test::uniform(random, -9, 7));
    a.pitch_deg = std::pow(10, test::uniform(random, -9, 7));
    a.pixel_px = std::pow(10, test::uniform(random, -9, 7));
    const Target target = i % 3 == 0 ? Target::at_range(std::pow(10, test::uniform(random, -1, 6.3)))
                                     : Target::at_height(height - std::pow(10, test::uniform(random, -7, 4)));
    const auto fix = locate(c, {test::uniform(random, 0, 1920), test::uniform(random, 0, 1080)}, target, a, 2e6);
    if (!fix) {
      ++refused;
      continue;
    }
    ++located;
    double sum = fix->position.lat_deg + fix->position.lon_deg + fix->position.hae_m + fix->ce90_m.value_or(0) +
                 fix->le90_m.value_or(0) + fix->ellipse.semi_major_m + fix->ellipse.semi_minor_m +
                 fix->ellipse.azimuth_deg + fix->slant_range_m + fix->grazing_deg;
    for (const double v : fix->covariance_enu_m2) sum += v;
    ASSERT_TRUE(std::isfinite(sum)) << i;
    ASSERT_TRUE(fix->grazing_deg >= 0 && fix->grazing_deg <= 90);
    ASSERT_GE(fix->covariance_enu_m2[0], 0);
  }
  EXPECT_GT(located, 10'000);
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace detection::geolocate
