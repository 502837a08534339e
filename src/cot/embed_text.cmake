# cmake -D INPUT=file -D OUTPUT=file.cpp -P embed_text.cmake
file(READ "${INPUT}" text)
if(text MATCHES "\\)class_map\"")
  message(FATAL_ERROR "${INPUT} holds the end mark of the C++ raw string")
endif()
file(WRITE "${OUTPUT}" "// Made from data/cot/class_map.txt by embed_text.cmake.
#include \"cot/class_map.hpp\"

namespace detection::cot {
const std::string_view kBuiltInClassMap = R\"class_map(${text})class_map\";
}  // namespace detection::cot
")
