#pragma once
// PostgreSQL's binary formats as a client writes them: rows for COPY ... FROM STDIN (FORMAT binary), and arrays. The
// columns must have exactly the types that are written: bigint, double precision, text (or varchar), bytea (or uuid, of
// 16 bytes); nothing is cast. Source: PostgreSQL's manual, COPY, "Binary Format"; array_recv() for arrays.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "detection/error.hpp"

namespace detection::store::postgres {

/// Rows, for PostgresConnection::copy_in. Kept and cleared, it keeps its memory.
class CopyBuffer {
 public:
  CopyBuffer() { clear(); }
  void begin_row(int columns);  ///< so many must be added before the next row
  void add(std::int64_t value);
  void add(double value);
  void add(std::string_view text);
  void add(std::span<const std::uint8_t> bytes);
  void add_null();
  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return data_.size(); }
  /// Valid until the next change; kInternal when a text has a NUL, which PostgreSQL cannot hold.
  [[nodiscard]] Result<std::span<const char>> finish();
  void clear();

 private:
  std::string data_;
  std::size_t rows_ = 0;
  bool nul_ = false, finished_ = false;
};

enum class Element : std::uint8_t { kInt8, kFloat8, kText, kBytea, kUuid };

/// The values of one array parameter, as for `= ANY($1)` and unnest($1, $2, ...). Kept and cleared, it keeps its
/// memory.
class ArrayBuffer {
 public:
  explicit ArrayBuffer(Element element) : element_(element) { clear(); }
  // The kind must be the array's.
  void add(std::int64_t value);
  void add(double value);
  void add(std::string_view text);
  void add(std::span<const std::uint8_t> bytes);
  void add_null();
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  void clear();

  // For PostgresStatement::bind.
  [[nodiscard]] unsigned type() const noexcept;  ///< the OID of the array's type
  [[nodiscard]] std::span<const char> data();    ///< valid until the next change
  [[nodiscard]] bool has_nul() const noexcept { return nul_; }

 private:
  Element element_;
  std::string data_;
  std::size_t size_ = 0;
  bool null_ = false, nul_ = false;
};

}  // namespace detection::store::postgres
