#pragma once
// Entity tags (RFC 9110 section 8.8.3) of answers whose body depends on nothing but what was asked for.

#include <string>
#include <string_view>

namespace detection::http {

/// A strong tag of a body, with its quotes.
[[nodiscard]] std::string etag_of(std::string_view body);

/// Whether If-None-Match (a list, or *) names the tag, compared weakly (section 13.1.2): then the answer is 304. What
/// is no list of tags names none.
[[nodiscard]] bool names_etag(std::string_view if_none_match, std::string_view etag) noexcept;

}  // namespace detection::http
