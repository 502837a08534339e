#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <random>
#include <thread>

#include "app/answer.hpp"
#include "app/assemble.hpp"
#include "app/commands.hpp"
#include "app/klv_geometry.hpp"
#include "app/web_client.hpp"
#include "detection/json_writer.hpp"
#include "klv/packets.hpp"
#include "klv/st0601.hpp"
#include "pipeline/normalise.hpp"

namespace detection::app {
namespace {

constexpr std::size_t kFileBytesMost = std::size_t{1} << 30;
constexpr int kPostTries = 5;
constexpr std::chrono::milliseconds kPostPause{300};

struct Frame {
  std::string file;
  std::size_t number = 0;  ///< within its file, from 1
  klv::UasDatalink set;
  bool checksum_ok = false;
};

struct Tally {
  std::size_t located = 0, failed = 0, bad_checksum = 0;
  std::vector<double> range_residuals_m, ground_residuals_m;
};

int refuse(int code, const std::string& why) {
  std::fprintf(stderr, "detection-api: %s\n", why.c_str());
  return code;
}

Result<std::vector<std::uint8_t>> read_all(const std::string& name) {
  std::ifstream file;
  if (name != "-") {
    file.open(name, std::ios::binary);
    if (!file) return fail(ErrorCode::kNotFound, name + " cannot be read");
  }
  std::istream& in = name == "-" ? std::cin : file;
  std::vector<std::uint8_t> bytes;
  std::vector<char> chunk(1 << 16);
  while (in.read(chunk.data(), static_cast<std::streamsize>(chunk.size())) || in.gcount() > 0) {
    bytes.insert(bytes.end(), chunk.begin(), chunk.begin() + in.gcount());
    if (bytes.size() > kFileBytesMost) return fail(ErrorCode::kPayloadTooLarge, name + " is larger than 1 GiB");
  }
  return bytes;
}

Result<std::vector<Frame>> read_frames(const std::vector<std::string>& files) {
  std::vector<Frame> frames;
  for (const auto& name : files) {
    const auto bytes = read_all(name);
    if (!bytes) return std::unexpected(bytes.error());
    klv::PacketReader reader(*bytes);
    std::size_t number = 0;
    while (const auto packet = reader.next()) {
      auto base = name.substr(name.find_last_of('/') + 1);
      frames.push_back({std::move(base), ++number, klv::decode(*packet), packet->checksum_ok});
    }
    if (number == 0) return fail(ErrorCode::kMalformedRequest, name + " holds no MISB ST 0601 packet");
    if (reader.skipped_bytes() > 0)
      std::fprintf(stderr, "%s: %zu bytes between the packets were skipped\n", name.c_str(), reader.skipped_bytes());
  }
  return frames;
}

/// What to add to each packet's time so that the latest one is now.
std::chrono::microseconds shift_to_now(const std::vector<Frame>& frames) {
  UtcMicros latest{};
  for (const auto& frame : frames)
    if (frame.set.time) latest = std::max(latest, *frame.set.time);
  return system_now() - latest;
}

void write_optional(json::Writer& w, std::string_view key, const std::optional<double>& value) {
  w.key(key);
  if (value)
    w.number(*value);
  else
    w.null();
}

void write_centre(json::Writer& w, std::string_view key, const std::optional<LocatedCentre>& centre) {
  w.key(key);
  if (!centre) return w.null();
  w.begin_object();
  w.key("lat");
  w.number(centre->position.lat_deg);
  w.key("lon");
  w.number(centre->position.lon_deg);
  w.key("height_m");
  w.number(centre->position.hae_m);
  w.key("slant_range_m");
  w.number(centre->slant_range_m);
  write_optional(w, "residual_m", centre->residual_m);
  w.end_object();
}

std::string frame_json(const Frame& frame, const Result<PacketGeometry>& geometry) {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("file");
  w.string(frame.file);
  w.key("packet");
  w.integer(frame.number);
  w.key("checksum_ok");
  w.boolean(frame.checksum_ok);
  if (geometry) {
    w.key("convention");
    w.string(angle_convention_name(geometry->convention));
    w.key("heading");
    w.number(geometry->attitude.heading_deg);
    w.key("pitch");
    w.number(geometry->attitude.pitch_deg);
    w.key("roll");
    w.number(geometry->attitude.roll_deg);
    write_optional(w, "stated_lat", frame.set.frame_center_lat_deg);
    write_optional(w, "stated_lon", frame.set.frame_center_lon_deg);
    write_centre(w, "by_range", geometry->by_range);
    write_centre(w, "by_ground", geometry->by_ground);
    w.key("frame_height_contradicts");
    w.boolean(geometry->frame_height_contradicts);
  } else {
    w.key("error");
    w.string(geometry.error().detail);
  }
  w.end_object();
  return out;
}

std::string residual_text(const std::optional<LocatedCentre>& centre) {
  if (!centre || !centre->residual_m) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.3f m", *centre->residual_m);
  return text;
}

void print_residuals(const char* what, std::vector<double> residuals) {
  if (residuals.empty()) return;
  std::sort(residuals.begin(), residuals.end());
  std::printf("%s: median %.3f m, largest %.3f m off the stated frame centre (%zu packets)\n", what,
              residuals[residuals.size() / 2], residuals.back(), residuals.size());
}

/// Without a service: where each middle of the picture is, and how far that is from what the packet states.
int compare(const std::vector<Frame>& frames, const IngestKlvArguments& arguments) {
  Tally tally;
  if (!arguments.json)
    std::printf("%-14s %3s  %-8s %-8s %12s %13s %9s %12s %12s\n", "file", "#", "checksum", "angles", "lat", "lon",
                "height", "by range", "by ground");
  for (const auto& frame : frames) {
    const auto geometry = packet_geometry(frame.set, arguments.ground_elevation_m);
    tally.bad_checksum += frame.checksum_ok ? 0 : 1;
    const auto& centre = !geometry ? std::nullopt : geometry->by_range ? geometry->by_range : geometry->by_ground;
    (centre ? tally.located : tally.failed) += 1;
    if (arguments.json) {
      std::printf("%s\n", frame_json(frame, geometry).c_str());
    } else if (!centre) {
      std::printf("%-14s %3zu  %-8s %s\n", frame.file.c_str(), frame.number, frame.checksum_ok ? "ok" : "WRONG",
                  geometry ? "no slant range; give --ground-elevation" : geometry.error().detail.c_str());
    } else {
      std::printf("%-14s %3zu  %-8s %-8s %12.7f %13.7f %7.1f m %12s %12s\n", frame.file.c_str(), frame.number,
                  frame.checksum_ok ? "ok" : "WRONG", std::string(angle_convention_name(geometry->convention)).c_str(),
                  centre->position.lat_deg, centre->position.lon_deg, centre->position.hae_m,
                  residual_text(geometry->by_range).c_str(), residual_text(geometry->by_ground).c_str());
    }
    if (!geometry) continue;
    if (geometry->by_range && geometry->by_range->residual_m)
      tally.range_residuals_m.push_back(*geometry->by_range->residual_m);
    if (geometry->by_ground && geometry->by_ground->residual_m)
      tally.ground_residuals_m.push_back(*geometry->by_ground->residual_m);
  }
  if (!arguments.json) {
    std::printf("%zu packets, %zu located, %zu with a wrong checksum\n", frames.size(), tally.located,
                tally.bad_checksum);
    print_residuals("by slant range", tally.range_residuals_m);
    print_residuals("by ground height", tally.ground_residuals_m);
  }
  return tally.failed + tally.bad_checksum == 0 ? kDone : kFailed;
}

/// The packet as a request of design.md 4.2: the middle of the picture, class sensor_point, confidence 1.
Result<std::string> request_of(const Frame& frame, const PacketGeometry& geometry, const IngestKlvArguments& arguments,
                               const AccuracyOverride& accuracy, UtcMicros time, const Uuid& id, const Assets& assets) {
  auto camera = camera_of(frame.set, geometry.attitude);
  if (!camera) return std::unexpected(camera.error());
  if (!camera->slant_range_m && arguments.ground_elevation_m) {
    camera->ground_elevation_m = arguments.ground_elevation_m;
    if (camera->elevation_reference == ElevationReference::kMsl) {
      if (!assets.geoid) return fail(ErrorCode::kConfiguration, "no geoid: " + assets.geoid_problem);
      *camera->ground_elevation_m += assets.geoid->undulation_m(camera->location_lat_deg, camera->location_lon_deg);
    }
  }
  camera->accuracy = accuracy;
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("detection_id");
  w.string(to_string(id));
  w.key("pixel_x");
  w.number(kPictureWidth_px / 2.0);
  w.key("pixel_y");
  w.number(kPictureHeight_px / 2.0);
  w.key("object_class");
  w.string("sensor_point");
  w.key("ai_confidence");
  w.number(1);
  w.key("source");
  w.string(arguments.source);
  w.key("camera_id");
  w.string(arguments.camera_id);
  w.key("timestamp");
  w.string(format_rfc3339_us(time));
  w.key("sensor_metadata");
  pipeline::append_sensor_metadata(w, *camera);
  w.end_object();
  return out;
}

/// Posts until there is an answer: a service that restarts is waited for, and the id makes a repeat harmless.
Result<WebClient::Answer> post(WebClient& client, const std::string& url, const std::string& body,
                               const std::string& token) {
  for (int attempt = 1;; ++attempt) {
    auto answer = client.post_json(url + "/api/v1/detections", body, token);
    const bool again = !answer || answer->status == 503 || answer->status == 429;
    if (!again || attempt == kPostTries) return answer;
    std::this_thread::sleep_for(kPostPause * attempt);
  }
}

void print_answer(const Frame& frame, const WebClient::Answer& answer) {
  const auto summary = read_answer(answer.body);
  std::printf("%-14s %3zu  ", frame.file.c_str(), frame.number);
  if (answer.status < 200 || answer.status > 202) {
    std::printf("%ld %s\n", answer.status, summary.problem.c_str());
    return;
  }
  const auto metres = [](const std::optional<double>& value) {
    char text[32];
    if (!value) return std::string("unbounded");
    std::snprintf(text, sizeof text, "%.1f m", *value);
    return std::string(text);
  };
  std::printf("%12.7f %13.7f %9s %10s  %-6s %-12s %s\n", summary.lat_deg, summary.lon_deg,
              summary.hae_m ? metres(summary.hae_m).c_str() : "-", metres(summary.ce90_m).c_str(), summary.flag.c_str(),
              summary.cot_type.c_str(), summary.state.c_str());
}

std::optional<std::string> token_of(const IngestKlvArguments& arguments) {
  if (!arguments.token.empty()) return arguments.token;
  std::ifstream file(arguments.token_file);
  std::string token;
  if (arguments.token_file.empty() || !(file >> token)) return std::nullopt;
  return token;
}

int send(const std::vector<Frame>& frames, const IngestKlvArguments& arguments, const AccuracyOverride& accuracy,
         const Assets& assets) {
  const auto token = token_of(arguments);
  if (!token) return refuse(kWrongUsage, "--url needs --token or a readable --token-file");
  auto url = arguments.url;
  while (url.ends_with('/')) url.pop_back();

  const auto shift = arguments.time == "now" ? shift_to_now(frames) : std::chrono::microseconds{0};
  const bool progress = isatty(STDERR_FILENO) != 0 && isatty(STDOUT_FILENO) == 0;
  WebClient client(std::chrono::seconds{30});
  UuidMint mint(std::random_device{}());
  if (!arguments.json)
    std::printf("%-14s %3s  %12s %13s %9s %10s  %-6s %-12s %s\n", "file", "#", "lat", "lon", "hae", "CE90", "flag",
                "CoT type", "delivery");
  std::size_t done = 0, refused = 0;
  for (const auto& frame : frames) {
    if (progress) std::fprintf(stderr, "\r%zu of %zu packets", ++done, frames.size());
    const auto geometry = packet_geometry(frame.set, arguments.ground_elevation_m);
    std::string why;
    if (!frame.checksum_ok)
      why = "the checksum is wrong: not sent";
    else if (!geometry)
      why = geometry.error().detail;
    else if (!frame.set.time)
      why = "the packet does not state a time (tag 2)";
    if (why.empty()) {
      const auto body =
          request_of(frame, *geometry, arguments, accuracy, *frame.set.time + shift, mint.mint(system_now()), assets);
      auto answer = body ? post(client, url, *body, *token) : Result<WebClient::Answer>(std::unexpected(body.error()));
      if (!answer) return refuse(kFailed, answer.error().detail);
      if (answer->status == 401 || answer->status == 403)
        return refuse(kFailed, "the service refused the token: " + read_answer(answer->body).problem);
      if (answer->status < 200 || answer->status > 202) ++refused;
      if (arguments.json)
        std::printf("%s\n", answer->body.c_str());
      else
        print_answer(frame, *answer);
    } else {
      ++refused;
      std::fprintf(stderr, "%s packet %zu: %s\n", frame.file.c_str(), frame.number, why.c_str());
    }
  }
  if (progress) std::fprintf(stderr, "\r\033[K");
  if (!arguments.json)
    std::printf("%zu packets, %zu accepted, %zu not\n", frames.size(), frames.size() - refused, refused);
  return refused == 0 ? kDone : kFailed;
}

}  // namespace

int ingest_klv(const Configuration& configuration, const IngestKlvArguments& arguments) {
  const auto accuracy = parse_accuracy(arguments.accuracy);
  if (!accuracy) return refuse(kWrongUsage, "--accuracy: " + accuracy.error().detail);
  const auto assets = load_assets(configuration);
  if (!assets) return refuse(kWrongUsage, assets.error().detail);
  const auto frames = read_frames(arguments.files);
  if (!frames) return refuse(kFailed, frames.error().detail);
  return arguments.url.empty() ? compare(*frames, arguments) : send(*frames, arguments, *accuracy, **assets);
}

}  // namespace detection::app
