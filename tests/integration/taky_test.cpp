// A foreign TAK server (taky) and a foreign TAK client (pytak): every detection posted over HTTP is received by both.
// Skipped, and said so, where their Python environments cannot be made (tests/peers/setup_venv.sh).

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <thread>

#include "integration/support/posting.hpp"
#include "integration/support/records.hpp"

namespace detection::integration {
namespace {

using std::chrono::seconds;

/// Of the courier: batches in flight times their events; so much may be sent again after a cut.
constexpr std::size_t kInFlightMost = 4 * 512;

class TakyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const std::string peer : {"taky", "pytak"})
      if (const auto why = peer_missing({"setup_venv.sh", peer})) GTEST_SKIP() << "no " << peer << ": " << *why;
  }

  const std::size_t count_ = env_number("DETECTION_TAKY", 10'000);
};

TEST_F(TakyTest, ReceivesEveryDetectionOnceAndSoDoesASubscriber) {
  Taky taky;
  taky.start();
  const TempDir dir;
  const auto events = dir.path() / "events";
  const auto said = dir.path() / "subscriber";
  Child subscriber({peer_script("pytak_subscriber.py"), "--url", taky.url(), "--output", events.string()}, said);
  ASSERT_TRUE(wait_until(seconds(40), [&] { return read_file(said.string() + ".out").starts_with("connected 1"); }))
      << read_file(said.string() + ".err");

  Service service({binary(), {taky.url()}, {"--cot-stale", "1h"}});
  service.start();
  const auto uids = post_mixed(service, count_);
  ASSERT_EQ(uids.size(), count_);
  ASSERT_TRUE(drained(service, seconds(120))) << service.log();

  const auto received = taky.received();
  std::size_t missing = 0, repeated = 0;
  for (const auto& uid : uids) {
    const auto found = received.find(uid);
    missing += found == received.end() ? 1 : 0;
    repeated += found != received.end() && found->second > 1 ? 1 : 0;
  }
  EXPECT_EQ(missing, 0U);
  EXPECT_EQ(repeated, 0U);

  std::map<std::string, std::size_t> parsed;
  const auto all_parsed = [&] {
    sleep_ms(200);
    parsed.clear();
    std::istringstream lines(read_file(events));
    for (std::string line; std::getline(lines, line) && !lines.eof();)
      if (const auto uid = nlohmann::json::parse(line).value("uid", std::string()); uids.contains(uid)) ++parsed[uid];
    return parsed.size() == uids.size();
  };
  EXPECT_TRUE(wait_until(seconds(60), all_parsed)) << parsed.size() << " of " << uids.size();
  EXPECT_TRUE(std::ranges::all_of(parsed, [](const auto& one) { return one.second == 1; }));
  subscriber.signal(SIGTERM);
  const auto ended = subscriber.wait(seconds(10));
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->code, 0) << "events that broke a rule: " << read_file(said.string() + ".out");
}

TEST_F(TakyTest, KilledAndRestartedInTheMiddleItHasThemAll) {
  Taky taky;
  taky.start();
  Service service({binary(), {taky.url()}, {"--cot-stale", "1h"}});
  service.start();
  Uids uids;
  std::jthread poster([&] { uids = post_mixed(service, count_); });
  const auto a_third = [&] { return taky.received().size() > count_ / 3; };
  const bool in_the_middle = wait_until(seconds(60), a_third);
  taky.kill();
  const auto before = taky.received().size();
  poster.join();  // they are accepted with TAK away
  ASSERT_TRUE(in_the_middle);
  EXPECT_LT(before, count_) << "it had them all before it was killed";
  ASSERT_EQ(uids.size(), count_);
  EXPECT_EQ(service.ready_status(), 200);
  taky.start();
  ASSERT_TRUE(drained(service, seconds(120))) << service.log();
  const auto received = taky.received();
  std::size_t missing = 0, repeats = 0;
  for (const auto& uid : uids) {
    const auto found = received.find(uid);
    if (found == received.end())
      ++missing;
    else
      repeats += found->second - 1;
  }
  EXPECT_EQ(missing, 0U);
  EXPECT_LE(repeats, kInFlightMost);
  std::printf("killed after %zu of %zu, %zu sent again\n", before, count_, repeats);
}

}  // namespace
}  // namespace detection::integration
