#include "store/postgres/binary_format.hpp"

#include <array>
#include <bit>
#include <cassert>

#include "store/postgres/wire.hpp"

namespace detection::store::postgres {
namespace {

using namespace std::string_view_literals;

constexpr auto kSignature = "PGCOPY\n\377\r\n\0"sv;
constexpr std::int32_t kNull = -1;
constexpr std::size_t kArrayHeader = 20;  // dimensions, has nulls, element type, size, first index

template <class Number>
void append(std::string& data, Number value) {
  std::array<char, sizeof value> raw;
  put_big_endian(raw.data(), value);
  data.append(raw.data(), raw.size());
}

void append_field(std::string& data, std::int64_t value) {
  append(data, std::int32_t{sizeof value});
  append(data, value);
}

void append_field(std::string& data, const char* bytes, std::size_t size) {
  append(data, static_cast<std::int32_t>(size));
  if (size > 0) data.append(bytes, size);
}

const char* chars(std::span<const std::uint8_t> bytes) {
  return reinterpret_cast<const char*>(bytes.data());
}

}  // namespace

void CopyBuffer::clear() {
  data_.assign(kSignature);
  append(data_, std::int32_t{0});  // flags
  append(data_, std::int32_t{0});  // no extension of the header
  rows_ = 0;
  nul_ = finished_ = false;
}

void CopyBuffer::begin_row(int columns) {
  assert(!finished_);
  append(data_, static_cast<std::int16_t>(columns));
  ++rows_;
}

void CopyBuffer::add(std::int64_t value) {
  append_field(data_, value);
}
void CopyBuffer::add(double value) {
  append_field(data_, std::bit_cast<std::int64_t>(value));
}
void CopyBuffer::add(std::string_view text) {
  nul_ = nul_ || text.contains('\0');
  append_field(data_, text.data(), text.size());
}
void CopyBuffer::add(std::span<const std::uint8_t> bytes) {
  append_field(data_, chars(bytes), bytes.size());
}
void CopyBuffer::add_null() {
  append(data_, kNull);
}

Result<std::span<const char>> CopyBuffer::finish() {
  if (nul_) return fail(ErrorCode::kInternal, "the store refused a record: a text with a NUL");
  if (!finished_) append(data_, std::int16_t{-1});
  finished_ = true;
  return std::span<const char>(data_);
}

void ArrayBuffer::clear() {
  data_.assign(kArrayHeader, '\0');
  size_ = 0;
  null_ = nul_ = false;
}

void ArrayBuffer::add(std::int64_t value) {
  assert(element_ == Element::kInt8);
  append_field(data_, value);
  ++size_;
}
void ArrayBuffer::add(double value) {
  assert(element_ == Element::kFloat8);
  append_field(data_, std::bit_cast<std::int64_t>(value));
  ++size_;
}
void ArrayBuffer::add(std::string_view text) {
  assert(element_ == Element::kText);
  nul_ = nul_ || text.contains('\0');
  append_field(data_, text.data(), text.size());
  ++size_;
}
void ArrayBuffer::add(std::span<const std::uint8_t> bytes) {
  assert(element_ == Element::kBytea || element_ == Element::kUuid);
  append_field(data_, chars(bytes), bytes.size());
  ++size_;
}
void ArrayBuffer::add_null() {
  append(data_, kNull);
  null_ = true;
  ++size_;
}

unsigned ArrayBuffer::type() const noexcept {
  switch (element_) {
    case Element::kInt8: return oid::kInt8Array;
    case Element::kFloat8: return oid::kFloat8Array;
    case Element::kText: return oid::kTextArray;
    case Element::kBytea: return oid::kByteaArray;
    case Element::kUuid: return oid::kUuidArray;
  }
  return oid::kUnknown;
}

std::span<const char> ArrayBuffer::data() {
  static constexpr std::array kOids{oid::kInt8, oid::kFloat8, oid::kText, oid::kBytea, oid::kUuid};
  char* const header = data_.data();
  put_big_endian(header, std::int32_t{size_ == 0 ? 0 : 1});
  put_big_endian(header + 4, std::int32_t{null_ ? 1 : 0});
  put_big_endian(header + 8, static_cast<std::int32_t>(kOids.at(static_cast<std::size_t>(element_))));
  put_big_endian(header + 12, static_cast<std::int32_t>(size_));
  put_big_endian(header + 16, std::int32_t{1});
  // An array of no dimension has neither size nor first index.
  return {data_.data(), size_ == 0 ? std::size_t{12} : data_.size()};
}

}  // namespace detection::store::postgres
