#pragma once
// The query of GET /api/v1/detections.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "detection/error.hpp"
#include "store/store.hpp"

namespace detection::http {

inline constexpr std::size_t kListMost = 1'000, kListDefault = 100;

struct ListQuery {
  store::ListFilter filter{};
  std::optional<std::int64_t> before{};  ///< from the cursor
  std::size_t limit = kListDefault;
};

/// kValidationFailed with every parameter that is unknown, given twice or out of its range. '+' stands for itself, so
/// that the offset of a time need not be escaped.
[[nodiscard]] Result<ListQuery> parse_list_query(std::string_view query);

/// The query of GET /api/v1/delivery/{sink}/dead-letters; no filter.
[[nodiscard]] Result<ListQuery> parse_dead_letter_query(std::string_view query);

/// west,south,east,north in degrees.
[[nodiscard]] std::optional<store::BoundingBox> parse_bounding_box(std::string_view text) noexcept;

/// Where a list goes on, as text that says nothing to its holder.
[[nodiscard]] std::string make_cursor(std::int64_t before);
[[nodiscard]] std::optional<std::int64_t> parse_cursor(std::string_view text) noexcept;

}  // namespace detection::http
