#pragma once
// A blocking HTTP client for the commands (libcurl), one connection kept alive. Not thread-safe.

#include <chrono>
#include <memory>
#include <string>

#include "detection/error.hpp"

namespace detection::app {

class WebClient {
 public:
  struct Answer {
    long status = 0;
    std::string body;
  };

  explicit WebClient(std::chrono::milliseconds timeout);
  ~WebClient();

  [[nodiscard]] Result<Answer> get(const std::string& url, const std::string& bearer = {});
  [[nodiscard]] Result<Answer> post_json(const std::string& url, const std::string& body, const std::string& bearer);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detection::app
