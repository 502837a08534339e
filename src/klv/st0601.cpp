#include "klv/st0601.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace detection::klv {
namespace {

std::optional<std::uint64_t> unsigned_of(Bytes value, std::size_t octets) {
  if (value.size() != octets) return std::nullopt;
  std::uint64_t number = 0;
  for (const auto octet : value) number = number << 8 | octet;
  return number;
}

/// ST 0601 "uint" mapping: 0..2^8n-1 over [low, high].
std::optional<double> mapped(Bytes value, std::size_t octets, double low, double high) {
  const auto number = unsigned_of(value, octets);
  if (!number) return std::nullopt;
  const double steps = std::ldexp(1.0, static_cast<int>(8 * octets)) - 1;
  return low + static_cast<double>(*number) * (high - low) / steps;
}

/// ST 0601 "int" mapping: -(2^(8n-1)-1)..2^(8n-1)-1 over [-most, most]; -2^(8n-1) is reserved for "out of range".
std::optional<double> mapped_signed(Bytes value, std::size_t octets, double most) {
  const auto number = unsigned_of(value, octets);
  if (!number) return std::nullopt;
  const std::uint64_t sign = std::uint64_t{1} << (8 * octets - 1);
  if (*number == sign) return std::nullopt;
  const double whole = *number > sign ? static_cast<double>(*number) - std::ldexp(1.0, static_cast<int>(8 * octets))
                                      : static_cast<double>(*number);
  return whole * 2 * most / (std::ldexp(1.0, static_cast<int>(8 * octets)) - 2);
}

/// IMAPB of ST 1201 section 7 over [low, high], as many octets as are there (1 to 8). The special patterns (infinity,
/// NaN, reserved) have the highest bit set beyond the range and are missing.
std::optional<double> imapb(Bytes value, double low, double high) {
  const std::size_t octets = value.size();
  if (octets == 0 || octets > 8) return std::nullopt;
  const auto number = *unsigned_of(value, octets);
  const double span_bits = std::ceil(std::log2(high - low));
  const double domain_bits = static_cast<double>(8 * octets) - 1;
  const double reverse_scale = std::exp2(span_bits - domain_bits);
  const double scale = std::exp2(domain_bits - span_bits);
  const double zero_offset = low < 0 && high > 0 ? scale * low - std::floor(scale * low) : 0;
  const double result = reverse_scale * (static_cast<double>(number) - zero_offset) + low;
  if (result < low - reverse_scale || result > high + reverse_scale) return std::nullopt;
  return std::clamp(result, low, high);  // one step beyond is rounding, more so the fewer octets there are
}

/// Printable ASCII only: these texts come from outside.
std::string text_of(Bytes value) {
  constexpr std::size_t kTextBytesMost = 127;
  std::string text;
  for (const auto octet : value.first(std::min(value.size(), kTextBytesMost)))
    text.push_back(octet >= 0x20 && octet < 0x7f ? static_cast<char>(octet) : '?');
  return text;
}

/// An altitude of ST 0601: 2 octets over -900..19,000 m.
std::optional<double> altitude_m(Bytes value) {
  return mapped(value, 2, -900, 19'000);
}
std::optional<double> range_m(Bytes value) {
  return mapped(value, 4, 0, 5'000'000);
}

struct FullAttitude {
  std::optional<double> pitch_deg{}, roll_deg{}, hae_m{};
};

void decode_item(const Item& item, UasDatalink& out, FullAttitude& full) {
  auto value = item.value;
  switch (item.tag) {
    case 2:
      // Beyond 2^63 there is no time that we could hold.
      if (const auto micros = unsigned_of(value, 8); micros && *micros <= INT64_MAX)
        out.time = UtcMicros{static_cast<std::int64_t>(*micros)};
      break;
    case 3: out.mission_id = text_of(value); break;
    case 4: out.platform_tail_number = text_of(value); break;
    case 5: out.platform_heading_deg = mapped(value, 2, 0, 360); break;
    case 6: out.platform_pitch_deg = mapped_signed(value, 2, 20); break;
    case 7: out.platform_roll_deg = mapped_signed(value, 2, 50); break;
    case 10: out.platform_designation = text_of(value); break;
    case 11: out.image_source = text_of(value); break;
    case 12: out.coordinate_system = text_of(value); break;
    case 13: out.sensor_lat_deg = mapped_signed(value, 4, 90); break;
    case 14: out.sensor_lon_deg = mapped_signed(value, 4, 180); break;
    case 15: out.sensor_altitude_msl_m = altitude_m(value); break;
    case 16: out.horizontal_fov_deg = mapped(value, 2, 0, 180); break;
    case 17: out.vertical_fov_deg = mapped(value, 2, 0, 180); break;
    case 18: out.sensor_azimuth_deg = mapped(value, 4, 0, 360); break;
    case 19: out.sensor_elevation_deg = mapped_signed(value, 4, 180); break;
    case 20: out.sensor_roll_deg = mapped(value, 4, 0, 360); break;
    case 21: out.slant_range_m = range_m(value); break;
    case 22:
      // Some encoders (the Day and Night Flight samples) write the 16-bit value into 4 octets.
      if (value.size() == 4 && value[0] == 0 && value[1] == 0) value = value.last(2);
      out.target_width_m = mapped(value, 2, 0, 10'000);
      break;
    case 23: out.frame_center_lat_deg = mapped_signed(value, 4, 90); break;
    case 24: out.frame_center_lon_deg = mapped_signed(value, 4, 180); break;
    case 25: out.frame_center_msl_m = altitude_m(value); break;
    case 26:
    case 27:
    case 28:
    case 29:
    case 30:
    case 31:
    case 32:
    case 33: out.corner_offsets_deg[item.tag - 26] = mapped_signed(value, 2, 0.075); break;
    case 40: out.target_lat_deg = mapped_signed(value, 4, 90); break;
    case 41: out.target_lon_deg = mapped_signed(value, 4, 180); break;
    case 42: out.target_msl_m = altitude_m(value); break;
    case 45: out.target_ce90_m = mapped(value, 2, 0, 4095); break;
    case 46: out.target_le90_m = mapped(value, 2, 0, 4095); break;
    case 57: out.ground_range_m = range_m(value); break;
    case 65:
      if (const auto number = unsigned_of(value, 1)) out.version = static_cast<int>(*number);
      break;
    case 75: out.sensor_hae_m = altitude_m(value); break;
    case 78: out.frame_center_hae_m = altitude_m(value); break;
    case 90: full.pitch_deg = mapped_signed(value, 4, 90); break;
    case 91: full.roll_deg = mapped_signed(value, 4, 90); break;
    case 104: full.hae_m = imapb(value, -900, 40'000); break;
    default: break;
  }
}

}  // namespace

UasDatalink decode(const Packet& packet) {
  UasDatalink out;
  FullAttitude full;
  ItemReader items(packet.value);
  while (const auto item = items.next()) decode_item(*item, out, full);
  out.broken = items.broken();
  // The full-range tags win over those that stop at +-20 and +-50 degrees.
  if (full.pitch_deg) out.platform_pitch_deg = full.pitch_deg;
  if (full.roll_deg) out.platform_roll_deg = full.roll_deg;
  if (full.hae_m) out.sensor_hae_m = full.hae_m;
  return out;
}

}  // namespace detection::klv
