#pragma once
// A server of one test: its limits, what it refused, and waiting for things to happen.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "http/server.hpp"
#include "http/test_client.hpp"

namespace detection::http {

/// Until it is so; false after 10 s.
inline bool comes_true(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

/// The body of a chunked answer; empty when it is none, or not at its end.
inline std::string without_chunks(std::string_view text, bool* complete = nullptr) {
  std::string body;
  if (complete != nullptr) *complete = false;
  while (true) {
    const auto line = text.find("\r\n");
    if (line == std::string_view::npos) return body;
    const auto size = std::strtoul(std::string(text.substr(0, line)).c_str(), nullptr, 16);
    text.remove_prefix(line + 2);
    if (text.size() < size + 2) return body;
    if (size == 0) {
      if (complete != nullptr) *complete = text == "\r\n";
      return body;
    }
    body.append(text.substr(0, size));
    text.remove_prefix(size + 2);
  }
}

class TestServer {
 public:
  TestServer() {
    using std::chrono::milliseconds;
    setup.threads = 2;
    setup.limits = {.connections_most = 1'000,
                    .metrics_connections_most = 4,
                    .header_bytes_most = 16u << 10,
                    .target_bytes_most = 8u << 10,
                    .large_bodies_most = 1u << 20,
                    .header_timeout = milliseconds(10'000),
                    .body_timeout = milliseconds(10'000),
                    .idle_timeout = milliseconds(10'000),
                    .write_timeout = milliseconds(10'000)};
    setup.refused = [this](std::string_view reason) {
      const std::scoped_lock lock(mutex_);
      reasons_.emplace_back(reason);
    };
  }

  void start() {
    server = make_server(std::move(setup));
    const auto started = server->start();
    ASSERT_TRUE(started) << started.error().detail;
  }
  [[nodiscard]] std::uint16_t port() const { return server->endpoint(Port::kApi).port; }
  [[nodiscard]] TestClient client() const { return TestClient(port()); }
  [[nodiscard]] long refused(std::string_view reason) {
    const std::scoped_lock lock(mutex_);
    return std::ranges::count(reasons_, reason);
  }

  ServerSetup setup;
  std::unique_ptr<Server> server;

 private:
  std::mutex mutex_;
  std::vector<std::string> reasons_;
};

}  // namespace detection::http
