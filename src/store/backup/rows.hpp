#pragma once
// Rows of the record on their way from one place to another, and what is known of a table by its rows: how many, and
// one SHA-256 over all of them in the order of their key. The hash is of values, not of an engine's bytes: two stores
// hold the same when their tables have the same.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "detection/detection.hpp"
#include "store/backup/tables.hpp"
#include "store/sql/connection.hpp"

struct evp_md_ctx_st;

namespace detection::store::backup {

/// Borrowed from the statement it was read by.
struct Value {
  Kind kind = Kind::kInteger;
  bool null = false;
  std::int64_t integer = 0;
  double real = 0;
  std::string_view text{};  ///< of texts and of bytes
  [[nodiscard]] std::span<const std::uint8_t> bytes() const {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
  }
};
using Row = std::span<const Value>;
using EachRow = std::function<Result<void>(Row row)>;

/// SHA-256 over what comes piece by piece.
class RunningSha256 {
 public:
  RunningSha256();
  ~RunningSha256();
  RunningSha256(const RunningSha256&) = delete;
  RunningSha256& operator=(const RunningSha256&) = delete;
  void add(std::string_view bytes);
  [[nodiscard]] Sha256 so_far() const;  ///< more may follow

 private:
  evp_md_ctx_st* context_;
};

struct Content {
  std::int64_t rows = 0;
  Sha256 sha256{};
  friend bool operator==(const Content&, const Content&) = default;
};

/// Each value as one letter of its kind (0 for NULL) and itself: numbers as 8 bytes little-endian, texts and byte
/// strings behind their length. A negative zero counts as zero: SQLite keeps none.
class ContentDigest {
 public:
  void add(Row row);
  [[nodiscard]] Content finish();

 private:
  RunningSha256 sha256_;
  std::string pending_;
  std::int64_t rows_ = 0;
};

/// Every row of a table in the order of its key. Within a transaction that reads one snapshot it is that snapshot's.
[[nodiscard]] Result<void> read_rows(sql::Database& db, const Table& table, const EachRow& each);

}  // namespace detection::store::backup
