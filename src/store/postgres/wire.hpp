#pragma once
// Numbers in network order, and the OIDs of the types that this driver knows (PostgreSQL's pg_type.dat).

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace detection::store::postgres {

namespace oid {
inline constexpr unsigned kUnknown = 0, kBool = 16, kBytea = 17, kChar = 18, kName = 19, kInt8 = 20, kInt2 = 21,
                          kInt4 = 23, kText = 25, kOid = 26, kXid = 28, kJson = 114, kFloat4 = 700, kFloat8 = 701,
                          kUnknownText = 705, kByteaArray = 1001, kTextArray = 1009, kInt8Array = 1016,
                          kFloat8Array = 1022, kBpchar = 1042, kVarchar = 1043, kNumeric = 1700, kVoid = 2278,
                          kUuid = 2950, kUuidArray = 2951, kXid8 = 5069;
}  // namespace oid

template <class Number>
void put_big_endian(char* to, Number value) {
  const auto bits = static_cast<std::make_unsigned_t<Number>>(value);
  for (std::size_t i = 0; i < sizeof bits; ++i) to[i] = static_cast<char>((bits >> (8 * (sizeof bits - 1 - i))) & 0xff);
}

template <class Number>
[[nodiscard]] Number get_big_endian(const char* from) {
  std::make_unsigned_t<Number> bits = 0;
  for (std::size_t i = 0; i < sizeof bits; ++i)
    bits = static_cast<decltype(bits)>((bits << 8) | static_cast<unsigned char>(from[i]));
  return static_cast<Number>(bits);
}

}  // namespace detection::store::postgres
