#pragma once
// `tak enroll`, `tak import` and `tak probe`. Exit codes as in commands.hpp.

#include <string>

namespace detection::app {

struct TakEnrollArguments {
  std::string url;
  std::string username;
  std::string password_file;
  bool password_stdin = false;
  std::string output;
  std::string ca_file;
  std::string pin_sha256;
  std::string renew_before;  ///< empty: enrol in any case
  std::string client_uid = "detection-api";
  bool json = false;
};
int tak_enroll(const TakEnrollArguments& arguments);

struct TakImportArguments {
  std::string file;
  std::string output;
  bool json = false;
};
int tak_import(const TakImportArguments& arguments);

struct TakProbeArguments {
  std::string url;  ///< empty: the endpoint of the credentials
  std::string credentials;
  std::string timeout = "10s";
  std::string expected_name;
  std::string pin_sha256;
  std::string interface;
  bool json = false;
};
/// 0 only if a feeder would work.
int tak_probe(const TakProbeArguments& arguments);

}  // namespace detection::app
