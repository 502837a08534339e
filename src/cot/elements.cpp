#include "cot/elements.hpp"

#include <pugixml.hpp>

namespace detection::cot {
namespace {

std::string_view local(std::string_view name) {
  return name.substr(name.rfind(':') + 1);
}

Element element_of(const pugi::xml_node& node, std::size_t depth) {
  Element out{std::string(local(node.name())), depth, {}, {}};
  for (const auto& attribute : node.attributes())
    out.attributes.emplace(std::string(local(attribute.name())), attribute.value());
  for (const auto& child : node.children())
    if (child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata) out.text += child.value();
  const auto first = out.text.find_first_not_of(" \t\r\n");
  out.text.erase(0, first);
  out.text.erase(out.text.find_last_not_of(" \t\r\n") + 1);
  return out;
}

pugi::xml_node next_element(pugi::xml_node node) {
  while (node && node.type() != pugi::node_element) node = node.next_sibling();
  return node;
}

}  // namespace

Result<std::vector<Element>> read_elements(std::string_view xml, const MarkupLimits& limits) {
  if (const auto shape = outline(xml, limits); !shape) return std::unexpected(shape.error());
  pugi::xml_document document;
  const auto parsed = document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_utf8);
  if (!parsed) return fail(ErrorCode::kValidationFailed, std::string("not well-formed XML: ") + parsed.description());
  std::vector<Element> out;
  std::size_t depth = 0;
  for (auto node = next_element(document.first_child()); node;) {
    out.push_back(element_of(node, depth));
    if (auto child = next_element(node.first_child())) {
      node = child;
      ++depth;
      continue;
    }
    auto next = next_element(node.next_sibling());
    while (!next && depth > 0) {
      node = node.parent();
      --depth;
      next = next_element(node.next_sibling());
    }
    node = next;
  }
  return out;
}

}  // namespace detection::cot
