#pragma once
// Media types in headers: Content-Type and Accept (RFC 9110 sections 8.3 and 12.5.1).

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace detection::http {

/// True for `type` alone or with charset=utf-8; no other parameter.
[[nodiscard]] bool is_media_type(std::string_view content_type, std::string_view type) noexcept;

/// Which of `offers` (best first) the client likes best; the first for no Accept. None when it takes none of them.
[[nodiscard]] std::optional<std::size_t> choose_media_type(std::string_view accept,
                                                           std::span<const std::string_view> offers) noexcept;

[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

}  // namespace detection::http
