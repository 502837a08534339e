#include "store/postgres/postgres_statement.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "store/postgres/columns.hpp"
#include "store/postgres/placeholders.hpp"
#include "store/postgres/postgres_connection.hpp"
#include "store/postgres/wire.hpp"

namespace detection::store::postgres {

PostgresStatement::PostgresStatement(PostgresConnection& connection, std::string_view sql, bool kept)
    : connection_(connection), kept_(kept) {
  auto numbered = number_parameters(sql);
  sql_ = std::move(numbered.text);
  parameters_.resize(static_cast<std::size_t>(numbered.parameters));
  known_types_.resize(parameters_.size(), oid::kUnknown);
}

void PostgresStatement::refuse(std::string_view why) {
  if (!refusal_) refusal_ = Error{ErrorCode::kInternal, "the store refused a record: " + std::string(why)};
}

PostgresStatement::Parameter* PostgresStatement::parameter(int index) {
  if (index >= 1 && static_cast<std::size_t>(index) <= parameters_.size())
    return &parameters_[static_cast<std::size_t>(index) - 1];
  refuse("the statement has no such parameter");
  return nullptr;
}

void PostgresStatement::bind(int index, std::int64_t value) {
  if (auto* one = parameter(index)) {
    *one = {oid::kInt8, nullptr, sizeof value, {}};
    put_big_endian(one->number.data(), value);
  }
}

void PostgresStatement::bind(int index, double value) {
  if (auto* one = parameter(index)) {
    *one = {oid::kFloat8, nullptr, sizeof value, {}};
    put_big_endian(one->number.data(), std::bit_cast<std::int64_t>(value));
  }
}

void PostgresStatement::bind_raw(int index, unsigned type, const char* data, std::size_t size) {
  if (size > static_cast<std::size_t>(std::numeric_limits<int>::max())) return refuse("a value is too large");
  // A null pointer would be bound as NULL, not as an empty value.
  if (auto* one = parameter(index)) *one = {type, data == nullptr ? "" : data, static_cast<int>(size), {}};
}

void PostgresStatement::bind(int index, std::string_view text) {
  if (text.contains('\0')) refuse("a text with a NUL");
  bind_raw(index, oid::kText, text.data(), text.size());
}

void PostgresStatement::bind(int index, std::span<const std::uint8_t> bytes) {
  bind_raw(index, oid::kBytea, reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void PostgresStatement::bind(int index, ArrayBuffer& values) {
  if (values.has_nul()) refuse("a text with a NUL");
  const auto data = values.data();
  bind_raw(index, values.type(), data.data(), data.size());
}

void PostgresStatement::bind_null(int index) {
  if (auto* one = parameter(index)) *one = {};
}

void PostgresStatement::reset() noexcept {
  std::ranges::fill(parameters_, Parameter{});
  refusal_.reset();
  pending_.reset();
  result_.reset();
  row_ = -1;
}

const PostgresStatement::Variant* PostgresStatement::fitting() const {
  const auto fits = [&](const Variant& variant) {
    for (std::size_t i = 0; i < parameters_.size(); ++i)
      if (parameters_[i].size >= 0 && parameters_[i].type != variant.types[i]) return false;
    return true;
  };
  const auto found = std::ranges::find_if(variants_, fits);
  return found == variants_.end() ? nullptr : &*found;
}

std::vector<unsigned> PostgresStatement::types_to_prepare() {
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    if (parameters_[i].size >= 0) known_types_[i] = parameters_[i].type;
  return known_types_;
}

Result<bool> PostgresStatement::step() {
  if (!result_) {
    PostgresStatement* const self = this;
    if (auto done = connection_.run_together({&self, 1}); !done) return std::unexpected(std::move(done.error()));
  }
  if (row_ + 1 >= rows()) {
    row_ = rows();
    return false;
  }
  ++row_;
  return true;
}

int PostgresStatement::rows() const noexcept {
  return result_ ? PQntuples(result_.get()) : 0;
}

std::int64_t PostgresStatement::integer(int column) const noexcept {
  return integer_at(result_.get(), row_, column);
}
double PostgresStatement::real(int column) const noexcept {
  return real_at(result_.get(), row_, column);
}
std::string_view PostgresStatement::text(int column) const noexcept {
  return raw_at(result_.get(), row_, column);
}
std::span<const std::uint8_t> PostgresStatement::bytes(int column) const noexcept {
  const auto raw = raw_at(result_.get(), row_, column);
  return {reinterpret_cast<const std::uint8_t*>(raw.data()), raw.size()};
}
bool PostgresStatement::is_null(int column) const noexcept {
  return PQgetisnull(result_.get(), row_, column) != 0;
}

}  // namespace detection::store::postgres
