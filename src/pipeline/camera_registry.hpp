#pragma once
// The cameras that detections came from lately, with the pose of the newest one: for those who show where somebody
// looks. Thread-safe; bounded.

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "detection/detection.hpp"
#include "detection/time.hpp"

namespace detection::pipeline {

struct SeenCamera {
  std::string source;
  std::string camera_id;
  UtcMicros observed{};  ///< of the newest detection
  SensorMetadata sensor{};
};

class CameraRegistry {
 public:
  explicit CameraRegistry(std::size_t most = 1'000) : most_(most) {}

  /// Not of exercises, which never leave. Late ones change nothing. Where there is no room, the camera that was seen
  /// least lately goes.
  void saw(const Detection& detection);
  /// Those seen at `since` or later, by source and camera.
  [[nodiscard]] std::vector<SeenCamera> seen_since(UtcMicros since) const;

 private:
  using Key = std::pair<std::string, std::string>;
  const std::size_t most_;
  mutable std::mutex mutex_;
  std::map<Key, SeenCamera> cameras_;
};

}  // namespace detection::pipeline
