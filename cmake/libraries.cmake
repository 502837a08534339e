# Libraries, all from Debian 12 (scripts/packages). Each belongs to the rooms that name it.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(simdjson REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(pugixml REQUIRED)
find_package(Protobuf REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(cjose REQUIRED IMPORTED_TARGET cjose)
pkg_check_modules(jansson REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(libzip REQUIRED IMPORTED_TARGET libzip)
pkg_check_modules(libpq REQUIRED IMPORTED_TARGET libpq)

# Asio and Beast compiled once (their "separate compilation"), not in every file that includes them.
add_library(boost_network STATIC ${CMAKE_SOURCE_DIR}/cmake/boost_network.cpp)
target_compile_definitions(boost_network PUBLIC BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
                                                BOOST_ASIO_NO_DEPRECATED)
target_compile_options(boost_network PRIVATE -w)
target_link_libraries(boost_network PUBLIC Boost::headers Threads::Threads)
