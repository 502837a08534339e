// backup, verify and restore of the real binary beside a running serve, and what is left when they are broken off.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <thread>

#include "integration/support/records.hpp"
#include "integration/support/requests.hpp"

namespace detection::integration {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

std::vector<std::filesystem::path> snapshots(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  std::error_code failure;
  for (std::filesystem::directory_iterator at(folder, failure), end; !failure && at != end; at.increment(failure))
    if (at->path().extension() == ".snapshot") found.push_back(at->path());
  return found;
}

class BackupCommands : public ::testing::Test {
 protected:
  // In small pieces with rests, as beside those who serve, and yet done soon.
  static void SetUpTestSuite() { ::setenv("DETECTION_BACKUP_SHARE", "60", 1); }  // NOLINT(concurrency-mt-unsafe)
  [[nodiscard]] std::filesystem::path folder() const { return dir_.path() / "backup"; }
  [[nodiscard]] std::vector<std::string> command(std::vector<std::string> words) const {
    words.insert(words.begin(), binary().string());
    return words;
  }
  [[nodiscard]] Output backup(const std::filesystem::path& data, const std::vector<std::string>& more = {}) const {
    auto words = command({"backup", "--data-dir", data.string(), "--output", folder().string(), "--json"});
    words.insert(words.end(), more.begin(), more.end());
    return run(words, seconds(120));
  }
  [[nodiscard]] Output verify(const std::filesystem::path& file, const std::vector<std::string>& more = {}) const {
    auto words = command({"verify", file.string(), "--json"});
    words.insert(words.end(), more.begin(), more.end());
    return run(words, seconds(120));
  }
  /// Each of the folder is good; how many there are.
  [[nodiscard]] std::size_t good_snapshots() const {
    const auto all = snapshots(folder());
    for (const auto& file : all) {
      const auto said = verify(file);
      EXPECT_EQ(said.exit.code, 0) << file << ": " << said.err;
    }
    return all.size();
  }
  /// A store with so many detections, which nobody serves.
  void fill(Service& service, int batches) const {
    service.start();
    auto client = service.client();
    std::uint64_t number = 1'000'000;
    for (int i = 0; i < batches; ++i) {
      std::string body = "[";
      for (int k = 0; k < 500; ++k) body += (k == 0 ? "" : ",") + detection_json(++number);
      const auto answer = client.post("/api/v1/detections/batch", body + "]");
      ASSERT_TRUE(answer && answer->status == 200);
    }
    ASSERT_TRUE(service.terminate());
  }

  TempDir dir_;
};

TEST_F(BackupCommands, BesideAServiceUnderLoadNothingAcknowledgedBeforeIsMissing) {
  Service service({binary(), {"tcp://127.0.0.1:9"}});
  service.start();
  EXPECT_EQ(service.metric("backup_last_success_timestamp_seconds"), 0) << "there was none yet";
  std::mutex mutex;
  std::set<std::string> acknowledged;
  std::atomic<bool> stop{false};
  std::vector<std::jthread> clients;
  for (unsigned i = 0; i < 4; ++i)
    clients.emplace_back([&, number = std::uint64_t{i} * 1'000'000]() mutable {
      auto client = service.client();
      while (!stop.load()) {
        const auto answer = client.post("/api/v1/detections", detection_json(++number));
        ASSERT_TRUE(answer && answer->status == 201);
        const auto ids = accepted_ids(*answer);
        const std::scoped_lock lock(mutex);
        acknowledged.insert(ids.begin(), ids.end());
      }
    });
  std::set<std::string> before;
  Output made;
  for (int i = 0; i < 3; ++i) {
    sleep_ms(300);
    {
      const std::scoped_lock lock(mutex);
      before = acknowledged;
    }
    made = backup(service.data_dir());
    ASSERT_EQ(made.exit.code, 0) << made.err;
  }
  stop.store(true);
  clients.clear();
  EXPECT_GT(before.size(), 20U);
  const auto said = nlohmann::json::parse(made.out);
  EXPECT_TRUE(said.at("audit_valid").get<bool>());
  EXPECT_GE(said.at("detections").get<std::size_t>(), before.size());
  EXPECT_EQ(good_snapshots(), 3U);

  // The metrics of the service know of it, and of a check.
  const auto checked = verify(folder(), {"--restore", "--record", "--data-dir", service.data_dir().string()});
  ASSERT_EQ(checked.exit.code, 0) << checked.err;
  EXPECT_TRUE(wait_until(seconds(60), [&] {
    return service.metric("backup_last_success_timestamp_seconds").value_or(0) > 1.7e9 &&
           service.metric("backup_last_verified_timestamp_seconds").value_or(0) > 1.7e9;
  })) << service.metrics();

  // And what was acknowledged before the last one began is served by who takes it over.
  Service other({binary(), {"tcp://127.0.0.1:9"}});
  const auto restored = run(command({"restore", said.at("file"), "--data-dir", other.data_dir().string(), "--json"}));
  ASSERT_EQ(restored.exit.code, 0) << restored.err;
  other.start();
  const auto records = list_all(other);
  for (const auto& id : before) ASSERT_TRUE(records.contains(id)) << id;
}

// At any moment: in the reading, the sealing, the check, the naming.
TEST_F(BackupCommands, AKillAtAnyMomentLeavesNothingThatLooksGood) {
  Service service({binary(), {"tcp://127.0.0.1:9"}});
  fill(service, 16);
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_EQ(backup(service.data_dir()).exit.code, 0);
  auto whole = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begun);
  const auto seed = env_number("DETECTION_SEED", std::random_device{}());
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto trials = env_number("DETECTION_KILLS", 20);
  std::uint64_t killed = 0;
  for (std::uint64_t i = 0; killed < trials; ++i) {
    ASSERT_LT(i, 10 * trials) << killed << " were killed";
    Child child(command({"backup", "--data-dir", service.data_dir().string(), "--output", folder().string()}),
                dir_.path() / "killed");
    const std::chrono::microseconds moment(random() % static_cast<std::uint64_t>(whole.count()));
    std::this_thread::sleep_for(moment);
    child.signal(SIGKILL);
    const auto ended = child.wait(seconds(20));
    ASSERT_TRUE(ended);
    // The first one may have met a slow moment of the machine: this one took no longer than that.
    if (ended->signalled)
      ++killed;
    else
      whole = std::max(moment, std::chrono::microseconds(1));
    ASSERT_GE(good_snapshots(), 1U);
  }
  // The next one works, and takes away what they left.
  ASSERT_EQ(backup(service.data_dir()).exit.code, 0);
  for (const auto& entry : std::filesystem::directory_iterator(folder()))
    EXPECT_EQ(entry.path().string().find(".partial"), std::string::npos) << entry.path();
}

