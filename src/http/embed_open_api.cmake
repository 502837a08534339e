# cmake -D FOLDER=openapi -D OUTPUT=file.cpp -P embed_open_api.cmake
# The hand-written parts of the API's description as C++ constants, so that the service needs no file.
set(constants "")
foreach(part schemas:kAnswerSchemas examples:kExamples)
  string(REPLACE ":" ";" part ${part})
  list(GET part 0 file)
  list(GET part 1 name)
  file(READ "${FOLDER}/${file}.json" text)
  string(STRIP "${text}" text)
  if(text MATCHES "\\)open_api\"")
    message(FATAL_ERROR "${file}.json holds the end mark of the C++ raw string")
  endif()
  string(APPEND constants "const std::string_view ${name} = R\"open_api(${text})open_api\";\n")
endforeach()
file(WRITE "${OUTPUT}" "// Made from ${FOLDER} by embed_open_api.cmake.
#include \"http/open_api_parts.hpp\"

namespace detection::http {
${constants}}  // namespace detection::http
")
