#include "app/release_watch.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "store/forwarding_store.hpp"

namespace detection::app {
namespace {

using namespace std::chrono_literals;

bool wait_until(const std::function<bool()>& condition) {
  const auto by = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > by) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

/// Says of the release what it is told to say.
class Fenced final : public store::ForwardingStore {
 public:
  store::StoreStatus status() override {
    store::StoreStatus status;
    status.release = {"green", std::string(delivers ? "green" : "blue"), delivers};
    return status;
  }
  std::atomic<bool> delivers{false};

 private:
  [[nodiscard]] store::Store* target() const noexcept override { return nullptr; }
};

TEST(ReleaseWatch, TheMetricFollowsTheFenceAndEachChangeIsTold) {
  Fenced store;
  telemetry::Metrics metrics;
  telemetry::Log log(-1);
  std::atomic<int> changes{0};
  ReleaseWatch watch(store, "green", [&] { ++changes; }, metrics, log);
  const auto shows = [&](const char* value) {
    return metrics.expose().find("release_slot_active{slot=\"green\"} " + std::string(value) + "\n") !=
           std::string::npos;
  };
  watch.start(1ms);
  EXPECT_TRUE(shows("0"));
  store.delivers = true;
  EXPECT_TRUE(wait_until([&] { return shows("1"); }));
  EXPECT_TRUE(wait_until([&] { return changes == 1; }));
  store.delivers = false;
  EXPECT_TRUE(wait_until([&] { return shows("0"); }));
  EXPECT_TRUE(wait_until([&] { return changes == 2; }));
  watch.stop();
  store.delivers = true;
  watch.stop();
  EXPECT_TRUE(shows("0")) << "it looks no more";
}

TEST(ReleaseWords, SayWhoDelivers) {
  EXPECT_EQ(store::release_words({}), "it has no slot and always delivers");
  EXPECT_EQ(store::release_words({"blue", "blue", true}), "slot blue is the active one");
  EXPECT_EQ(store::release_words({"green", "blue", false}), "slot green is not the active one (blue)");
  EXPECT_EQ(store::release_words({"green", std::nullopt, false}),
            "slot green is not the active one (none was ever set)");
}

}  // namespace
}  // namespace detection::app
