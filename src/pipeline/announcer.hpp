#pragma once
// Tells TAK servers now and then about ourselves: where the service is, where the cameras are and where they look. Sent
// once to whoever is connected, by processes that deliver; nothing waits, nothing is recorded.

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/acceptor.hpp"
#include "pipeline/camera_registry.hpp"
#include "pipeline/courier.hpp"

namespace detection::pipeline {

struct OwnPosition {
  double lat_deg = 0;
  double lon_deg = 0;
  std::optional<double> hae_m{};
};

struct AnnouncerOptions {
  std::chrono::milliseconds every{30'000};
  std::chrono::microseconds cameras_seen_within = std::chrono::minutes{10};
  std::string uid = "detection-api";  ///< [A-Za-z0-9._-]
  std::string version;
  /// Without one the service itself is not announced: an icon at 0, 0 would be a false point.
  std::optional<OwnPosition> position{};
  /// Whether this process delivers now (the release fence); none: always.
  std::function<bool()> may_send{};
};

/// The events of one round as CoT XML: the service, then each camera with its cone and, where its middle meets the
/// ground, its point of interest. `acceptor` locates that point as it would a detection.
[[nodiscard]] std::vector<std::string> announcements(const AnnouncerOptions& options, const Acceptor& acceptor,
                                                     const std::vector<SeenCamera>& cameras, UtcMicros now);

class Announcer {
 public:
  /// All of these outlive it.
  Announcer(AnnouncerOptions options, const Acceptor& acceptor, const CameraRegistry& cameras,
            std::vector<Courier*> couriers);
  ~Announcer();
  Announcer(const Announcer&) = delete;
  Announcer& operator=(const Announcer&) = delete;

  void start();
  void stop();  ///< idempotent

 private:
  void announce();

  const AnnouncerOptions options_;
  const Acceptor& acceptor_;
  const CameraRegistry& cameras_;
  const std::vector<Courier*> couriers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace detection::pipeline
