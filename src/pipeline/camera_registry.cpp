#include "pipeline/camera_registry.hpp"

#include <algorithm>

namespace detection::pipeline {

void CameraRegistry::saw(const Detection& detection) {
  if (detection.exercise) return;
  const std::lock_guard lock(mutex_);
  const auto [found, fresh] = cameras_.try_emplace({detection.source, detection.camera_id});
  auto& camera = found->second;
  if (!fresh && detection.timestamp < camera.observed) return;
  if (fresh) {
    camera.source = detection.source;
    camera.camera_id = detection.camera_id;
  }
  camera.observed = detection.timestamp;
  camera.sensor = detection.sensor;
  if (cameras_.size() <= most_) return;
  cameras_.erase(std::ranges::min_element(
      cameras_, [](const auto& a, const auto& b) { return a.second.observed < b.second.observed; }));
}

std::vector<SeenCamera> CameraRegistry::seen_since(UtcMicros since) const {
  const std::lock_guard lock(mutex_);
  std::vector<SeenCamera> seen;
  for (const auto& [key, camera] : cameras_)
    if (camera.observed >= since) seen.push_back(camera);
  return seen;
}

}  // namespace detection::pipeline
