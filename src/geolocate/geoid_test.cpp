#include "geolocate/geoid.hpp"

#include <bit>
#include <cstring>
#include <optional>

#include "geolocate/test_support.hpp"

namespace detection::geolocate {
namespace {

constexpr char kEgm96[] = "/usr/share/proj/egm96_15.gtx";

std::optional<std::string> egm96_bytes() {
  std::ifstream file(kEgm96, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Result<Geoid> parse(const std::string& bytes) {
  return Geoid::parse(std::as_bytes(std::span(bytes)));
}

/// A world grid of `rows` x `columns` posts from a function of the post's latitude and longitude.
template <class Height>
std::string gtx(int rows, int columns, Height height, double west = -180) {
  std::string bytes;
  const auto put = [&bytes](auto word) {
    for (int shift = static_cast<int>(sizeof(word) * 8) - 8; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<char>(word >> shift & 0xff));
    }
  };
  const double step_lat = 180.0 / (rows - 1), step_lon = 360.0 / columns;
  for (const double v : {-90.0, west, step_lat, step_lon}) put(std::bit_cast<std::uint64_t>(v));
  put(static_cast<std::uint32_t>(rows));
  put(static_cast<std::uint32_t>(columns));
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      put(std::bit_cast<std::uint32_t>(static_cast<float>(height(-90 + r * step_lat, west + c * step_lon))));
    }
  }
  return bytes;
}

TEST(Geoid, AgreesWithTheOfficialEgm96Points) {
  const auto bytes = egm96_bytes();
  if (!bytes) GTEST_SKIP() << "NOT TESTED: " << kEgm96 << " is absent; install Debian's package proj-data";
  const auto geoid = parse(*bytes);
  ASSERT_TRUE(geoid) << geoid.error().detail;
  const auto truth = test::vectors("geoid_egm96.json");
  for (const auto& p : truth["official"]) {
    const double lat = p["lat"], lon = p["lon"], official = p["N_official"];
    EXPECT_NEAR(geoid->undulation_m(lat, lon), official, 0.012) << p;
    EXPECT_NEAR(geoid->undulation_m(lat, lon), p["N_catmull_rom"].get<double>(), 1e-6) << p;
    EXPECT_NEAR(geoid->undulation_m(lat, lon - 360), p["N_catmull_rom"].get<double>(), 1e-6) << p;
    EXPECT_NEAR(geoid->undulation_bilinear_m(lat, lon), official, 0.06) << p;
    EXPECT_NEAR(geoid->undulation_bilinear_m(lat, lon), p["N_bilinear_15min"].get<double>(), 1e-6) << p;
  }
  for (const auto& p : truth["bilinear"]) {
    EXPECT_NEAR(geoid->undulation_bilinear_m(p[0], p[1]), p[2].get<double>(), 1e-6) << p;
  }
}

TEST(Geoid, IsContinuousOverTheAntimeridianAndThePoles) {
  const auto wave = [](double lat, double lon) {
    return 20 * std::cos(lat * kRadPerDeg) * std::cos(lon * kRadPerDeg) + 10 * std::sin(lat * kRadPerDeg);
  };
  for (const double west : {-180.0, 0.0}) {
    const auto geoid = parse(gtx(91, 180, wave, west));
    ASSERT_TRUE(geoid) << geoid.error().detail;
    std::mt19937_64 random(4);
    for (int i = 0; i < 5000; ++i) {
      const double lat = i % 5 ? test::uniform(random, -90, 90) : test::uniform(random, 88, 90);
      const double lon = test::uniform(random, -400, 400);
      ASSERT_NEAR(geoid->undulation_m(lat, lon), wave(lat, lon), 3e-3) << lat << ' ' << lon;
      ASSERT_NEAR(geoid->undulation_bilinear_m(lat, lon), wave(lat, lon), 2e-2) << lat << ' ' << lon;
    }
    EXPECT_NEAR(geoid->undulation_m(90, 77), 10, 1e-4);
    EXPECT_NEAR(geoid->undulation_m(-90, -180), -10, 1e-4);
    EXPECT_DOUBLE_EQ(geoid->undulation_m(12, 180), geoid->undulation_m(12, -180));
  }
}

TEST(Geoid, RefusesBrokenFilesWithTheRule) {
  const auto flat = [](double, double) { return 1.0; };
  const std::string good = gtx(19, 36, flat);
  ASSERT_TRUE(parse(good));
  const auto refused = [](const std::string& bytes, const char* rule) {
    const auto geoid = parse(bytes);
    ASSERT_FALSE(geoid) << rule;
    EXPECT_EQ(geoid.error().code, ErrorCode::kConfiguration);
    EXPECT_NE(geoid.error().detail.find(rule), std::string::npos) << geoid.error().detail;
  };
  refused("", "header");
  refused(good.substr(0, 39), "header");
  refused(good.substr(0, good.size() - 1), "size");
  refused(good + "x", "size");
  refused(gtx(19, 35, flat), "odd");
  refused(gtx(19, 36, [](double, double) { return std::nan(""); }), "post");
  refused(gtx(19, 36, [](double, double) { return 1e30; }), "post");
  for (std::size_t at = 0; at < 40; ++at) {
    std::string bent = good;
    bent[at] = static_cast<char>(bent[at] ^ 0x40);
    // The western edge may be another one, and the last bytes of a double are below the check's tolerance.
    if ((at >= 8 && at < 16) || (at < 32 && at % 8 > 4)) continue;
    EXPECT_FALSE(parse(bent)) << "header byte " << at;
  }
}

}  // namespace
}  // namespace detection::geolocate
