// The sink against real peers: taky (a TAK server) and pytak (a client that subscribes to it). Skipped, loudly, where
// their environments are missing: tests/peers/setup_venv.sh taky && tests/peers/setup_venv.sh pytak.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tak/sink.hpp"
#include "tak/test_feeder.hpp"
#include "test_paths.hpp"

namespace detection::tak {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
constexpr seconds kPatience{60};
constexpr std::size_t kBatches = 20, kPerBatch = 100, kEvents = kBatches * kPerBatch;

const std::string kPeers = std::string(DETECTION_SOURCE_ROOT) + "/tests/peers/";

class Process {
 public:
  explicit Process(std::vector<std::string> command) {
    int ends[2] = {-1, -1};
    if (::pipe(ends) != 0) std::abort();
    std::vector<char*> arguments;
    for (std::string& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      (void)::prctl(PR_SET_PDEATHSIG, SIGTERM);
      (void)::dup2(ends[1], STDOUT_FILENO);
      (void)::close(ends[0]);
      (void)::close(ends[1]);
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    out_ = ::fdopen(ends[0], "r");
  }
  ~Process() {
    signal_to(SIGTERM);
    (void)wait();
    (void)std::fclose(out_);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// The next line, without its end; empty at the end of the output.
  std::string line() {
    char text[512];
    if (std::fgets(text, sizeof text, out_) == nullptr) return {};
    std::string result = text;
    if (result.ends_with('\n')) result.pop_back();
    return result;
  }
  void signal_to(int number) const {
    if (pid_ > 0) (void)::kill(pid_, number);
  }
  int wait() {
    if (pid_ > 0) {
      (void)::waitpid(pid_, &status_, 0);
      pid_ = -1;
    }
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  }

 private:
  pid_t pid_ = -1;
  int status_ = 0;
  std::FILE* out_ = nullptr;
};

class RealPeers : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"taky", "pytak"}) {
      if (!std::filesystem::exists(std::string(DETECTION_SOURCE_ROOT) + "/.cache/venv/" + name + "/.requirements")) {
        GTEST_SKIP() << "SKIPPED, NOT TESTED: no environment of the peer '" << name
                     << "'; make it with tests/peers/setup_venv.sh " << name;
      }
    }
    std::string pattern = (std::filesystem::temp_directory_path() / "tak_peers.XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    start_taky();
    subscriber_ = std::make_unique<Process>(std::vector<std::string>{
        "/usr/bin/python3", kPeers + "pytak_subscriber.py", "--url", "tcp://127.0.0.1:" + std::to_string(port_),
        "--output", (folder_ / "seen.ndjson").string()});
    ASSERT_EQ(subscriber_->line(), "connected 1");
  }
  void TearDown() override {
    subscriber_.reset();
    taky_.reset();
    if (!folder_.empty() && !HasFailure()) std::filesystem::remove_all(folder_);
  }

  void start_taky() {
    taky_ = std::make_unique<Process>(std::vector<std::string>{"/usr/bin/python3", kPeers + "taky_server.py", "--dir",
                                                               folder_.string(), "--port", std::to_string(port_)});
    std::istringstream words(taky_->line());
    std::string ready;
    words >> ready >> port_ >> taky_pid_;
    ASSERT_EQ(ready, "ready");
  }

  SinkOptions options() const {
    SinkOptions options;
    options.address = {.scheme = Scheme::kTcp, .host = "127.0.0.1", .port = port_};
    return options;
  }

  /// What taky has accepted, by uid, over its restarts. Events that it refused are there too, with a mark.
  std::set<std::string> logged() const {
    std::set<std::string> uids;
    static const std::regex kUid("<event [^>]*uid=\"([^\"]*)\"");
    for (const auto& file : std::filesystem::directory_iterator(folder_ / "cot")) {
      std::ifstream in(file.path());
      const std::string text{std::istreambuf_iterator<char>(in), {}};
      EXPECT_EQ(text.find("__taky_err"), std::string::npos) << "taky refused an event";
      for (std::sregex_iterator at(text.begin(), text.end(), kUid), end; at != end; ++at) uids.insert((*at)[1]);
    }
    return uids;
  }

