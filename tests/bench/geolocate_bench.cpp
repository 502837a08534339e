// Speed of the room geolocate, one core: ns per item. Items differ, so that no branch predictor learns one by heart.

#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "geolocate/lens.hpp"
#include "geolocate/locate.hpp"
#include "geolocate/locate_batch.hpp"
#include "geolocate/wgs84.hpp"

namespace detection::geolocate {
namespace {

constexpr std::size_t kItems = 1024;
constexpr double kMaxRangeM = 1'000'000;

struct Scene {
  std::vector<Camera> cameras;
  std::vector<Pixel> pixels;
  std::vector<Target> targets;

  explicit Scene(bool one_pose = false, Distortion distortion = {}) {
    std::mt19937_64 random(1);
    const auto uniform = [&random](double a, double b) { return std::uniform_real_distribution<double>(a, b)(random); };
    for (std::size_t i = 0; i < kItems; ++i) {
      const double ground = uniform(-50, 2000);
      Camera camera{.position = {uniform(-80, 80), uniform(-180, 180), ground + uniform(60, 3000)},
                    .attitude = {uniform(0, 360), uniform(-85, -30), uniform(-5, 5)},
                    .lens = {.fx_px = 1500, .fy_px = 1500, .cx_px = 960, .cy_px = 540, .distortion = distortion}};
      cameras.push_back(one_pose && i > 0 ? cameras.front() : camera);
      targets.push_back(one_pose && i > 0 ? targets.front() : Target::at_height(ground));
      pixels.push_back({uniform(0, 1920), uniform(200, 1080)});
    }
  }
};

constexpr Distortion kBrown5{DistortionModel::kBrown, 5, {-0.1, 0.05, 0.001, -0.0005, 0.01}};
constexpr Distortion kFisheye4{DistortionModel::kFisheye, 4, {-0.03, 0.01, -0.004, 0.0006}};

template <class Body>
void each_item(benchmark::State& state, Body body) {
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(body(i));
    i = (i + 1) % kItems;
  }
  state.SetItemsProcessed(state.iterations());
}

void single(benchmark::State& state, const Scene& scene) {
  each_item(state, [&](std::size_t i) {
    return locate(scene.cameras[i], scene.pixels[i], scene.targets[i], Accuracy{}, kMaxRangeM);
  });
}

void locate_single(benchmark::State& state) {
  single(state, Scene());
}
void locate_single_brown(benchmark::State& state) {
  single(state, Scene(false, kBrown5));
}
BENCHMARK(locate_single);
BENCHMARK(locate_single_brown);

void locate_single_range(benchmark::State& state) {
  Scene scene;
  for (Target& target : scene.targets) target = Target::at_range(1500);
  single(state, scene);
}
BENCHMARK(locate_single_range);

void locate_single_grazing(benchmark::State& state) {
  Scene scene;
  for (std::size_t i = 0; i < kItems; ++i) {
    scene.cameras[i].attitude.pitch_deg = -3;
    scene.cameras[i].attitude.roll_deg = 0;
    scene.pixels[i] = {960, 540};
  }
  single(state, scene);
}
BENCHMARK(locate_single_grazing);

void locate_request(benchmark::State& state) {
  const Scene scene;
  std::vector<SensorMetadata> sensors(kItems);
  for (std::size_t i = 0; i < kItems; ++i) {
    SensorMetadata& s = sensors[i];
    s.location_lat_deg = scene.cameras[i].position.lat_deg;
    s.location_lon_deg = scene.cameras[i].position.lon_deg;
    s.location_elevation_m = scene.cameras[i].position.hae_m;
    s.elevation_reference = ElevationReference::kHae;
    s.ground_elevation_m = scene.targets[i].ground_hae_m;
    s.attitude = scene.cameras[i].attitude;
    s.focal_length_px = 1500;
    s.image_width_px = 1920;
    s.image_height_px = 1080;
  }
  const Settings settings;
  each_item(state, [&](std::size_t i) { return locate(scene.pixels[i], sensors[i], settings); });
}
BENCHMARK(locate_request);

/// One iteration is 1,024 items; the time of one item is in the counter `per_item`.
void batch(benchmark::State& state, bool one_pose, VectorUnits units) {
  const Scene scene(one_pose);
  std::vector<double> lat, lon, hae, heading, pitch, roll, x, y;
  std::vector<Intrinsics> lens;
  const std::size_t poses = one_pose ? 1 : kItems;
  for (std::size_t i = 0; i < kItems; ++i) {
    x.push_back(scene.pixels[i].x_px);
    y.push_back(scene.pixels[i].y_px);
    if (i >= poses) continue;
    lat.push_back(scene.cameras[i].position.lat_deg);
    lon.push_back(scene.cameras[i].position.lon_deg);
    hae.push_back(scene.cameras[i].position.hae_m);
    heading.push_back(scene.cameras[i].attitude.heading_deg);
    pitch.push_back(scene.cameras[i].attitude.pitch_deg);
    roll.push_back(scene.cameras[i].attitude.roll_deg);
    lens.push_back(scene.cameras[i].lens);
  }
  const std::vector<Accuracy> accuracy(poses);
  const BatchItems items{lat,      lon, hae, heading, pitch, roll, lens, std::span(scene.targets).first(poses),
                         accuracy, x,   y};
  std::vector<std::vector<double>> out(13, std::vector<double>(kItems));
  std::vector<std::uint8_t> status(kItems), grazing(kItems);
  const BatchFixes fixes{
      status,  out[0],  out[1], out[2], out[3], out[4], {out[5], out[6], out[7], out[8], out[9], out[10]},
      out[11], out[12], grazing};
  for (auto _ : state) {
    benchmark::DoNotOptimize(locate_batch(items, kMaxRangeM, fixes, units));
    benchmark::ClobberMemory();
  }
  state.counters["per_item"] = benchmark::Counter(static_cast<double>(kItems) * static_cast<double>(state.iterations()),
                                                  benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
void locate_batch_own_poses(benchmark::State& s) {
  batch(s, false, VectorUnits::kBest);
}
void locate_batch_one_pose(benchmark::State& s) {
  batch(s, true, VectorUnits::kBest);
}
void locate_batch_avx2(benchmark::State& s) {
  batch(s, false, VectorUnits::kAvx2);
}
void locate_batch_baseline(benchmark::State& s) {
  batch(s, false, VectorUnits::kBaseline);
}
void locate_batch_scalar(benchmark::State& s) {
  batch(s, false, VectorUnits::kScalar);
}
BENCHMARK(locate_batch_own_poses);
BENCHMARK(locate_batch_one_pose);
BENCHMARK(locate_batch_avx2);
BENCHMARK(locate_batch_baseline);
BENCHMARK(locate_batch_scalar);

void undistort(benchmark::State& state, Distortion distortion) {
  const Scene scene(true, distortion);
  each_item(state, [&](std::size_t i) { return camera_ray(scene.cameras[0].lens, scene.pixels[i]); });
}
void undistort_brown(benchmark::State& state) {
  undistort(state, kBrown5);
}
void undistort_fisheye(benchmark::State& state) {
  undistort(state, kFisheye4);
}
BENCHMARK(undistort_brown);
BENCHMARK(undistort_fisheye);

void geodetic_to_ecef(benchmark::State& state) {
  const Scene scene;
  each_item(state, [&](std::size_t i) { return to_ecef(scene.cameras[i].position); });
}
void ecef_to_geodetic(benchmark::State& state) {
  const Scene scene;
  std::vector<Vec3> ecef;
  for (const Camera& camera : scene.cameras) ecef.push_back(to_ecef(camera.position));
  each_item(state, [&](std::size_t i) { return to_geodetic(ecef[i]); });
}
BENCHMARK(geodetic_to_ecef);
BENCHMARK(ecef_to_geodetic);

}  // namespace
}  // namespace detection::geolocate

BENCHMARK_MAIN();
