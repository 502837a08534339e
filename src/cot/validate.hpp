#pragma once
// Is this an event that conformant CoT software takes? The rules of the MITRE event schema 2.0, the sub-schemas of TAK
// and what its programs were seen to refuse, written down a second time, without the writer's constants and code, as
// the check of everything that we emit. Strict: it knows the elements that we use and refuses a form that we never
// write even where others would read it.

#include <string>
#include <string_view>
#include <vector>

namespace detection::cot {

/// Each broken rule in words; empty for a valid event. For tests and the `doctor` kind of command: not quick.
[[nodiscard]] std::vector<std::string> violations(std::string_view xml);

}  // namespace detection::cot
