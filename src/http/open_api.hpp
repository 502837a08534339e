#pragma once
// The API's own description (OpenAPI 3.1), written from the tables that the routes check requests by, so that it says
// what they do.

#include <string>

namespace detection::http {

/// The document of /openapi.json. Made at the first call; any thread.
[[nodiscard]] const std::string& open_api_document();

}  // namespace detection::http
