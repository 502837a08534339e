#include "http/docs_html.hpp"

namespace detection::http::docs {

std::string_view text_at(dom::element from, std::string_view pointer) {
  std::string_view found;
  return from.at_pointer(pointer).get_string().get(found) == simdjson::SUCCESS ? found : std::string_view{};
}

std::vector<dom::element> array_at(dom::element from, std::string_view pointer) {
  std::vector<dom::element> all;
  dom::array found;
  if (from.at_pointer(pointer).get_array().get(found) == simdjson::SUCCESS)
    for (const dom::element one : found) all.push_back(one);
  return all;
}

std::vector<Member> members_at(dom::element from, std::string_view pointer) {
  std::vector<Member> all;
  dom::object found;
  if (from.at_pointer(pointer).get_object().get(found) == simdjson::SUCCESS)
    for (const auto one : found) all.emplace_back(one.key, one.value);
  return all;
}

std::string_view last_of(std::string_view reference) {
  return reference.substr(reference.rfind('/') + 1);
}

void append_text(std::string& out, std::string_view plain) {
  for (const char c : plain) {
    switch (c) {
      case '&': out.append("&amp;"); break;
      case '<': out.append("&lt;"); break;
      case '>': out.append("&gt;"); break;
      case '"': out.append("&quot;"); break;
      default: out.push_back(c);
    }
  }
}

void append_prose(std::string& out, std::string_view words) {
  bool code = false;
  out.append("<p>");
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == '`') {
      code = !code;
      out.append(code ? "<code>" : "</code>");
    } else if (words.substr(i).starts_with("\n\n")) {
      out.append("</p>\n<p>");
      ++i;
    } else {
      append_text(out, words.substr(i, 1));
    }
  }
  out.append("</p>\n");
}

void append_code(std::string& out, std::string_view plain) {
  out.append("<code>");
  append_text(out, plain);
  out.append("</code>");
}

void append_link(std::string& out, std::string_view kind, std::string_view name) {
  out.append("<a href=\"#").append(kind).append("-").append(name).append("\">").append(name).append("</a>");
}

void append_pretty(std::string& out, dom::element value, std::size_t depth) {
  static constexpr std::size_t kLine = 80;
  const std::string flat = simdjson::minify(value);
  dom::object object;
  dom::array array;
  const bool is_object = value.get_object().get(object) == simdjson::SUCCESS;
  const bool is_array = value.get_array().get(array) == simdjson::SUCCESS;
  if (flat.size() <= kLine || !(is_object || is_array)) return append_text(out, flat);
  bool first = true;
  const auto next_line = [&] {
    if (!first) out.push_back(',');
    first = false;
    out.append("\n").append((depth + 1) * 2, ' ');
  };
  out.push_back(is_object ? '{' : '[');
  if (is_object) {
    for (const auto one : object) {
      next_line();
      append_text(out, "\"" + std::string(one.key) + "\": ");
      append_pretty(out, one.value, depth + 1);
    }
  } else {
    for (const dom::element one : array) {
      next_line();
      append_pretty(out, one, depth + 1);
    }
  }
  out.append("\n").append(depth * 2, ' ').push_back(is_object ? '}' : ']');
}

void append_rules(std::string& out, dom::element schema) {
  static constexpr std::string_view kShown[] = {
      "type",      "format",    "enum",    "const",           "minimum",      "exclusiveMinimum", "maximum",
      "minLength", "maxLength", "pattern", "minItems",        "maxItems",     "uniqueItems",      "default",
      "oneOf",     "anyOf",     "items",   "contentEncoding", "contentSchema"};
  out.append(" <span class=\"rule\">");
  if (const auto reference = text_at(schema, "/$ref"); !reference.empty())
    append_link(out, "schema", last_of(reference));
  for (const auto key : kShown) {
    dom::element value;
    if (schema.at_pointer("/" + std::string(key)).get(value) != simdjson::SUCCESS) continue;
    const auto reference = text_at(value, "/$ref");
    out.append(" ").append(key).append(" ");
    if (reference.empty())
      append_code(out, simdjson::minify(value));
    else
      append_link(out, "schema", last_of(reference));
  }
  out.append("</span>");
}

}  // namespace detection::http::docs
