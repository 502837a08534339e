#pragma once
// Copies of files in an S3 bucket: put there in one piece or in parts, each retried, then held against the file.
// Nothing is overwritten on purpose and nothing deleted: a role that can only write and read is enough, and a bucket
// under object lock will do (every piece carries its checksum, which such a bucket asks for).

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "app/sigv4.hpp"
#include "detection/error.hpp"

namespace detection::app {

struct S3Target {
  std::string bucket;
  std::string prefix;  ///< of the keys, without a slash at its end; may be empty
  std::string region;
  std::string endpoint;  ///< as https://s3.example.com; empty: Amazon's of the region
  std::string ca_file;   ///< authorities in place of the system's; empty: those
  /// Between tries of one request: this, doubled each time.
  std::chrono::milliseconds first_wait{500};
};
/// "s3://bucket/prefix" -> bucket and prefix. kValidationFailed: it is none.
[[nodiscard]] Result<S3Target> parse_s3(std::string_view url);

/// From AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN; else from where
/// AWS_CONTAINER_CREDENTIALS_FULL_URI says (EKS Pod Identity). kConfiguration: there are none.
using Environment = std::function<const char*(const char*)>;
[[nodiscard]] Result<S3Credentials> find_s3_credentials(const Environment& environment);

struct S3Copied {
  std::string key;
  bool read_back = false;  ///< compared by reading it again: the server states no checksum
};
using S3Progress = std::function<void(std::string_view what, std::int64_t done, std::int64_t total)>;
/// kUnauthorized: the server does not take the credentials, or they may not. kStoreUnavailable: it was not reached, or
/// says no; its words are in the detail, secrets are not. kValidationFailed: what it holds is not the file.
[[nodiscard]] Result<S3Copied> copy_to_s3(const std::filesystem::path& file, const S3Target& target,
                                          const S3Credentials& credentials, const S3Progress& progress);

}  // namespace detection::app
