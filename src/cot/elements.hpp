#pragma once
// Small XML documents around CoT (TAK's certificate enrolment, connection data packages), as a flat list of their
// elements. The same strictness as for events: these bytes come from outside.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cot/markup.hpp"
#include "detection/error.hpp"

namespace detection::cot {

struct Element {
  std::string name;                                            ///< without a namespace prefix
  std::size_t depth;                                           ///< the root has 0
  std::map<std::string, std::string, std::less<>> attributes;  ///< names without a prefix; the first of equal ones
  std::string text;  ///< right inside it, references resolved, without the space around it
};

/// In the order of their start tags. kValidationFailed for what `outline` (markup.hpp) refuses and for XML that is not
/// well formed.
[[nodiscard]] Result<std::vector<Element>> read_elements(std::string_view xml, const MarkupLimits& limits);

}  // namespace detection::cot
