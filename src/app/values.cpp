// How the values of options are read.

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <vector>

#include "app/options.hpp"

namespace detection::app {

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  static constexpr struct {
    std::string_view unit;
    double milliseconds;
  } kUnits[] = {{"ms", 1}, {"s", 1000}, {"min", 60'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  double scale = 1000;
  for (const auto& unit : kUnits)
    if (text.size() > unit.unit.size() && text.ends_with(unit.unit)) {
      scale = unit.milliseconds;
      text.remove_suffix(unit.unit.size());
      break;
    }
  const auto value = parse_number(text);
  constexpr double kMost_ms = 10.0 * 366 * 86'400'000;
  if (!value || *value < 0 || *value * scale > kMost_ms) return std::nullopt;
  return std::chrono::milliseconds{std::llround(*value * scale)};
}

std::optional<pipeline::OwnPosition> parse_position(std::string_view text) {
  std::vector<double> numbers;
  while (true) {
    const auto end = std::min(text.find(','), text.size());
    const auto number = parse_number(text.substr(0, end));
    if (!number) return std::nullopt;
    numbers.push_back(*number);
    if (end == text.size()) break;
    text.remove_prefix(end + 1);
  }
  if (numbers.size() < 2 || numbers.size() > 3 || std::abs(numbers[0]) > 90 || std::abs(numbers[1]) > 180)
    return std::nullopt;
  pipeline::OwnPosition position{numbers[0], numbers[1], std::nullopt};
  if (numbers.size() == 3) position.hae_m = numbers[2];
  return position;
}

bool is_process_name(std::string_view text) noexcept {
  constexpr std::size_t kLengthMost = 64;
  return !text.empty() && text.size() <= kLengthMost && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

Result<AccuracyOverride> parse_accuracy(std::string_view text) {
  AccuracyOverride accuracy;
  const std::array<std::pair<std::string_view, std::optional<double>*>, 9> fields{{
      {"horizontal_m", &accuracy.horizontal_m},
      {"vertical_m", &accuracy.vertical_m},
      {"ground_m", &accuracy.ground_m},
      {"heading_deg", &accuracy.heading_deg},
      {"pitch_deg", &accuracy.pitch_deg},
      {"roll_deg", &accuracy.roll_deg},
      {"focal_percent", &accuracy.focal_percent},
      {"pixel_px", &accuracy.pixel_px},
      {"slant_range_m", &accuracy.slant_range_m},
  }};
  while (!text.empty()) {
    const auto end = std::min(text.find(','), text.size());
    const auto pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto equals = std::min(pair.find('='), pair.size());
    const auto key = pair.substr(0, equals);
    std::optional<double>* field = nullptr;
    for (const auto& [name, place] : fields)
      if (name == key) field = place;
    if (field == nullptr || equals == pair.size()) {
      std::string known;
      for (const auto& [name, place] : fields) known.append(known.empty() ? "" : ", ").append(name);
      return fail(ErrorCode::kConfiguration, "'" + std::string(pair) + "' must be key=number, the key one of " + known);
    }
    const auto value = parse_number(pair.substr(equals + 1));
    if (!value || *value < 0 || *value > 1e6)
      return fail(ErrorCode::kConfiguration, std::string(key) + " must be a number from 0 to 1000000");
    *field = value;
  }
  return accuracy;
}

}  // namespace detection::app
