#pragma once
// One signed request to an S3 server at a time, retried where that may help.

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "app/s3_copy.hpp"
#include "app/web_client.hpp"

namespace detection::app {

class S3Client {
 public:
  S3Client(S3Target target, S3Credentials credentials);

  struct Call {
    std::string method;
    std::string key;
    std::map<std::string, std::string> query{};
    std::map<std::string, std::string> headers{};  ///< lower-case names
    std::string_view body{};
    std::function<void()> begin{};                 ///< called before each try
    std::function<void(std::string_view)> take{};  ///< gets the body of an answer of 2xx piece by piece
  };
  /// An answer of 2xx. Five tries where the server was not reached, was too busy or failed itself.
  [[nodiscard]] Result<WebClient::Answer> call(const Call& call);

 private:
  [[nodiscard]] Result<WebClient::Answer> once(const Call& call);
  [[nodiscard]] std::string host() const;

  S3Target target_;
  S3Credentials credentials_;
  std::string base_;       ///< scheme and authority
  std::string path_head_;  ///< "/bucket" where the bucket is part of the path
  WebClient client_;
};

/// What stands between two tags of S3's answers; empty: it is not there.
[[nodiscard]] std::string element_text(std::string_view xml, std::string_view name);

}  // namespace detection::app