TEST_F(BackupCommands, AFullDiskLeavesNothingThatLooksGood) {
  Service service({binary(), {"tcp://127.0.0.1:9"}});
  fill(service, 8);
  ASSERT_EQ(backup(service.data_dir()).exit.code, 0);
  const auto size = std::filesystem::file_size(snapshots(folder()).front());
  // No file may become longer than this: as where the disk is full.
  std::size_t refused = 0;
  for (const auto part : {1, 10, 50, 90, 97, 99, 100}) {
    const auto blocks = std::to_string(size * static_cast<std::uintmax_t>(part) / 100 / 1024);
    const auto said =
        run({"/bin/bash", "-c",
             "trap '' XFSZ; ulimit -f " + blocks + "; exec \"$0\" backup --data-dir \"$1\" --output \"$2\"",
             binary().string(), service.data_dir().string(), folder().string()},
            seconds(60));
    if (said.exit.code != 0) {
      ++refused;
      EXPECT_EQ(said.exit.code, 1);
      EXPECT_THAT(said.err, HasSubstr("detection-api: ")) << part;
    }
    (void)good_snapshots();
    for (const auto& entry : std::filesystem::directory_iterator(folder()))
      EXPECT_EQ(entry.path().string().find(".partial"), std::string::npos) << part << ": " << entry.path();
  }
  EXPECT_GE(refused, 6U);
}

TEST_F(BackupCommands, SayInTheirExitCodesWhatIsWrong) {
  Service service({binary(), {"tcp://127.0.0.1:9"}});
  fill(service, 1);
  EXPECT_EQ(run(command({"backup", "--data-dir", service.data_dir().string()})).exit.code, 2);
  EXPECT_EQ(backup(service.data_dir(), {"--keep", "often"}).exit.code, 2);
  EXPECT_EQ(backup(service.data_dir(), {"--s3", "http://bucket"}).exit.code, 2);
  EXPECT_EQ(backup(dir_.path() / "nowhere").exit.code, 1);
  EXPECT_EQ(verify(dir_.path() / "none.snapshot").exit.code, 1);
  EXPECT_EQ(verify(dir_.path()).exit.code, 1);
  EXPECT_EQ(snapshots(folder()).size(), 0U);
  const auto made = backup(service.data_dir());
  ASSERT_EQ(made.exit.code, 0) << made.err;
  const std::string file = nlohmann::json::parse(made.out).at("file");
  EXPECT_EQ(run(command({"restore", file, "--data-dir", service.data_dir().string()})).exit.code, 1);
  service.start();
  const auto served = run(command({"restore", file, "--replace", "--data-dir", service.data_dir().string()}));
  EXPECT_EQ(served.exit.code, 1);
  EXPECT_THAT(served.err, HasSubstr("in use by another process"));
  auto bytes = read_file(file);
  bytes[bytes.size() / 3] = static_cast<char>(bytes[bytes.size() / 3] ^ 4);
  write_file(file, bytes);
  const auto damaged = verify(file);
  EXPECT_EQ(damaged.exit.code, 1);
  EXPECT_THAT(damaged.err, HasSubstr("it was changed or damaged"));
}

}  // namespace
}  // namespace detection::integration
