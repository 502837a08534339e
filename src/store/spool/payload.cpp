#include "store/spool/payload.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <type_traits>

namespace detection::store::spool {
namespace {

/// Appends what it is given.
class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}

  void number(std::uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) out_.push_back(static_cast<char>(value >> (8 * i)));
  }
  void item(const double& value) { number(std::bit_cast<std::uint64_t>(value), 8); }
  void item(const UtcMicros& value) { number(static_cast<std::uint64_t>(value.count), 8); }
  void item(const std::uint8_t& value) { number(value, 1); }
  void item(const bool& value) { number(value ? 1 : 0, 1); }
  void item(const std::string& value) {
    number(value.size(), 4);
    out_.append(value);
  }
  template <std::size_t N>
  void item(const std::array<std::uint8_t, N>& value) {
    out_.append(value.begin(), value.end());
  }
  template <class T>
  void item(const std::optional<T>& value) {
    item(value.has_value());
    if (value) item(*value);
  }
  template <class T>
    requires std::is_enum_v<T>
  void item(const T& value, T) {
    number(static_cast<std::uint8_t>(value), 1);
  }

 private:
  std::string& out_;
};

/// Takes the same off the front; good() says whether everything was there and had its range.
class Decoder {
 public:
  explicit Decoder(std::span<const std::uint8_t> in) : in_(in) {}
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] bool at_end() const { return in_.empty(); }

  std::uint64_t number(unsigned bytes) {
    std::uint64_t value = 0;
    const auto from = take(bytes);
    for (std::size_t i = 0; i < from.size(); ++i) value |= std::uint64_t{from[i]} << (8 * i);
    return value;
  }
  void item(double& value) { value = std::bit_cast<double>(number(8)); }
  void item(UtcMicros& value) { value.count = static_cast<std::int64_t>(number(8)); }
  void item(std::uint8_t& value) { value = static_cast<std::uint8_t>(number(1)); }
  void item(bool& value) {
    const auto byte = number(1);
    good_ = good_ && byte <= 1;
    value = byte == 1;
  }
  void item(std::string& value) {
    const auto from = take(number(4));
    value.assign(from.begin(), from.end());
  }
  template <std::size_t N>
  void item(std::array<std::uint8_t, N>& value) {
    if (const auto from = take(N); from.size() == N) std::ranges::copy(from, value.begin());
  }
  template <class T>
  void item(std::optional<T>& value) {
    bool there = false;
    item(there);
    value.reset();
    if (there) item(value.emplace());
  }
  template <class T>
    requires std::is_enum_v<T>
  void item(T& value, T last) {
    const auto byte = number(1);
    good_ = good_ && byte <= static_cast<std::uint8_t>(last);
    if (good_) value = static_cast<T>(byte);
  }

 private:
  /// Nothing, and bad from now on, when there are fewer.
  std::span<const std::uint8_t> take(std::uint64_t bytes) {
    good_ = good_ && bytes <= in_.size();
    if (!good_) return {};
    const auto taken = in_.first(static_cast<std::size_t>(bytes));
    in_ = in_.subspan(taken.size());
    return taken;
  }
  std::span<const std::uint8_t> in_;
  bool good_ = true;
};

constexpr std::uint8_t kWithoutTrace = 1;

/// Every field, in the order of version 1; behind them what version 2 added. Written once for both directions, so that
/// they cannot differ.
template <class Coder, class Item>
void fields(Coder& c, Item& item, std::uint8_t version) {
  auto& d = item.located;
  c.item(d.id.bytes);
  c.item(d.observed);
  c.item(d.received);
  c.item(d.object_class);
  c.item(d.ai_confidence);
  c.item(d.source);
  c.item(d.camera_id);
  c.item(d.track_id);
  c.item(d.exercise);
  c.item(d.pixel.x_px);
  c.item(d.pixel.y_px);
  auto& fix = d.fix;
  c.item(fix.position.lat_deg);
  c.item(fix.position.lon_deg);
  c.item(fix.position.hae_m);
  c.item(fix.hae_known);
  c.item(fix.source, PositionSource::kTerrain);
  for (auto& value : fix.covariance_enu_m2) c.item(value);
  c.item(fix.ce90_m);
  c.item(fix.le90_m);
  c.item(fix.ellipse.semi_major_m);
  c.item(fix.ellipse.semi_minor_m);
  c.item(fix.ellipse.azimuth_deg);
  c.item(fix.ellipse.probability);
  c.item(fix.slant_range_m);
  c.item(fix.grazing_deg);
  c.item(fix.grazing);
  c.item(fix.outside_image);
  c.item(d.verdict.flag, Flag::kRed);
  c.item(d.verdict.reasons);
  c.item(d.cot_uid);
  c.item(d.cot_type);
  c.item(item.disposition, Disposition::kDiscard);
  c.item(item.request_json);
  c.item(item.content_sha256);
  c.item(item.times.received);
  c.item(item.times.validated);
  c.item(item.times.located);
  c.item(item.times.cot_made);
  c.item(item.actor);
  c.item(item.request_id);
  if (version > kWithoutTrace) c.item(item.trace_id);
}

constexpr std::size_t kFixedBytes = 512;  ///< more than all but the request

}  // namespace

std::string encode(const Acceptance& item) {
  std::string out;
  out.reserve(item.request_json.size() + kFixedBytes);
  Encoder encoder(out);
  const auto version = item.trace_id.empty() ? kWithoutTrace : kPayloadVersion;
  encoder.item(version);
  fields(encoder, item, version);
  return out;
}

Result<Acceptance> decode(std::span<const std::uint8_t> bytes) {
  Decoder decoder(bytes);
  std::uint8_t version = 0;
  decoder.item(version);
  if (!decoder.good() || version < kWithoutTrace || version > kPayloadVersion)
    return fail(ErrorCode::kInternal,
                "a spooled detection has a form that this program does not know (" + std::to_string(version) + ")");
  Acceptance item;
  fields(decoder, item, version);
  if (!decoder.good() || !decoder.at_end()) return fail(ErrorCode::kInternal, "a spooled detection is damaged");
  return item;
}

}  // namespace detection::store::spool
