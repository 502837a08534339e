// tak import: a credentials folder from a connection data package.

#include <cstdio>
#include <fstream>
#include <iostream>

#include "app/commands.hpp"
#include "app/tak_commands.hpp"
#include "detection/json_writer.hpp"
#include "tak/credentials.hpp"
#include "tak/data_package.hpp"

namespace detection::app {
namespace {

int failed(const std::string& why) {
  std::fprintf(stderr, "detection-api: %s\n", why.c_str());
  return kFailed;
}

/// One byte more than a package may have.
std::string read_all(std::istream& in) {
  std::string bytes(tak::PackageLimits{}.zip_bytes + 1, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  return bytes;
}

void print_json(const TakImportArguments& arguments, const tak::ConnectionPackage& package) {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("folder");
  w.string(arguments.output);
  w.key("name");
  w.string(package.name);
  w.key("endpoint");
  w.string(package.endpoint);
  w.key("client_certificate");
  if (package.subject.empty()) {
    w.null();
  } else {
    w.begin_object();
    w.key("subject");
    w.string(package.subject);
    w.key("expires");
    w.string(format_rfc3339_ms(package.expires));
    w.end_object();
  }
  w.key("other_endpoints");
  w.begin_array();
  for (const auto& one : package.others) w.string(one.url);
  w.end_array();
  w.end_object();
  std::printf("%s\n", out.c_str());
}

}  // namespace

int tak_import(const TakImportArguments& arguments) {
  std::string bytes;
  if (arguments.file == "-") {
    bytes = read_all(std::cin);
  } else {
    std::ifstream in(arguments.file, std::ios::binary);
    if (!in) return failed(arguments.file + " cannot be read");
    bytes = read_all(in);
  }
  const auto package = tak::read_data_package(bytes);
  if (!package) return failed(arguments.file + ": " + package.error().detail);
  if (auto written = tak::write_credentials_folder(arguments.output, package->files); !written)
    return failed(written.error().detail);
  if (const auto loaded = tak::load_credentials(arguments.output, system_now()); !loaded)
    return failed(loaded.error().detail);
  else
    for (const auto& warning : (*loaded)->warnings) std::fprintf(stderr, "note: %s\n", warning.c_str());
  if (arguments.json) {
    print_json(arguments, *package);
    return kDone;
  }
  std::printf("--tak-sink %s --tak-credentials %s\n", package->endpoint.c_str(), arguments.output.c_str());
  if (package->subject.empty())
    std::fprintf(stderr, "The package has no client certificate: get one with detection-api tak enroll.\n");
  else
    std::fprintf(stderr, "Certificate of %s, good until %s.\n", package->subject.c_str(),
                 format_rfc3339_ms(package->expires).c_str());
  for (const auto& one : package->others) std::fprintf(stderr, "Also in the package: %s\n", one.url.c_str());
  return kDone;
}

}  // namespace detection::app
