#include "integration/support/posting.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <thread>

#include "integration/support/records.hpp"
#include "integration/support/requests.hpp"

namespace detection::integration {
namespace {

constexpr std::size_t kBatch = 400;

bool post_batch(HttpClient& client, std::size_t first, std::size_t count, Uids& uids) {
  const auto answer = client.post("/api/v1/detections/batch", batch_json(first, count, {}));
  if (!answer || answer->status != 200) {
    ADD_FAILURE() << (answer ? answer->body : "no answer");
    return false;
  }
  for (const auto& id : accepted_ids(*answer)) uids.insert("DET." + id);
  return true;
}

}  // namespace

Uids post_mixed(const Service& service, std::size_t count) {
  std::mutex mutex;
  Uids uids;
  const std::size_t singles = count / 5;
  std::vector<std::jthread> clients;
  for (unsigned half = 0; half < 2; ++half)
    clients.emplace_back([&, half] {
      auto client = service.client();
      for (std::size_t i = half; i < singles; i += 2) {
        const auto answer = client.post("/api/v1/detections", detection_json(i));
        ASSERT_TRUE(answer && answer->status == 201);
        const auto ids = accepted_ids(*answer);
        const std::scoped_lock lock(mutex);
        for (const auto& id : ids) uids.insert("DET." + id);
      }
    });
  auto client = service.client();
  Uids in_batches;
  for (std::size_t done = singles; done < count; done += kBatch)
    if (!post_batch(client, done, std::min(kBatch, count - done), in_batches)) break;
  clients.clear();
  uids.merge(in_batches);
  return uids;
}

Uids post_over(const Service& service, std::size_t count, std::chrono::milliseconds time) {
  Uids uids;
  auto client = service.client();
  const auto begin = std::chrono::steady_clock::now();
  constexpr std::chrono::milliseconds kStep{100};
  const auto steps = std::max<std::size_t>(1, static_cast<std::size_t>(time / kStep));
  const std::size_t batch = std::clamp<std::size_t>((count + steps - 1) / steps, 1, kBatch);
  for (std::size_t done = 0; done < count; done += batch) {
    if (!post_batch(client, done, std::min(batch, count - done), uids)) break;
    // When so much of them should have been posted; late is no reason to wait.
    std::this_thread::sleep_until(begin + time * static_cast<std::int64_t>(done + batch) /
                                              static_cast<std::int64_t>(std::max(count, done + batch)));
  }
  return uids;
}

bool drained(const Service& service, const std::vector<std::string>& sinks, std::chrono::milliseconds most) {
  return wait_until(most, [&] {
    const auto empty = [&](const std::string& sink) {
      const auto size = service.metric("offline_queue_size{sink=\"" + sink + "\"}");
      return size && *size == 0;
    };
    if (std::ranges::all_of(sinks, empty)) return true;
    sleep_ms(50);
    return false;
  });
}

nlohmann::json delivery_of(const Service& service, const std::string& sink) {
  auto client = service.client();
  const auto answer = client.get("/api/v1/delivery");
  if (!answer || answer->status != 200) return nullptr;
  const auto all = nlohmann::json::parse(answer->body);
  for (const auto& one : all.at("sinks"))
    if (one.at("sink") == sink) return one;
  return nullptr;
}

Comparison compare(const Uids& posted, const UidCounts& received) {
  Comparison found;
  for (const auto& uid : posted) found.missing += received.contains(uid) ? 0 : 1;
  for (const auto& [uid, times] : received) {
    found.strange += posted.contains(uid) ? 0 : 1;
    found.repeated += times - 1;
  }
  return found;
}

}  // namespace detection::integration
