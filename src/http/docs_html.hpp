#pragma once
// Reading the document, and writing it as HTML: what docs_page.cpp is made of. Everything written is escaped.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/json_walk.hpp"

namespace detection::http::docs {

namespace dom = simdjson::dom;
using Member = std::pair<std::string_view, dom::element>;

// What is not there is empty.
[[nodiscard]] std::string_view text_at(dom::element from, std::string_view pointer);
[[nodiscard]] std::vector<dom::element> array_at(dom::element from, std::string_view pointer);
[[nodiscard]] std::vector<Member> members_at(dom::element from, std::string_view pointer);
/// "NotFound" of "#/components/responses/NotFound".
[[nodiscard]] std::string_view last_of(std::string_view reference);

void append_text(std::string& out, std::string_view plain);
/// `code` becomes code, an empty line a new paragraph.
void append_prose(std::string& out, std::string_view words);
void append_code(std::string& out, std::string_view plain);
/// To the place on the page that is called "kind-name".
void append_link(std::string& out, std::string_view kind, std::string_view name);
/// JSON; what fits in a line stays on it.
void append_pretty(std::string& out, dom::element value, std::size_t depth = 0);
/// The limits of a schema in one line: type, words, ranges, pattern.
void append_rules(std::string& out, dom::element schema);

}  // namespace detection::http::docs