  struct Seen {
    std::set<std::string> uids;
    std::size_t events = 0;
    std::size_t again_in_one_connection = 0;
  };
  Seen seen() const {
    Seen seen;
    std::set<std::pair<int, std::string>> once;
    std::ifstream in(folder_ / "seen.ndjson");
    for (std::string line; std::getline(in, line);) {
      const auto event = nlohmann::json::parse(line, nullptr, false);
      if (event.is_discarded()) continue;  // the last line may be half written
      EXPECT_FALSE(event.contains("bad")) << line;
      const std::string uid = event.value("uid", "");
      ++seen.events;
      seen.uids.insert(uid);
      if (!once.emplace(event.value("connection", 0), uid).second) ++seen.again_in_one_connection;
    }
    return seen;
  }
  Seen wait_until_seen(std::size_t different) const {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    Seen now = seen();
    while (now.uids.size() < different && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(milliseconds{50});
      now = seen();
    }
    return now;
  }

  static std::set<std::string> expected() {
    std::set<std::string> uids;
    for (std::size_t b = 0; b < kBatches; ++b) {
      for (std::size_t i = 0; i < kPerBatch; ++i) uids.insert("DET.b" + std::to_string(b) + "-" + std::to_string(i));
    }
    return uids;
  }

  std::filesystem::path folder_;
  std::unique_ptr<Process> taky_, subscriber_;
  std::uint16_t port_ = 0;
  pid_t taky_pid_ = -1;
};

constexpr auto kPlan = [] {
  return TestFeeder::Plan{.batches = kBatches,
                          .events_per_batch = kPerBatch,
                          .event_bytes = 1'000,
                          .attempt_in_uid = false,
                          .uid_prefix = "DET."};
};

TEST_F(RealPeers, EachEventArrivesOnceAtTakyAndItsSubscriber) {
  TestFeeder feeder(kPlan());
  const auto sink = make_sink(options(), feeder);
  feeder.attach(*sink);
  sink->start();
  ASSERT_TRUE(feeder.wait_done(kPatience));
  // The answer to our ping came: taky has written every event to its log already.
  EXPECT_EQ(logged(), expected());
  const Seen got = wait_until_seen(kEvents);
  EXPECT_EQ(got.uids, expected());
  EXPECT_EQ(got.events, kEvents) << "each event once";
  EXPECT_TRUE(sink->status().server_clock_ahead);
  sink->stop(seconds{5});
  EXPECT_EQ(feeder.confirmed, kBatches);
  EXPECT_EQ(feeder.ready, 1U);
  EXPECT_TRUE(feeder.faults.empty());
  subscriber_->signal_to(SIGTERM);
  const auto summary = nlohmann::json::parse(subscriber_->line());
  EXPECT_EQ(summary["bad"], 0);
  EXPECT_EQ(summary["uids"], kEvents);
  EXPECT_EQ(subscriber_->wait(), 0);
}

TEST_F(RealPeers, NothingIsLostWhenTakyIsKilledInTheMiddle) {
  TestFeeder feeder(kPlan());
  const auto sink = make_sink(options(), feeder);
  feeder.attach(*sink);
  // Killed in the course of the deliveries, by the delivery itself, so that it is always in the middle.
  std::size_t deliveries = 0;
  feeder.on_delivered = [&](BatchNumber, const std::vector<std::string>&, Delivery) {
    if (++deliveries == kBatches / 3) (void)::kill(taky_pid_, SIGKILL);
  };
  sink->start();
  ASSERT_TRUE(feeder.wait_for([](const TestFeeder& f) { return f.lost == 1; }, kPatience));
  (void)taky_->wait();
  EXPECT_GT(feeder.open(), 0U);
  start_taky();
  ASSERT_EQ(subscriber_->line(), "connected 2");
  ASSERT_TRUE(feeder.wait_done(kPatience));
  EXPECT_EQ(logged(), expected()) << "what was confirmed before the kill and what was sent after it";
  sink->stop(seconds{5});
  EXPECT_EQ(feeder.confirmed, kBatches);
  EXPECT_GE(feeder.ready, 2U);
  EXPECT_TRUE(feeder.faults.empty());
  // What taky had answered for and not yet passed on died with it: that is TAK's to lose, not ours. What a subscriber
  // gets after the restart comes whole.
  const Seen got = seen();
  for (const std::string& uid : got.uids) EXPECT_TRUE(expected().contains(uid)) << uid;
  EXPECT_EQ(got.again_in_one_connection, 0U);
}

}  // namespace
}  // namespace detection::tak
