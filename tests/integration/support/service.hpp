#pragma once
// The service under test: the real binary on ports and a data folder of its own.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "integration/support/http_client.hpp"
#include "integration/support/process.hpp"

namespace detection::integration {

inline constexpr std::string_view kAllScopes = "detections:read detections:write detections:verify audit:read admin";

/// The HMAC key in its key file.
inline constexpr std::string_view kServiceKey = "integration-tests-only-6f0c1d9a4be27358";

struct ServiceSettings {
  std::filesystem::path binary;      ///< detection-api
  std::vector<std::string> sinks{};  ///< urls of --tak-sink, maybe name=url
  std::vector<std::string> more{};   ///< further arguments of `serve`
  bool limiters = false;             ///< false: --rate-limit off
};

/// Keeps its ports, its data and its key over any number of starts.
class Service {
 public:
  explicit Service(ServiceSettings settings);

  /// Starts the process and waits until /ready says 200. Throws, with what it wrote, when it ends or takes too long.
  void start(std::chrono::milliseconds most = std::chrono::seconds(20));
  /// Starts the process and returns at once.
  void launch();
  [[nodiscard]] bool wait_ready(std::chrono::milliseconds most);
  void kill();  ///< SIGKILL
  /// SIGTERM; nothing when it did not end in time.
  [[nodiscard]] std::optional<Exit> terminate(std::chrono::milliseconds most = std::chrono::seconds(20));
  [[nodiscard]] Child& child() { return *child_; }

  [[nodiscard]] std::vector<std::string> arguments() const;  ///< of `serve`, with the binary
  [[nodiscard]] std::uint16_t api_port() const noexcept { return api_port_; }
  [[nodiscard]] std::uint16_t metrics_port() const noexcept { return metrics_port_; }
  [[nodiscard]] std::filesystem::path data_dir() const { return dir_.path() / "data"; }
  [[nodiscard]] std::filesystem::path key_file() const { return dir_.path() / "jwt.key"; }
  [[nodiscard]] std::string log() const;  ///< stdout and stderr of all its processes

  /// A token minted by the binary itself.
  [[nodiscard]] std::string token(std::string_view scope = kAllScopes, std::string_view subject = "integration") const;
  /// With a token of all scopes.
  [[nodiscard]] HttpClient client() const { return HttpClient(api_port_, all_scopes_token_); }
  [[nodiscard]] const std::string& all_scopes_token() const noexcept { return all_scopes_token_; }

  /// The text of /metrics; empty when it does not answer.
  [[nodiscard]] std::string metrics() const;
  /// The value of a series as it is written there, for instance `offline_queue_size{sink="tak"}`.
  [[nodiscard]] std::optional<double> metric(std::string_view series) const;
  /// The status of /ready on the API port; 0 when it does not answer.
  [[nodiscard]] int ready_status() const;

 private:
  ServiceSettings settings_;
  TempDir dir_;
  std::uint16_t api_port_;
  std::uint16_t metrics_port_;
  std::string all_scopes_token_;
  std::unique_ptr<Child> child_;
};

}  // namespace detection::integration
