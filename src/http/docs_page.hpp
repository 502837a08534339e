#pragma once
// /docs: /openapi.json as one page of HTML for people. No script, and nothing is asked of any other place.

#include <string>

namespace detection::http {

struct DocsPage {
  std::string html;
  std::string content_security_policy;  ///< allows the page's own style sheet, by its hash, and nothing else
};
/// Made at the first call; any thread.
[[nodiscard]] const DocsPage& docs_page();

}  // namespace detection::http
