#include "store/spool/payload.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <random>

#include "contract/store_support.hpp"

namespace detection::store::spool {
namespace {

using testing::sample;

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// Doubles of any bits (NaN payloads, infinities, negative zero, denormals), texts of any bytes.
class Anything {
 public:
  explicit Anything(std::uint64_t seed) : random_(seed) {}
  double number() { return std::bit_cast<double>(random_()); }
  bool coin() { return (random_() & 1) != 0; }
  std::uint8_t byte() { return static_cast<std::uint8_t>(random_()); }
  UtcMicros time() { return {static_cast<std::int64_t>(random_())}; }
  std::string text() {
    std::string out(random_() % 40, '\0');
    for (auto& c : out) c = static_cast<char>(byte());
    return out;
  }
  std::optional<double> maybe() { return coin() ? std::optional(number()) : std::nullopt; }

  Acceptance acceptance() {
    Acceptance item;
    auto& d = item.located;
    for (auto& b : d.id.bytes) b = byte();
    d.observed = time();
    d.received = time();
    d.object_class = text();
    d.ai_confidence = number();
    d.source = text();
    d.camera_id = text();
    if (coin()) d.track_id = text();
    d.exercise = coin();
    d.pixel = {number(), number()};
    d.fix.position = {number(), number(), number()};
    d.fix.hae_known = coin();
    d.fix.source = static_cast<PositionSource>(byte() % 4);
    for (auto& v : d.fix.covariance_enu_m2) v = number();
    d.fix.ce90_m = maybe();
    d.fix.le90_m = maybe();
    d.fix.ellipse = {number(), number(), number(), number()};
    d.fix.slant_range_m = number();
    d.fix.grazing_deg = number();
    d.fix.grazing = coin();
    d.fix.outside_image = coin();
    d.verdict = {static_cast<Flag>(byte() % 3), byte()};
    d.cot_uid = text();
    d.cot_type = text();
    item.disposition = static_cast<Disposition>(byte() % 3);
    item.request_json = text();
    for (auto& b : item.content_sha256) b = byte();
    item.times = {time(), time(), time(), time()};
    item.actor = text();
    item.request_id = text();
    if (coin()) item.trace_id = text();
    return item;
  }

