// A batch that may leave until a moment: another process may have the sink after that.

#include <gmock/gmock.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "tak/sink_test_support.hpp"

namespace detection::tak {
namespace {

using std::chrono::steady_clock;
using testing::ElementsAre;
using testing::IsEmpty;

class TimedBatch final : public EventBatch {
 public:
  TimedBatch(std::size_t events, std::size_t bytes, steady_clock::time_point good_until)
      : events_(events), bytes_(bytes), good_until_(good_until) {}
  [[nodiscard]] std::size_t size() const noexcept override { return events_; }
  void append(std::size_t index, cot::WireFormat, UtcMicros, std::string& out) const override {
    out += test_event("event-" + std::to_string(index), bytes_);
  }
  [[nodiscard]] std::optional<steady_clock::time_point> good_until() const noexcept override { return good_until_; }

 private:
  const std::size_t events_, bytes_;
  const steady_clock::time_point good_until_;
};

class Heard final : public SinkListener {
 public:
  void sink_ready() noexcept override { note(ready_); }
  void sink_room() noexcept override {}
  void batch_delivered(BatchNumber batch, Delivery) noexcept override {
    const std::scoped_lock lock(mutex_);
    delivered_.push_back(batch);
    came_.notify_all();
  }
  void sink_lost(std::string_view reason) noexcept override {
    const std::scoped_lock lock(mutex_);
    lost_.emplace_back(reason);
    came_.notify_all();
  }
  void peer_never_answers(bool) noexcept override {}

  [[nodiscard]] bool wait_ready(std::size_t times) {
    return wait([&] { return ready_ >= times; });
  }
  [[nodiscard]] bool wait_lost() {
    return wait([&] { return !lost_.empty(); });
  }
  [[nodiscard]] bool wait_delivered() {
    return wait([&] { return !delivered_.empty(); });
  }
  [[nodiscard]] std::vector<BatchNumber> delivered() {
    const std::scoped_lock lock(mutex_);
    return delivered_;
  }
  [[nodiscard]] std::vector<std::string> lost() {
    const std::scoped_lock lock(mutex_);
    return lost_;
  }

 private:
  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return came_.wait_for(lock, kPatience, condition);
  }
  void note(std::size_t& what) {
    const std::scoped_lock lock(mutex_);
    ++what;
    came_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable came_;
  std::size_t ready_ = 0;
  std::vector<BatchNumber> delivered_;
  std::vector<std::string> lost_;
};

SinkOptions patient(std::uint16_t port) {
  auto options = quick_options(port);
  options.write_timeout = options.silence_timeout = options.pong_timeout = milliseconds{1'000'000};
  return options;
}

TEST(SinkDeadline, WhatLeavesInTimeIsDelivered) {
  ScriptedServer server{ServerScript{}};
  Heard heard;
  const auto sink = make_sink(patient(server.port()), heard);
  sink->start();
  ASSERT_TRUE(heard.wait_ready(1));
  ASSERT_TRUE(sink->send(1, std::make_shared<TimedBatch>(3, 0, steady_clock::now() + kPatience)));
  ASSERT_TRUE(heard.wait_delivered());
  sink->stop(milliseconds{0});
  EXPECT_EQ(server.uids().size(), 3U);
}

TEST(SinkDeadline, WhatIsLateDoesNotLeave) {
  ScriptedServer server{ServerScript{}};
  Heard heard;
  const auto sink = make_sink(patient(server.port()), heard);
  sink->start();
  ASSERT_TRUE(heard.wait_ready(1));
  ASSERT_TRUE(sink->send(1, std::make_shared<TimedBatch>(3, 0, steady_clock::now())));
  ASSERT_TRUE(heard.wait_lost());
  ASSERT_TRUE(heard.wait_ready(2)) << "it connects again";
  sink->stop(milliseconds{0});
  EXPECT_THAT(heard.lost().front(), std::string(kTooLate));
  EXPECT_THAT(heard.delivered(), IsEmpty());
  EXPECT_THAT(server.uids(), IsEmpty());
}

TEST(SinkDeadline, APeerThatIsTooSlowIsLeftWithHalfOfIt) {
  ScriptedServer server({.receive_buffer = 8'192, .paused = true});
  Heard heard;
  const auto sink = make_sink(patient(server.port()), heard);
  sink->start();
  ASSERT_TRUE(heard.wait_ready(1));
  // More than any kernel buffers between the two take.
  ASSERT_TRUE(sink->send(1, std::make_shared<TimedBatch>(64, 1u << 20, steady_clock::now() + milliseconds{200})));
  ASSERT_TRUE(heard.wait_lost());
  sink->stop(milliseconds{0});
  EXPECT_THAT(heard.lost().front(), std::string(kTooLate));
  EXPECT_THAT(heard.delivered(), IsEmpty());
}

TEST(SinkDeadline, FilesAndDatagramsKeepItToo) {
  const auto path = std::filesystem::path(testing::TempDir()) / ("sink_deadline_" + std::to_string(getpid()));
  for (const bool file : {true, false}) {
    auto options = quick_options(1);
    options.address = {};
    options.address.scheme = file ? Scheme::kFile : Scheme::kUdp;
    options.address.host = "127.0.0.1";
    options.address.port = 9;
    options.address.path = path.string();
    Heard heard;
    const auto sink = make_sink(options, heard);
    sink->start();
    ASSERT_TRUE(heard.wait_ready(1));
    ASSERT_TRUE(sink->send(1, std::make_shared<TimedBatch>(2, 0, steady_clock::now())));
    ASSERT_TRUE(heard.wait_lost());
    sink->stop(milliseconds{0});
    EXPECT_THAT(heard.lost().front(), std::string(kTooLate));
    EXPECT_THAT(heard.delivered(), IsEmpty());
  }
  EXPECT_EQ(std::filesystem::file_size(path), 0U);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace detection::tak
