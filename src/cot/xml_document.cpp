#include "cot/xml_document.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <vector>

namespace detection::cot {
namespace {

std::unexpected<Error> refuse(std::string why) {
  return fail(ErrorCode::kValidationFailed, std::move(why));
}

/// `names` is room for the names, kept from one element to the next.
bool states_an_attribute_twice(const pugi::xml_node& element, std::vector<std::string_view>& names) {
  names.clear();
  for (auto attribute = element.first_attribute(); attribute; attribute = attribute.next_attribute()) {
    const std::string_view name = attribute.name();
    // At most MarkupLimits::attributes of them, mostly of different lengths: a set is not quicker.
    if (std::ranges::find(names, name) != names.end()) return true;
    names.push_back(name);
  }
  return false;
}

/// Over all elements, without recursion.
bool any_attribute_twice(const pugi::xml_node& root) {
  std::vector<std::string_view> names;
  for (auto node = root; node;) {
    if (states_an_attribute_twice(node, names)) return true;
    if (node.first_child()) {
      node = node.first_child();
      continue;
    }
    while (node != root && !node.next_sibling()) node = node.parent();
    if (node == root) return false;
    node = node.next_sibling();
  }
  return false;
}

}  // namespace

Result<Outline> parse_xml(std::string_view xml, const MarkupLimits& limits, pugi::xml_document& document,
                          unsigned int flags) {
  auto shape = outline(xml, limits);
  if (!shape) return shape;
  const auto parsed = document.load_buffer(xml.data(), xml.size(), flags, pugi::encoding_utf8);
  if (!parsed) return refuse(std::string("not well-formed XML: ") + parsed.description());
  if (any_attribute_twice(document.document_element())) return refuse("an attribute is stated twice");
  return shape;
}

std::optional<double> read_number(std::string_view text) noexcept {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace detection::cot
