#include "pipeline/announcer.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "cot/frame.hpp"
#include "cot/own_events.hpp"
#include "geolocate/geoid.hpp"

namespace detection::pipeline {
namespace {

/// 90 % quantiles of the Rayleigh and of the normal distribution.
constexpr double kCe90PerSigma = 2.145966026289347;
constexpr double kLe90PerSigma = 1.6448536269514722;
/// So many rounds may be missed before the map takes an event for stale.
constexpr int kRoundsUntilStale = 3;

/// Made as XML; what has no frame is left out.
class OwnEvents final : public tak::EventBatch {
 public:
  explicit OwnEvents(std::vector<std::string> events) : events_(std::move(events)) {}
  [[nodiscard]] std::size_t size() const noexcept override { return events_.size(); }
  void append(std::size_t index, cot::WireFormat format, UtcMicros, std::string& out) const override {
    (void)cot::append_frame_of_xml(out, events_[index], format);
  }

 private:
  std::vector<std::string> events_;
};

double field_of_view_deg(double pixels, double focal_px) {
  return 2 * std::atan2(pixels / 2, focal_px) * 180 / std::numbers::pi;
}

/// The camera's height, where the request says it above the ellipsoid or above a known ground.
std::optional<double> height_hae_m(const SensorMetadata& sensor, const geolocate::Geoid* geoid) {
  switch (sensor.elevation_reference) {
    case ElevationReference::kHae: return sensor.location_elevation_m;
    case ElevationReference::kMsl:
      if (geoid == nullptr) return std::nullopt;
      return sensor.location_elevation_m + geoid->undulation_m(sensor.location_lat_deg, sensor.location_lon_deg);
    case ElevationReference::kAgl:
      if (!sensor.ground_elevation_m) return std::nullopt;
      return *sensor.ground_elevation_m + sensor.location_elevation_m;
  }
  return std::nullopt;
}

cot::Place place_of(const SeenCamera& camera, const AcceptorSettings& settings) {
  auto accuracy = settings.geolocate.accuracy;
  if (const auto own = settings.camera_accuracy.find(camera.camera_id); own != settings.camera_accuracy.end())
    accuracy = merge(accuracy, own->second);
  accuracy = merge(accuracy, camera.sensor.accuracy);
  cot::Place place{.lat_deg = camera.sensor.location_lat_deg, .lon_deg = camera.sensor.location_lon_deg};
  place.ce_m = kCe90PerSigma * accuracy.horizontal_m;
  if (const auto hae_m = height_hae_m(camera.sensor, settings.geolocate.geoid)) {
    place.hae_m = *hae_m;
    place.le_m = kLe90PerSigma * accuracy.vertical_m;
    place.altitude_source = "CALC";
  }
  return place;
}

/// Of the middle of the picture.
Result<Fix> looks_at(const SeenCamera& camera, const Acceptor& acceptor) {
  Detection middle;
  middle.camera_id = camera.camera_id;
  middle.sensor = camera.sensor;
  middle.pixel = {camera.sensor.image_width_px / 2.0, camera.sensor.image_height_px / 2.0};
  return acceptor.locate(middle);
}

}  // namespace

std::vector<std::string> announcements(const AnnouncerOptions& options, const Acceptor& acceptor,
                                       const std::vector<SeenCamera>& cameras, UtcMicros now) {
  const auto stale = kRoundsUntilStale * std::chrono::duration_cast<std::chrono::microseconds>(options.every);
  std::vector<std::string> events;
  if (options.position) {
    const cot::Place place{.lat_deg = options.position->lat_deg,
                           .lon_deg = options.position->lon_deg,
                           .hae_m = options.position->hae_m.value_or(cot::kUnknown_m)};
    cot::append_service_xml(events.emplace_back(),
                            {.uid = options.uid, .place = place, .version = options.version, .stale = stale}, now);
  }
  for (const auto& camera : cameras) {
    const auto lens = intrinsics(camera.sensor);
    cot::CameraEvent event;
    event.source = camera.source;
    event.camera_id = camera.camera_id;
    event.place = place_of(camera, acceptor.settings());
    event.azimuth_deg = camera.sensor.attitude.heading_deg;
    event.elevation_deg = camera.sensor.attitude.pitch_deg;
    event.roll_deg = camera.sensor.attitude.roll_deg;
    event.fov_deg = field_of_view_deg(camera.sensor.image_width_px, lens.fx_px);
    event.vfov_deg = field_of_view_deg(camera.sensor.image_height_px, lens.fy_px);
    event.stale = stale;
    const auto middle = looks_at(camera, acceptor);
    if (middle) event.range_m = middle->slant_range_m;
    cot::append_camera_xml(events.emplace_back(), event, now);
    if (!middle) continue;  // above the horizon: it looks at no ground
    cot::PointOfInterest point;
    point.source = camera.source;
    point.camera_id = camera.camera_id;
    point.place.lat_deg = middle->position.lat_deg;
    point.place.lon_deg = middle->position.lon_deg;
    if (middle->ce90_m) point.place.ce_m = *middle->ce90_m;
    if (middle->hae_known) {
      point.place.hae_m = middle->position.hae_m;
      if (middle->le90_m) point.place.le_m = *middle->le90_m;
      point.place.altitude_source = "CALC";
    }
    point.stale = stale;
    cot::append_point_of_interest_xml(events.emplace_back(), point, now);
  }
  return events;
}

Announcer::Announcer(AnnouncerOptions options, const Acceptor& acceptor, const CameraRegistry& cameras,
                     std::vector<Courier*> couriers)
    : options_(std::move(options)), acceptor_(acceptor), cameras_(cameras), couriers_(std::move(couriers)) {}

Announcer::~Announcer() {
  stop();
}

void Announcer::start() {
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, options_.every, [this] { return stopping_; })) {
      lock.unlock();
      announce();
      lock.lock();
    }
  });
}

void Announcer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Announcer::announce() {
  if (options_.may_send && !options_.may_send()) return;
  const auto now = system_now();
  auto events = announcements(options_, acceptor_,
                              cameras_.seen_since({(now.count - options_.cameras_seen_within.count())}), now);
  if (events.empty()) return;
  const auto batch = std::make_shared<const OwnEvents>(std::move(events));
  for (auto* courier : couriers_) courier->announce(batch);
}

}  // namespace detection::pipeline
