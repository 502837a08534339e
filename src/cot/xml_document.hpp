#pragma once
// XML from outside as a tree, with all that pugixml does not look at looked at. For this room only.

#include <optional>
#include <pugixml.hpp>
#include <string_view>

#include "cot/markup.hpp"

namespace detection::cot {

/// Builds `document` from a copy of `xml`. kValidationFailed for what `outline` refuses, tags that do not match, and an
/// attribute stated twice. `flags` are pugixml's.
[[nodiscard]] Result<Outline> parse_xml(std::string_view xml, const MarkupLimits& limits, pugi::xml_document& document,
                                        unsigned int flags = pugi::parse_default);

/// The whole text as a finite number; an exponent and a plus sign are taken.
[[nodiscard]] std::optional<double> read_number(std::string_view text) noexcept;

}  // namespace detection::cot
