#pragma once
// What the tests of the courier share: a real SQLite store, detections to put in, a courier that is told what to be.

#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <thread>

#include "pipeline/courier.hpp"
#include "pipeline/normalise.hpp"
#include "store/sqlite/engine.hpp"

namespace detection::pipeline {

using namespace std::chrono_literals;

/// Commits one after the other.
class Committer final : public store::CommitHome {
 public:
  void committed(std::vector<std::unique_ptr<store::CommitJob>> jobs) noexcept override {
    const std::scoped_lock lock(mutex_);
    for (auto& job : jobs) done_ = std::move(job);
    came_.notify_one();
  }

  using Change = std::function<void(store::Acceptance&, std::size_t i)>;
  std::vector<Uuid> commit(store::Store& store, std::size_t count, store::Disposition disposition,
                           const Change& change = {}) {
    auto job = std::make_unique<store::CommitJob>();
    std::vector<Uuid> ids;
    for (std::size_t i = 0; i < count; ++i) {
      store::Acceptance acceptance;
      auto& located = acceptance.located;
      located.id = mint_.mint(system_now());
      located.observed = located.received = system_now();
      located.object_class = "vehicle";
      located.ai_confidence = 0.9;
      located.source = "uav";
      located.camera_id = "eo";
      located.fix.position = {40, -74, 10};
      located.fix.ce90_m = 12;
      located.fix.le90_m = 5;
      located.verdict = {Flag::kGreen, 0};
      located.cot_uid = "DET." + to_string(located.id);
      located.cot_type = "a-u-G-E-V";
      acceptance.request_json = "{}";
      acceptance.content_sha256 = sha256(acceptance.request_json);
      acceptance.disposition = disposition;
      if (change) change(acceptance, i);
      ids.push_back(located.id);
      job->items.push_back(std::move(acceptance));
    }
    job->home = this;
    EXPECT_TRUE(store.submit(job));
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(came_.wait_for(lock, 10s, [&] { return done_ != nullptr; }));
    EXPECT_FALSE(done_->error);
    done_.reset();
    return ids;
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::unique_ptr<store::CommitJob> done_;
  UuidMint mint_{11};
};

inline bool wait_until(const std::function<bool()>& condition) {
  const auto by = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > by) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

class CourierTest : public ::testing::Test {
 protected:
  CourierTest() {
    directory_ = std::filesystem::path(::testing::TempDir()) /
                 ("courier_test_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()) +
                  std::to_string(getpid()));
    store::sqlite::Options options;
    options.directory = directory_;
    auto opened = store::sqlite::open(options);
    EXPECT_TRUE(opened) << opened.error().detail;
    store_ = std::move(*opened);
  }
  ~CourierTest() override {
    courier_.reset();
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  void start_courier(std::uint16_t port, std::chrono::milliseconds pong_timeout = 200ms) {
    CourierOptions options;
    options.sink.address = {tak::Scheme::kTcp, "127.0.0.1", port, {}};
    options.sink.pong_timeout = pong_timeout;
    start_courier(std::move(options));
  }
  void start_courier(CourierOptions options) {
    options.batch_events = 16;
    auto made = make_courier(options, *store_, metrics_, log_);
    ASSERT_TRUE(made) << made.error().detail;
    courier_ = std::move(*made);
    store_->on_due([this] { courier_->wake(); });
    courier_->start();
  }

  [[nodiscard]] store::DeliveryState state_of(const Uuid& id) { return store_->delivery_status(id)->state; }
  [[nodiscard]] store::DeliveryState sink_state_of(const Uuid& id) {
    return store_->delivery_status(id)->sinks.at(0).second;
  }
  bool decide(const Uuid& id, bool verified) {
    const auto done = store_->verify({id, {verified, "", "ann", {}}, ""});
    return done && done->changed;
  }
  /// A counter follows the store by a moment.
  bool counted(const std::string& line) {
    return wait_until([&] { return metrics_.expose().find(line) != std::string::npos; });
  }
  bool wait_for_state(const std::vector<Uuid>& ids, store::DeliveryState state) {
    return wait_until([&] {
      for (const auto& id : ids)
        if (state_of(id) != state) return false;
      return true;
    });
  }

  std::filesystem::path directory_;
  telemetry::Metrics metrics_;
  telemetry::Log log_{-1};
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Courier> courier_;
  Committer committer_;
};

}  // namespace detection::pipeline
