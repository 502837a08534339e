#pragma once
// The whole-element rule of TAK Protocol v1, both ways: which children of <detail> have fields of their own in
// protobuf. For this room only.

#include <tak_message.pb.h>

#include <string>
#include <string_view>

#include "cot/markup.hpp"

namespace detection::cot {

/// `xml` is what stands inside <detail>. An element is typed when it occurs once, has nothing inside, all its
/// attributes have a field and a value that reads back the same, and none is missing that a reader would restore. All
/// else stays in xml_detail as written. kValidationFailed for what parse_xml refuses.
[[nodiscard]] Result<void> split_detail(std::string_view xml, const MarkupLimits& limits, wire::Detail& out);

/// What stands inside <detail>: the typed elements, except those that the XML has as well, then the XML.
/// kValidationFailed for bad XML, and for typed texts that are none (UTF-8, XML's characters).
[[nodiscard]] Result<std::string> join_detail(const wire::Detail& detail, const MarkupLimits& limits);

}  // namespace detection::cot
