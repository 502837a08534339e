// A foreign TAK server (taky) and a foreign TAK client (pytak): every detection posted over HTTP is received by both.
// Skipped, and said so, where their Python environments cannot be made (tests/peers/setup_venv.sh).

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <mutex>
#include <thread>

#include "integration/support/records.hpp"
#include "integration/support/requests.hpp"
#include "test_paths.hpp"

namespace detection::integration {
namespace {

using std::chrono::seconds;

const std::filesystem::path kRoot = DETECTION_SOURCE_ROOT;
/// Of the courier: batches in flight times their events; so much may be sent again after a cut.
constexpr std::size_t kInFlightMost = 4 * 512;

std::string peer_script(const char* name) {
  return (kRoot / "tests/peers" / name).string();
}

/// taky, in a folder and on a port of its own, as often as it is started.
class Taky {
 public:
  void start() {
    server_.reset();
    const auto output = dir_.path() / ("server-" + std::to_string(++starts_));
    server_ = std::make_unique<Child>(std::vector<std::string>{peer_script("taky_server.py"), "--dir", site().string(),
                                                               "--port", std::to_string(port_)},
                                      output);
    std::istringstream said;
    std::string ready;
    if (!wait_until(seconds(40),
                    [&] {
                      said = std::istringstream(read_file(output.string() + ".out"));
                      return !server_->running() || (said >> ready >> port_ >> pid_ && ready == "ready");
                    }) ||
        ready != "ready")
      throw std::runtime_error("taky does not start: " + read_file(output.string() + ".err"));
  }
  void kill() {
    ::kill(pid_, SIGKILL);
    (void)server_->wait(seconds(10));
  }

  /// Every event that it has logged: uid -> times. It flushes each one before it goes on.
  [[nodiscard]] std::map<std::string, std::size_t> received() const {
    std::map<std::string, std::size_t> uids;
    for (const auto& file : std::filesystem::directory_iterator(site() / "cot")) {
      const auto text = read_file(file.path());
      EXPECT_EQ(text.find("__taky_err"), std::string::npos) << "an event that taky refused";
      for (std::size_t at = 0; (at = text.find("<event ", at)) != std::string::npos; ++at) {
        const auto tag = text.substr(at, text.find('>', at) - at);
        const auto begin = tag.find(" uid=") + 6;
        ++uids[tag.substr(begin, tag.find(tag[begin - 1], begin) - begin)];
      }
    }
    return uids;
  }

  [[nodiscard]] std::string url() const { return "tcp://127.0.0.1:" + std::to_string(port_); }

 private:
  [[nodiscard]] std::filesystem::path site() const { return dir_.path() / "site"; }

  TempDir dir_;
  int starts_ = 0;
  std::uint16_t port_ = free_port();
  pid_t pid_ = -1;
  std::unique_ptr<Child> server_;
};

/// 8 of 10 in batches, the rest one by one from two connections; their CoT uids.
std::unordered_set<std::string> post_mixed(const Service& service, std::size_t count) {
  std::mutex mutex;
  std::unordered_set<std::string> uids;
  const auto add = [&](const Response& answer) {
    const auto ids = accepted_ids(answer);
    const std::scoped_lock lock(mutex);
    for (const auto& id : ids) uids.insert("DET." + id);
  };
  const std::size_t singles = count / 5;
  std::vector<std::jthread> clients;
  for (unsigned half = 0; half < 2; ++half)
    clients.emplace_back([&, half] {
      auto client = service.client();
      for (std::size_t i = half; i < singles; i += 2) {
        const auto answer = client.post("/api/v1/detections", detection_json(i));
        ASSERT_TRUE(answer && answer->status == 201);
        add(*answer);
      }
    });
  auto client = service.client();
  for (std::size_t done = singles; done < count;) {
    const auto now = std::min<std::size_t>(400, count - done);
    const auto answer = client.post("/api/v1/detections/batch", batch_json(done, now, {}));
    if (!answer || answer->status != 200) {
      ADD_FAILURE() << (answer ? answer->body : "no answer");
      break;
    }
    add(*answer);
    done += now;
  }
  clients.clear();
  return uids;
}

class TakyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const std::string peer : {"taky", "pytak"}) {
      const auto made = run({peer_script("setup_venv.sh"), peer}, std::chrono::minutes(5));
      if (made.exit.signalled || made.exit.code != 0) GTEST_SKIP() << "no " << peer << ": " << made.err;
    }
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
  std::unordered_set<std::string> uids;
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
