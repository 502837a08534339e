# detection_room(NAME SOURCES a.cpp ... USES room ... LIBRARIES target ...)
#
# A room is one folder of src/ and one static library. Its headers are seen as "<room>/<file>.hpp" through a folder
# of its own that holds nothing but a link to that room, so a room can include only itself and the rooms it uses: a
# wrong include does not compile, a wrong arrow does not link. LIBRARIES are private: no public header shows them.
# tests/unit/source_rules_test.cpp holds each direct include against USES (an arrow that is only inherited is a wrong one).
set_property(GLOBAL PROPERTY DETECTION_ROOMS "")

function(detection_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;USES;LIBRARIES" ${ARGN})
  set(door ${CMAKE_BINARY_DIR}/rooms/${name})
  file(MAKE_DIRECTORY ${door})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${name} ${door}/${name} SYMBOLIC)
  add_library(${name} STATIC ${ROOM_SOURCES})
  target_include_directories(${name} PUBLIC ${door})
  list(TRANSFORM ROOM_USES PREPEND room_ OUTPUT_VARIABLE used)
  target_link_libraries(${name} PUBLIC ${used} PRIVATE ${ROOM_LIBRARIES})
  add_library(room_${name} ALIAS ${name})
  list(JOIN ROOM_USES " " uses)
  list(FILTER ROOM_SOURCES EXCLUDE REGEX "^/") # a generated one is no source of the tree
  list(JOIN ROOM_SOURCES " " sources)
  set_property(GLOBAL APPEND_STRING PROPERTY DETECTION_ROOMS "${name}|${uses}|${sources}\n")
endfunction()

# The rooms as declared, for the source rules: a line "room|uses|sources" for each, in the order of src/CMakeLists.txt.
function(detection_write_rooms)
  get_property(rooms GLOBAL PROPERTY DETECTION_ROOMS)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/rooms.txt CONTENT "${rooms}" @ONLY)
endfunction()
cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR} CALL detection_write_rooms)
