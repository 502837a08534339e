#include "integration/support/requests.hpp"

#include <array>
#include <cstdio>
#include <ctime>

namespace detection::integration {

std::string random_uuid(std::mt19937_64& random) {
  const auto high = (random() & 0xffff'ffff'ffff'0fffULL) | 0x4000ULL;
  const auto low = (random() & 0x3fff'ffff'ffff'ffffULL) | 0x8000'0000'0000'0000ULL;
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%08llx-%04llx-%04llx-%04llx-%012llx",
                static_cast<unsigned long long>(high >> 32), static_cast<unsigned long long>((high >> 16) & 0xffff),
                static_cast<unsigned long long>(high & 0xffff), static_cast<unsigned long long>(low >> 48),
                static_cast<unsigned long long>(low & 0xffff'ffff'ffffULL));
  return text.data();
}

std::string detection_json(std::uint64_t number, std::string_view id) {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> when{};
  std::strftime(when.data(), when.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::array<char, 1024> text{};
  const int length = std::snprintf(
      text.data(), text.size(),
      R"({%s%.*s%s"pixel_x":%llu,"pixel_y":%llu,"object_class":"vehicle","ai_confidence":0.92,"source":"integration",)"
      R"("camera_id":"cam-%llu","timestamp":"%s.%03lluZ","sensor_metadata":{"location_lat":%.6f,"location_lon":%.6f,)"
      R"("location_elevation":620.5,"elevation_reference":"hae","ground_elevation_m":500,"heading":%llu,"pitch":-60,)"
      R"("roll":0.5,"focal_length":2000,"image_width":1920,"image_height":1080}})",
      id.empty() ? "" : R"("detection_id":")", static_cast<int>(id.size()), id.data(), id.empty() ? "" : R"(",)",
      static_cast<unsigned long long>(number % 1900), static_cast<unsigned long long>(number / 7 % 1000),
      static_cast<unsigned long long>(number % 16), when.data(), static_cast<unsigned long long>(number % 1000),
      48.0 + static_cast<double>(number % 10'000) * 1e-5, 11.0 + static_cast<double>(number / 10'000 % 10'000) * 1e-5,
      static_cast<unsigned long long>(number % 360));
  return {text.data(), static_cast<std::size_t>(length)};
}

std::string batch_json(std::uint64_t first_number, std::size_t count, std::span<const std::string> ids) {
  std::string text = "[";
  text.reserve(count * 480);
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) text.push_back(',');
    text += detection_json(first_number + i, i < ids.size() ? std::string_view(ids[i]) : std::string_view{});
  }
  text.push_back(']');
  return text;
}

}  // namespace detection::integration
