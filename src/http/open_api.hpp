#pragma once
// openapi/openapi.json, built in (embed_open_api.cmake).

#include <string_view>

namespace detection::http {
extern const std::string_view kOpenApiDocument;
}  // namespace detection::http
