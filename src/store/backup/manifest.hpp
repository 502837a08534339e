#pragma once
// What a snapshot says of itself: written behind its pages as JSON, checked against them.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "detection/detection.hpp"
#include "detection/time.hpp"
#include "store/backup/rows.hpp"

namespace detection::store::backup {

inline constexpr std::int64_t kFormat = 1;

struct Part {
  Table table;
  Content content;
  friend bool operator==(const Part&, const Part&) = default;
};

/// The end of an audit chain.
struct ChainEnd {
  std::string name;
  std::int64_t record = 0;  ///< number of its last record within it; 0: it has none
  std::string sha256;       ///< hex, of that record; empty without one
  friend bool operator==(const ChainEnd&, const ChainEnd&) = default;
};

struct Manifest {
  std::int64_t format = kFormat;
  UtcMicros made{};
  std::string engine{};             ///< it was made from: "sqlite" or "postgres"
  std::int64_t schema_version = 0;  ///< of the embedded engine, whose tables the pages hold
  std::int64_t pages_bytes = 0;
  std::string pages_sha256{};      ///< hex
  std::vector<Part> parts{};       ///< every table
  std::vector<ChainEnd> chains{};  ///< by number

  [[nodiscard]] std::int64_t rows(std::string_view table) const noexcept;  ///< 0: there is no such part
};

[[nodiscard]] std::string manifest_json(const Manifest& manifest);
/// kValidationFailed: it is none, or of a newer format.
[[nodiscard]] Result<Manifest> parse_manifest(std::string_view json);

}  // namespace detection::store::backup
