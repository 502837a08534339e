# cmake -D INPUT=file -D OUTPUT=file.cpp -P embed_open_api.cmake
file(READ "${INPUT}" text)
if(text MATCHES "\\)open_api\"")
  message(FATAL_ERROR "${INPUT} holds the end mark of the C++ raw string")
endif()
file(WRITE "${OUTPUT}" "// Made from openapi/openapi.json by embed_open_api.cmake.
#include \"http/open_api.hpp\"

namespace detection::http {
const std::string_view kOpenApiDocument = R\"open_api(${text})open_api\";
}  // namespace detection::http
")
