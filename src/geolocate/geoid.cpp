#include "geolocate/geoid.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace detection::geolocate {
namespace {

constexpr std::size_t kHeaderBytes = 40;
constexpr std::int32_t kMaxPosts = 100'000;  // per axis: finer than any published geoid
constexpr double kMaxUndulationM = 200;      // the Earth's lie within -107..86 m

template <class Word>
Word big_endian(std::span<const std::byte> bytes, std::size_t at) noexcept {
  Word word = 0;
  for (std::size_t i = 0; i < sizeof(Word); ++i)
    word = static_cast<Word>(word << 8 | std::to_integer<Word>(bytes[at + i]));
  return word;
}

double read_double(std::span<const std::byte> bytes, std::size_t at) noexcept {
  return std::bit_cast<double>(big_endian<std::uint64_t>(bytes, at));
}

std::unexpected<Error> bad(const char* rule) {
  return fail(ErrorCode::kConfiguration, std::string("geoid file: ") + rule);
}

double catmull_rom(double a, double b, double c, double d, double t) noexcept {
  return b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}

}  // namespace

Result<Geoid> Geoid::parse(std::span<const std::byte> file) {
  if (file.size() < kHeaderBytes) return bad("shorter than the 40-byte GTX header");
  const double south = read_double(file, 0), west = read_double(file, 8);
  const double step_lat = read_double(file, 16), step_lon = read_double(file, 24);
  const auto rows = static_cast<std::int32_t>(big_endian<std::uint32_t>(file, 32));
  const auto columns = static_cast<std::int32_t>(big_endian<std::uint32_t>(file, 36));
  if (rows < 4 || columns < 4 || rows > kMaxPosts || columns > kMaxPosts) return bad("number of rows or columns");
  if (columns % 2 != 0) return bad("number of columns is odd, so the grid cannot be continued over the poles");
  if (!(step_lat > 0 && step_lon > 0)) return bad("grid steps must be positive");
  if (!(std::abs(south + 90) < 1e-9) || !(std::abs(south + step_lat * (rows - 1) - 90) < 1e-6)) {
    return bad("does not reach from pole to pole");
  }
  if (!(std::abs(west) <= 360) || !(std::abs(step_lon * columns - 360) < 1e-6))
    return bad("does not go round the world");
  const std::size_t count = static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
  if (file.size() != kHeaderBytes + count * sizeof(float)) return bad("size differs from what its header says");

  Geoid geoid;
  geoid.lon_west_deg_ = west;
  geoid.step_lat_deg_ = step_lat;
  geoid.step_lon_deg_ = step_lon;
  geoid.rows_ = rows;
  geoid.columns_ = columns;
  geoid.posts_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const float post = std::bit_cast<float>(big_endian<std::uint32_t>(file, kHeaderBytes + i * sizeof(float)));
    if (!(std::abs(post) < kMaxUndulationM)) return bad("a post is missing or not a geoid height");
    geoid.posts_[i] = post;
  }
  return geoid;
}

double Geoid::post(long row, long column) const noexcept {
  // Beyond a pole the meridian goes on half a turn away.
  if (row < 0) {
    row = -row;
    column += columns_ / 2;
  } else if (row >= rows_) {
    row = 2 * (rows_ - 1) - row;
    column += columns_ / 2;
  }
  column %= columns_;
  if (column < 0) column += columns_;
  return posts_[static_cast<std::size_t>(row * columns_ + column)];
}

Geoid::Cell Geoid::cell_of(double lat_deg, double lon_deg) const noexcept {
  const double y = (std::clamp(lat_deg, -90.0, 90.0) + 90) / step_lat_deg_;
  const double x = std::remainder(lon_deg - lon_west_deg_, 360.0) / step_lon_deg_;
  const long row = std::clamp(static_cast<long>(std::floor(y)), 0L, rows_ - 2);
  const double column = std::floor(x);
  return {.row = row, .column = static_cast<long>(column), .up = y - static_cast<double>(row), .right = x - column};
}

double Geoid::undulation_bilinear_m(double lat_deg, double lon_deg) const noexcept {
  const auto [row, column, up, right] = cell_of(lat_deg, lon_deg);
  const double low = post(row, column) * (1 - right) + post(row, column + 1) * right;
  const double high = post(row + 1, column) * (1 - right) + post(row + 1, column + 1) * right;
  return low * (1 - up) + high * up;
}

double Geoid::undulation_m(double lat_deg, double lon_deg) const noexcept {
  const auto [row, column, up, right] = cell_of(lat_deg, lon_deg);
  double line[4];
  for (long i = 0; i < 4; ++i) {
    const long r = row - 1 + i;
    line[i] = catmull_rom(post(r, column - 1), post(r, column), post(r, column + 1), post(r, column + 2), right);
  }
  return catmull_rom(line[0], line[1], line[2], line[3], up);
}

}  // namespace detection::geolocate
