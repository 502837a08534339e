#include "http/routes.hpp"
namespace detection::http {
const std::string_view kOpenApiDocument = "{}";
}