 private:
  std::mt19937_64 random_;
};

std::uint64_t bits(double value) {
  return std::bit_cast<std::uint64_t>(value);
}

std::optional<std::uint64_t> bits(const std::optional<double>& value) {
  return value ? std::optional(bits(*value)) : std::nullopt;
}

void expect_same(const Acceptance& a, const Acceptance& b) {
  const auto &x = a.located, &y = b.located;
  EXPECT_EQ(x.id, y.id);
  EXPECT_EQ(x.observed, y.observed);
  EXPECT_EQ(x.received, y.received);
  EXPECT_EQ(x.object_class, y.object_class);
  EXPECT_EQ(bits(x.ai_confidence), bits(y.ai_confidence));
  EXPECT_EQ(x.source, y.source);
  EXPECT_EQ(x.camera_id, y.camera_id);
  EXPECT_EQ(x.track_id, y.track_id);
  EXPECT_EQ(x.exercise, y.exercise);
  EXPECT_EQ(bits(x.pixel.x_px), bits(y.pixel.x_px));
  EXPECT_EQ(bits(x.pixel.y_px), bits(y.pixel.y_px));
  EXPECT_EQ(bits(x.fix.position.lat_deg), bits(y.fix.position.lat_deg));
  EXPECT_EQ(bits(x.fix.position.lon_deg), bits(y.fix.position.lon_deg));
  EXPECT_EQ(bits(x.fix.position.hae_m), bits(y.fix.position.hae_m));
  EXPECT_EQ(x.fix.hae_known, y.fix.hae_known);
  EXPECT_EQ(x.fix.source, y.fix.source);
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_EQ(bits(x.fix.covariance_enu_m2[i]), bits(y.fix.covariance_enu_m2[i])) << i;
  EXPECT_EQ(bits(x.fix.ce90_m), bits(y.fix.ce90_m));
  EXPECT_EQ(bits(x.fix.le90_m), bits(y.fix.le90_m));
  EXPECT_EQ(bits(x.fix.ellipse.semi_major_m), bits(y.fix.ellipse.semi_major_m));
  EXPECT_EQ(bits(x.fix.ellipse.semi_minor_m), bits(y.fix.ellipse.semi_minor_m));
  EXPECT_EQ(bits(x.fix.ellipse.azimuth_deg), bits(y.fix.ellipse.azimuth_deg));
  EXPECT_EQ(bits(x.fix.ellipse.probability), bits(y.fix.ellipse.probability));
  EXPECT_EQ(bits(x.fix.slant_range_m), bits(y.fix.slant_range_m));
  EXPECT_EQ(bits(x.fix.grazing_deg), bits(y.fix.grazing_deg));
  EXPECT_EQ(x.fix.grazing, y.fix.grazing);
  EXPECT_EQ(x.fix.outside_image, y.fix.outside_image);
  EXPECT_EQ(x.verdict.flag, y.verdict.flag);
  EXPECT_EQ(x.verdict.reasons, y.verdict.reasons);
  EXPECT_EQ(x.cot_uid, y.cot_uid);
  EXPECT_EQ(x.cot_type, y.cot_type);
  EXPECT_EQ(a.disposition, b.disposition);
  EXPECT_EQ(a.request_json, b.request_json);
  EXPECT_EQ(a.content_sha256, b.content_sha256);
  EXPECT_EQ(a.times.received, b.times.received);
  EXPECT_EQ(a.times.validated, b.times.validated);
  EXPECT_EQ(a.times.located, b.times.located);
  EXPECT_EQ(a.times.cot_made, b.times.cot_made);
  EXPECT_EQ(a.actor, b.actor);
  EXPECT_EQ(a.request_id, b.request_id);
}

TEST(Payload, ReadsBackToTheSameBits) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Anything anything(seed);
  for (int i = 0; i < 2'000; ++i) {
    const auto item = anything.acceptance();
    const auto text = encode(item);
    const auto back = decode(bytes_of(text));
    ASSERT_TRUE(back) << back.error().detail;
    expect_same(item, *back);
    ASSERT_EQ(encode(*back), text);
    if (HasFailure()) return;
  }
}

TEST(Payload, ReadsBackExtremes) {
  for (const double value : {0.0, -0.0, std::numeric_limits<double>::denorm_min(), std::numeric_limits<double>::max(),
                             std::numeric_limits<double>::lowest(), std::numeric_limits<double>::infinity(),
                             std::numeric_limits<double>::quiet_NaN(), std::nextafter(1.0, 2.0)}) {
    auto item = sample(1);
    item.located.fix.position = {value, value, value};
    item.located.fix.ce90_m = value;
    item.located.fix.le90_m.reset();
    const auto back = decode(bytes_of(encode(item)));
    ASSERT_TRUE(back);
    expect_same(item, *back);
  }
  auto item = sample(2);
  item.request_json.assign(8u << 20, 'x');
  item.located.object_class.clear();
  const auto back = decode(bytes_of(encode(item)));
  ASSERT_TRUE(back);
  expect_same(item, *back);
}

TEST(Payload, RefusesWhatIsCutLongerOrOfAnotherVersion) {
  const auto text = encode(sample(3));
  for (std::size_t size = 0; size < text.size(); ++size)
    ASSERT_FALSE(decode(bytes_of(text.substr(0, size)))) << size << " of " << text.size() << " bytes were taken";
  EXPECT_FALSE(decode(bytes_of(text + '\0')));
  auto other = text;
  other[0] = static_cast<char>(kPayloadVersion + 1);
  EXPECT_FALSE(decode(bytes_of(other)));
}

/// A file of today must be readable by every later program: change kPayloadVersion, never these bytes.
std::uint64_t fnv1a(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const auto c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  return hash;
}

TEST(Payload, TheFormOfVersionOneStays) {
  const auto text = encode(sample(4));
  EXPECT_EQ(text.size(), 391U);
  EXPECT_EQ(fnv1a(text), 14311611702384453375U);
}

TEST(Payload, TheFormOfVersionTwoStays) {
  auto item = sample(4);
  item.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
  const auto text = encode(item);
  EXPECT_EQ(text.size(), 391U + 4 + 32);
  EXPECT_EQ(fnv1a(text), 13413546206379039817U);
}

}  // namespace
}  // namespace detection::store::spool
