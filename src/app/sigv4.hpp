#pragma once
// AWS Signature Version 4, for S3 (AWS General Reference, "Create a signed AWS API request"). No I/O.
// libcurl can sign, too, but has signed queries without a value or in another order wrongly (its issues 8107, 9717):
// uploads in parts have both, and which libcurl is on a machine is Debian's choice.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "detection/detection.hpp"
#include "detection/time.hpp"

namespace detection::app {

struct S3Credentials {
  std::string access_key_id, secret_access_key;
  std::string session_token;  ///< of temporary ones; empty: none
};

struct S3Request {
  std::string method;
  std::string host;                              ///< with the port where it is not the scheme's own
  std::string path;                              ///< percent-encoded, from the slash
  std::map<std::string, std::string> query{};    ///< not encoded
  std::map<std::string, std::string> headers{};  ///< lower-case names; all are signed
  std::string payload_sha256;                    ///< hex
};

/// As RFC 3986 has it; a slash stays where `keep_slash`.
[[nodiscard]] std::string percent_encoded(std::string_view text, bool keep_slash);
/// "a=1&b=2" in the order of the names.
[[nodiscard]] std::string query_text(const std::map<std::string, std::string>& query);
[[nodiscard]] std::string sha256_hex(std::string_view bytes);
[[nodiscard]] std::string sha256_base64(std::string_view bytes);
[[nodiscard]] std::string base64(std::string_view bytes);
/// The raw 32 bytes.
[[nodiscard]] std::string sha256_bytes(std::string_view bytes);

/// The headers to send: those of the request, and host, x-amz-date, x-amz-content-sha256, x-amz-security-token,
/// authorization.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> signed_headers(const S3Request& request,
                                                                              const S3Credentials& credentials,
                                                                              std::string_view region, UtcMicros now);

}  // namespace detection::app
