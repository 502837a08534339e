#pragma once
// The outline of an XML document, checked before a parser builds anything from it: pugixml accepts invalid UTF-8,
// control characters, a second root and text behind the root, and has no limit of depth.

#include <cstddef>
#include <string_view>

#include "detection/error.hpp"

namespace detection::cot {

struct MarkupLimits {
  std::size_t bytes = 64u << 10;
  std::size_t depth = 64;       ///< elements inside each other, the root counted
  std::size_t attributes = 64;  ///< of one element
};

struct Outline {
  std::size_t details = 0;       ///< <detail> elements right under the root
  std::string_view detail_text;  ///< what stands between the tags of the first, as written
};

/// kValidationFailed for what is over a limit, no UTF-8, holds a character or a reference that XML 1.0 does not allow,
/// a DOCTYPE (so no entities of anybody's own), or has not exactly one root with nothing but comments around it.
/// Whether tags match and attributes are well formed is left to the parser. Linear in the text.
[[nodiscard]] Result<Outline> outline(std::string_view text, const MarkupLimits& limits);

}  // namespace detection::cot
