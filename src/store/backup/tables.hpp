#pragma once
// What a snapshot holds: the tables of the record with their columns, the same in both engines. A table that is only
// of one engine or one process (leases, probes, shared limits) is named as left out: a test holds both lists against
// the schemas, so that no migration forgets the backup.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "detection/error.hpp"

namespace detection::store::backup {

/// The letters stand in manifests.
enum class Kind : char { kInteger = 'i', kReal = 'r', kText = 't', kBytes = 'b' };

struct Column {
  std::string name;
  Kind kind = Kind::kInteger;
  friend bool operator==(const Column&, const Column&) = default;
};

struct Table {
  std::string name;
  int key_columns = 1;  ///< so many of the first columns are its primary key; rows are read in their order
  std::vector<Column> columns;

  [[nodiscard]] std::string column_names() const;  ///< "a, b, c"
  [[nodiscard]] std::string key_names() const;
  friend bool operator==(const Table&, const Table&) = default;
};

/// Of the newest schema, in the order in which they are written.
[[nodiscard]] const std::vector<Table>& tables();
/// Tables of either engine that are no part of the record.
[[nodiscard]] std::span<const std::string_view> left_out();

/// "seq:i id:b ...", as a manifest has it. kValidationFailed: it is none.
[[nodiscard]] std::string columns_text(const Table& table);
[[nodiscard]] Result<std::vector<Column>> parse_columns(std::string_view text);

}  // namespace detection::store::backup
