#pragma once
// What the tests of a store share: detections to put in, a home that waits, a folder that goes away.

#include <stdlib.h>

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "store/store.hpp"

namespace detection::store::testing {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "store_test.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Jobs come back here.
class Inbox final : public CommitHome {
 public:
  void committed(std::vector<std::unique_ptr<CommitJob>> jobs) noexcept override {
    const std::lock_guard lock(mutex_);
    for (auto& job : jobs) jobs_.push_back(std::move(job));
    ++calls_;
    wake_.notify_all();
  }
  /// Waits for so many; gives all that are there.
  std::vector<std::unique_ptr<CommitJob>> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return jobs_.size() >= count; });
    return std::exchange(jobs_, {});
  }
  [[nodiscard]] std::size_t calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::unique_ptr<CommitJob>> jobs_;
  std::size_t calls_ = 0;
};

inline constexpr std::int64_t kStart = 1'795'460'645'000'000;  // 2026-11-23

/// The id of the i-th sample of a series.
inline Uuid sample_id(std::uint64_t i, std::uint64_t series = 0) {
  Uuid id;
  for (unsigned k = 0; k < 8; ++k) {
    id.bytes[15 - k] = static_cast<std::uint8_t>(i >> (8 * k));
    id.bytes[7 - k] = static_cast<std::uint8_t>(series >> (8 * k));
  }
  return id;
}

/// A plain detection; the tests change what they are about.
inline Acceptance sample(std::uint64_t i, std::uint64_t series = 0) {
  Acceptance item;
  auto& d = item.located;
  const auto at = kStart + static_cast<std::int64_t>(i) * 1000;
  d.id = sample_id(i, series);
  d.observed = {at};
  d.received = {at + 100};
  d.object_class = "vehicle";
  d.ai_confidence = 0.875;
  d.source = "drone-7";
  d.camera_id = "eo-1";
  d.pixel = {512, 384.5};
  d.fix.position = {48.25, 11.5, 540.125};
  d.fix.covariance_enu_m2 = {9, 16, 4, 0.5, 0.25, 0.125};
  d.fix.ce90_m = 12.5;
  d.fix.le90_m = 3.25;
  d.fix.ellipse = {9, 6, 30, 0.9};
  d.fix.slant_range_m = 812.5;
  d.fix.grazing_deg = 42;
  d.verdict = {Flag::kGreen, 0};
  d.cot_uid = "DET." + to_string(d.id);
  d.cot_type = "a-u-G-E-V";
  item.request_json = R"({"n":)" + std::to_string(i) + "}";
  item.content_sha256[0] = static_cast<std::uint8_t>(i);
  item.content_sha256[31] = 7;
  item.times = {{at + 100}, {at + 200}, {at + 300}, {at + 400}};
  item.actor = "detector";
  item.request_id = "request-" + std::to_string(i);
  return item;
}

inline std::unique_ptr<CommitJob> job_of(std::vector<Acceptance> items, CommitHome& home) {
  auto job = std::make_unique<CommitJob>();
  job->items = std::move(items);
  job->home = &home;
  return job;
}

/// Commits them as one job and waits for it.
inline std::unique_ptr<CommitJob> commit(Store& store, std::vector<Acceptance> items) {
  Inbox inbox;
  auto job = job_of(std::move(items), inbox);
  if (!store.submit(job)) {
    job->error = Error{ErrorCode::kCapacityExceeded, "submit said no"};
    return job;
  }
  return std::move(inbox.wait_for(1).front());
}

}  // namespace detection::store::testing
