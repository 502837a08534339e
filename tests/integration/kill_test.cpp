// kill -9 at random moments under load. What was acknowledged must be there afterwards, whole, and reach the TAK
// server; what was not acknowledged is there whole or not at all. Repeat a run with DETECTION_SEED; DETECTION_KILLS
// sets how often.

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <random>
#include <thread>

#include "integration/support/fast_sink.hpp"
#include "integration/support/records.hpp"
#include "integration/support/requests.hpp"

namespace detection::integration {
namespace {

constexpr unsigned kClients = 8;

/// A request without an answer: stored or not, nobody knows yet.
struct Doubt {
  std::string target, body;
  std::vector<std::string> ids;  ///< empty: the service would have minted them
  std::size_t count = 0;
};

struct Ledger {
  std::mutex mutex;
  std::vector<std::string> acknowledged;
  std::vector<Doubt> doubts;
  std::uint64_t refused = 0;
};

void post_until(const std::atomic<bool>& stop, const Service& service, std::uint64_t seed, Ledger& ledger) {
  std::mt19937_64 random(seed);
  auto client = service.client();
  while (!stop.load()) {
    const bool batch = random() % 10 < 4;
    const std::size_t count = batch ? 2 + random() % 19 : 1;
    Doubt request{batch ? "/api/v1/detections/batch" : "/api/v1/detections", {}, {}, count};
    if (random() % 2 == 0)
      for (std::size_t i = 0; i < count; ++i) request.ids.push_back(random_uuid(random));
    const auto number = random() % 1'000'000;
    request.body = batch ? batch_json(number, count, request.ids)
                         : detection_json(number, request.ids.empty() ? std::string_view{} : request.ids.front());
    const auto answer = client.post(request.target, request.body);
    if (!answer) {
      if (client.reached()) {
        const std::scoped_lock lock(ledger.mutex);
        ledger.doubts.push_back(std::move(request));
      } else {
        sleep_ms(2);
      }
      continue;
    }
    if (answer->status != 200 && answer->status != 201) {
      EXPECT_EQ(answer->status, 503) << answer->body;
      const std::scoped_lock lock(ledger.mutex);
      ++ledger.refused;
      continue;
    }
    auto ids = accepted_ids(*answer);
    EXPECT_EQ(ids.size(), count);
    if (!request.ids.empty()) {
      EXPECT_EQ(ids, request.ids);
    }
    const std::scoped_lock lock(ledger.mutex);
    ledger.acknowledged.insert(ledger.acknowledged.end(), ids.begin(), ids.end());
  }
}

void kill_at_random(Service& service, std::mt19937_64& random, std::uint64_t kills) {
  for (std::uint64_t i = 0; i < kills; ++i) {
    service.launch();
    if (random() % 4 == 0) {
      sleep_ms(static_cast<int>(random() % 80));  // while it starts, maybe while it recovers
    } else {
      ASSERT_TRUE(service.wait_ready(std::chrono::seconds(20))) << "after kill " << i << "\n" << service.log();
      sleep_ms(static_cast<int>(20 + random() % 230));
    }
    ASSERT_TRUE(service.child().running()) << "it ended by itself\n" << service.log();
    service.kill();
  }
}

TEST(Kill, LosesNothingThatWasAcknowledged) {
  const auto kills = env_number("DETECTION_KILLS", 20);
  const auto seed = env_number("DETECTION_SEED", std::random_device{}());
  std::printf("DETECTION_SEED=%llu DETECTION_KILLS=%llu\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(kills));
  std::mt19937_64 random(seed);
  FastSink sink;
  sink.start();
  Service service({binary(), {sink.url()}});
  Ledger ledger;
  {
    std::atomic<bool> stop{false};
    std::vector<std::jthread> clients;
    for (unsigned i = 0; i < kClients; ++i)
      clients.emplace_back([&, client_seed = random()] { post_until(stop, service, client_seed, ledger); });
    kill_at_random(service, random, kills);
    stop.store(true);
  }
  if (HasFatalFailure()) return;
  service.start();
  ASSERT_TRUE(drained(service, std::chrono::seconds(120))) << service.metrics();

  const auto records = list_all(service);
  std::unordered_set<std::string> known;  // every id that a client knows of
  std::vector<std::string> lost;
  std::size_t twice = 0;
  for (const auto& id : ledger.acknowledged) {
    if (!records.contains(id)) lost.push_back(id);
    twice += known.insert(id).second ? 0 : 1;
  }
  EXPECT_TRUE(lost.empty()) << lost.size() << " were acknowledged and are lost, the first is " << lost.front();
  EXPECT_EQ(twice, 0U) << "ids minted twice";
  std::size_t in_doubt = 0, minted_in_doubt = 0, half = 0;
  for (const auto& doubt : ledger.doubts) {
    in_doubt += doubt.count;
    if (doubt.ids.empty()) minted_in_doubt += doubt.count;
    std::size_t present = 0;
    for (const auto& id : doubt.ids) {
      known.insert(id);
      present += records.count(id);
    }
    if (present != 0 && present != doubt.ids.size()) ++half;
  }
  EXPECT_EQ(half, 0U) << "batches that are there in part";
  std::size_t unknown = 0;
  for (const auto& [id, record] : records) unknown += known.contains(id) ? 0 : 1;
  EXPECT_LE(unknown, minted_in_doubt) << "records that nobody sent";

  const auto uids = sink.uids();
  std::size_t missing = 0, repeats = 0;
  for (const auto& [id, record] : records) {
    EXPECT_EQ(record.state, "delivered") << id;
    const auto found = uids.find(record.uid);
    if (found == uids.end())
      ++missing;
    else
      repeats += found->second - 1;
  }
  EXPECT_EQ(missing, 0U) << "recorded, delivered, and never confirmed by the TAK server";
  EXPECT_EQ(uids.size() + missing, records.size()) << "the TAK server has events that the record has not";
  EXPECT_EQ(sink.malformed(), 0U);

  auto client = service.client();
  for (std::size_t i = 0; i < std::min<std::size_t>(200, ledger.acknowledged.size()); ++i) {
    const auto& id = ledger.acknowledged[random() % ledger.acknowledged.size()];
    const auto answer = client.get("/api/v1/detections/" + id);
    ASSERT_TRUE(answer && answer->status == 200) << id;
  }
  for (const auto& doubt : ledger.doubts) {
    if (doubt.ids.empty()) continue;
    const bool was_there = records.contains(doubt.ids.front());
    const auto answer = client.post(doubt.target, doubt.body);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, was_there || doubt.target.ends_with("batch") ? 200 : 201) << answer->body;
    EXPECT_EQ(accepted_ids(*answer), doubt.ids);
  }

  const auto ended = service.terminate();
  ASSERT_TRUE(ended) << "SIGTERM did not end it";
  EXPECT_FALSE(ended->signalled);
  EXPECT_EQ(ended->code, 0);
  const auto verdict =
      run({binary().string(), "audit", "verify", "--data-dir", service.data_dir().string()}, std::chrono::minutes(2));
  EXPECT_EQ(verdict.exit.code, 0) << verdict.out << verdict.err;
  std::printf("acknowledged %zu, in doubt %zu in %zu requests, refused %llu, recorded %zu, repeats at TAK %zu\n",
              ledger.acknowledged.size(), in_doubt, ledger.doubts.size(),
              static_cast<unsigned long long>(ledger.refused), records.size(), repeats);
  EXPECT_GT(ledger.acknowledged.size(), kills) << "there was no load";
}

}  // namespace
}  // namespace detection::integration
