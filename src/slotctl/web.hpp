#pragma once
// A blocking HTTP client over libcurl: a TCP address or a Unix socket, one connection kept alive. Not thread-safe.

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "detection/error.hpp"

namespace detection::slotctl {

class Web {
 public:
  struct Answer {
    long status = 0;
    std::string body;
  };

  /// `base`: "http://HOST:PORT" without a slash at its end. With `socket` the host is only a name.
  Web(std::string base, std::filesystem::path socket, std::chrono::milliseconds most);
  ~Web();
  Web(const Web&) = delete;
  Web& operator=(const Web&) = delete;

  /// kStoreUnavailable: no whole answer. Answers over 64 MiB are none.
  [[nodiscard]] Result<Answer> get(const std::string& path);
  /// A JSON merge patch (RFC 7386).
  [[nodiscard]] Result<Answer> merge_patch(const std::string& path, const std::string& body);
  /// A form, as Prometheus takes queries that are long.
  [[nodiscard]] Result<Answer> post_form(const std::string& path, const std::string& body);
  /// As part of a query or a form.
  [[nodiscard]] static std::string escaped(std::string_view text);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detection::slotctl
