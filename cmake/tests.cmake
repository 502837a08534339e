# Tests, fuzz targets and benchmarks; a room declares its own beside its sources.

# detection_test(NAME SOURCES x_test.cpp ... USES room ... [LIBRARIES target ...] [ARGUMENTS text ...] [LABELS ...])
function(detection_test name)
  if(NOT DETECTION_TESTS)
    return()
  endif()
  cmake_parse_arguments(TEST "" "TIMEOUT" "SOURCES;USES;LIBRARIES;LABELS" ${ARGN})
  find_package(GTest REQUIRED)
  find_package(rapidcheck QUIET)
  find_package(nlohmann_json REQUIRED)
  add_executable(${name} ${TEST_SOURCES})
  list(TRANSFORM TEST_USES PREPEND room_ OUTPUT_VARIABLE used)
  target_link_libraries(${name} PRIVATE ${used} ${TEST_LIBRARIES} GTest::gtest_main GTest::gmock
                                        nlohmann_json::nlohmann_json)
  configure_file(${CMAKE_SOURCE_DIR}/tests/test_paths.hpp.in ${CMAKE_BINARY_DIR}/test_paths/test_paths.hpp @ONLY)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests ${CMAKE_BINARY_DIR}/test_paths)
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 300)
  endif()
  include(GoogleTest)
  # PRE_TEST: the list of cases is read when ctest runs, not at each link.
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${TEST_TIMEOUT} LABELS "${TEST_LABELS}")
endfunction()

# detection_fuzzer(NAME SOURCES x.cpp USES room ... [CORPUS folder]): a libFuzzer target, run by ./test.
function(detection_fuzzer name)
  if(NOT DETECTION_FUZZ)
    return()
  endif()
  cmake_parse_arguments(FUZZ "" "" "SOURCES;USES;LIBRARIES" ${ARGN})
  add_executable(${name} ${FUZZ_SOURCES})
  list(TRANSFORM FUZZ_USES PREPEND room_ OUTPUT_VARIABLE used)
  target_link_libraries(${name} PRIVATE ${used} ${FUZZ_LIBRARIES})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endfunction()

# detection_benchmark(NAME SOURCES x.cpp USES room ...): a Google Benchmark program.
function(detection_benchmark name)
  if(NOT DETECTION_BENCH)
    return()
  endif()
  cmake_parse_arguments(BENCH "" "" "SOURCES;USES;LIBRARIES" ${ARGN})
  find_package(benchmark REQUIRED)
  add_executable(${name} ${BENCH_SOURCES})
  list(TRANSFORM BENCH_USES PREPEND room_ OUTPUT_VARIABLE used)
  target_link_libraries(${name} PRIVATE ${used} ${BENCH_LIBRARIES} benchmark::benchmark)
endfunction()
