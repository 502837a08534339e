#include "store/backup/rows.hpp"

#include <openssl/evp.h>

#include <bit>
#include <cstdlib>
#include <limits>
#include <optional>

namespace detection::store::backup {
namespace {

/// PostgreSQL's driver fetches a result whole; SQLite steps through one statement, for which no slice is too long.
constexpr std::int64_t kSliceRows = 2'000;
constexpr std::size_t kPendingBytes = 256 << 10;

void put(std::string& out, std::uint64_t value) {
  char bytes[8];
  for (unsigned i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  out.append(bytes, sizeof bytes);
}

/// The key of the row that was read last, as its own.
struct KeyValue {
  Kind kind;
  std::int64_t integer;
  std::string text;
};

std::string slice_text(const Table& table, bool first) {
  std::string sql = "SELECT " + table.column_names() + " FROM " + table.name;
  if (!first) {
    sql += " WHERE (" + table.key_names() + ") > (";
    for (int i = 0; i < table.key_columns; ++i) sql += i == 0 ? "?" : ", ?";
    sql += ")";
  }
  return sql + " ORDER BY " + table.key_names() + " LIMIT ?";
}

Value value_at(const sql::Query& q, int column, Kind kind) {
  Value value{.kind = kind, .null = q.is_null(column)};
  if (value.null) return value;
  switch (kind) {
    case Kind::kInteger: value.integer = q.integer(column); break;
    case Kind::kReal: value.real = q.real(column); break;
    case Kind::kText: value.text = q.text(column); break;
    case Kind::kBytes: {
      const auto bytes = q.bytes(column);
      value.text = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
      break;
    }
  }
  return value;
}

}  // namespace

RunningSha256::RunningSha256() : context_(EVP_MD_CTX_new()) {
  // Without memory or without SHA-256 there is no snapshot.
  if (context_ == nullptr || EVP_DigestInit_ex(context_, EVP_sha256(), nullptr) != 1) std::abort();
}

RunningSha256::~RunningSha256() {
  EVP_MD_CTX_free(context_);
}

void RunningSha256::add(std::string_view bytes) {
  if (EVP_DigestUpdate(context_, bytes.data(), bytes.size()) != 1) std::abort();
}

Sha256 RunningSha256::so_far() const {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> copy(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  Sha256 out;
  if (!copy || EVP_MD_CTX_copy_ex(copy.get(), context_) != 1 ||
      EVP_DigestFinal_ex(copy.get(), out.data(), nullptr) != 1)
    std::abort();
  return out;
}

void ContentDigest::add(Row row) {
  for (const auto& value : row) {
    pending_.push_back(value.null ? '\0' : static_cast<char>(value.kind));
    if (value.null) continue;
    switch (value.kind) {
      case Kind::kInteger: put(pending_, static_cast<std::uint64_t>(value.integer)); break;
      case Kind::kReal: put(pending_, std::bit_cast<std::uint64_t>(value.real + 0.0)); break;
      case Kind::kText:
      case Kind::kBytes:
        put(pending_, value.text.size());
        pending_.append(value.text);
        break;
    }
  }
  ++rows_;
  if (pending_.size() < kPendingBytes) return;
  sha256_.add(pending_);
  pending_.clear();
}

Content ContentDigest::finish() {
  sha256_.add(pending_);
  pending_.clear();
  return {rows_, sha256_.so_far()};
}

Result<void> read_rows(sql::Database& db, const Table& table, const EachRow& each) {
  const auto limit = db.is_postgres() ? kSliceRows : std::numeric_limits<std::int64_t>::max();
  std::vector<Value> row(table.columns.size());
  std::vector<KeyValue> key;
  while (true) {
    auto q = db.query(slice_text(table, key.empty()));
    for (const auto& part : key) {
      if (part.kind == Kind::kInteger)
        q.bind(part.integer);
      else
        q.bind(std::string_view(part.text));
    }
    q.bind(limit);
    std::int64_t read = 0;
    std::vector<KeyValue> last;
    while (true) {
      auto there = q.step();
      if (!there) return std::unexpected(std::move(there.error()));
      if (!*there) break;
      for (std::size_t i = 0; i < row.size(); ++i) row[i] = value_at(q, static_cast<int>(i), table.columns[i].kind);
      if (++read == limit)
        for (int i = 0; i < table.key_columns; ++i) {
          const auto& part = row[static_cast<std::size_t>(i)];
          last.push_back({part.kind, part.integer, std::string(part.text)});
        }
      if (auto done = each(row); !done) return done;
    }
    if (read < limit) return {};
    key = std::move(last);
  }
}

}  // namespace detection::store::backup
