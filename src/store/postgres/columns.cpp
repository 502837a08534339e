#include "store/postgres/columns.hpp"

#include <libpq-fe.h>

#include <bit>
#include <cassert>
#include <limits>

#include "store/postgres/wire.hpp"

namespace detection::store::postgres {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

// numeric_send(): how many digits (of base 10,000), the weight of the first, sign, decimals shown, digits.
struct Numeric {
  explicit Numeric(const char* data)
      : digits(get_big_endian<std::int16_t>(data)),
        weight(get_big_endian<std::int16_t>(data + 2)),
        sign(get_big_endian<std::uint16_t>(data + 4)),
        first(data + 8) {}
  [[nodiscard]] int digit(int index) const {
    return index < digits ? get_big_endian<std::int16_t>(first + 2 * index) : 0;
  }
  [[nodiscard]] bool negative() const { return sign == 0x4000 || sign == 0xF000; }
  [[nodiscard]] bool infinite() const { return sign == 0xD000 || sign == 0xF000; }
  [[nodiscard]] bool nan() const { return sign == 0xC000; }

  int digits, weight;
  std::uint16_t sign;
  const char* first;
};

std::int64_t integer_of(const Numeric& n) {
  if (n.nan()) return 0;
  if (n.infinite()) return n.negative() ? kLeast : kMost;
  // Towards the negative end, which holds one more.
  std::int64_t value = 0;
  for (int i = 0; i <= n.weight; ++i)
    if (__builtin_mul_overflow(value, 10'000, &value) || __builtin_sub_overflow(value, n.digit(i), &value))
      return n.negative() ? kLeast : kMost;
  if (n.negative()) return value;
  return value == kLeast ? kMost : -value;
}

double real_of(const Numeric& n) {
  if (n.nan()) return std::numeric_limits<double>::quiet_NaN();
  double value = n.infinite() ? std::numeric_limits<double>::infinity() : 0;
  for (int i = 0; i < n.digits; ++i) value = value * 10'000 + n.digit(i);
  for (int i = n.weight + 1; i < n.digits; ++i) value /= 10'000;
  for (int i = n.digits; i <= n.weight; ++i) value *= 10'000;
  return n.negative() ? -value : value;
}

std::int64_t cut(double value) {
  if (!(value > -9.3e18)) return value < 0 ? kLeast : 0;  // NaN too
  if (value >= 9223372036854775807.0) return kMost;
  return value < -9223372036854775808.0 ? kLeast : static_cast<std::int64_t>(value);
}

}  // namespace

std::int64_t integer_at(const pg_result* result, int row, int column) noexcept {
  if (PQgetisnull(result, row, column) != 0) return 0;
  const char* const data = PQgetvalue(result, row, column);
  switch (PQftype(result, column)) {
    case oid::kBool: return *data != 0 ? 1 : 0;
    case oid::kInt2: return get_big_endian<std::int16_t>(data);
    case oid::kInt4: return get_big_endian<std::int32_t>(data);
    case oid::kOid:
    case oid::kXid: return get_big_endian<std::uint32_t>(data);
    case oid::kInt8:
    case oid::kXid8: return get_big_endian<std::int64_t>(data);
    case oid::kNumeric: return integer_of(Numeric(data));
    case oid::kFloat4:
    case oid::kFloat8: return cut(real_at(result, row, column));
    default: assert(false && "an integer is read from a column of another type"); return 0;
  }
}

double real_at(const pg_result* result, int row, int column) noexcept {
  if (PQgetisnull(result, row, column) != 0) return 0;
  const char* const data = PQgetvalue(result, row, column);
  switch (PQftype(result, column)) {
    case oid::kFloat8: return std::bit_cast<double>(get_big_endian<std::int64_t>(data));
    case oid::kFloat4: return std::bit_cast<float>(get_big_endian<std::int32_t>(data));
    case oid::kNumeric: return real_of(Numeric(data));
    default: return static_cast<double>(integer_at(result, row, column));
  }
}

std::string_view raw_at(const pg_result* result, int row, int column) noexcept {
  if (PQgetisnull(result, row, column) != 0) return {};
  switch (PQftype(result, column)) {
    case oid::kText:
    case oid::kVarchar:
    case oid::kBpchar:
    case oid::kName:
    case oid::kChar:
    case oid::kJson:
    case oid::kUnknownText:
    case oid::kVoid:
    case oid::kBytea:
    case oid::kUuid:
      return {PQgetvalue(result, row, column), static_cast<std::size_t>(PQgetlength(result, row, column))};
    default: assert(false && "a text is read from a column of another type"); return {};
  }
}

}  // namespace detection::store::postgres
