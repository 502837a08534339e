#pragma once
// What a service under test holds, read through its API with the checks that every record must pass.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "integration/support/service.hpp"
#include "test_paths.hpp"

namespace detection::integration {

inline std::filesystem::path binary() {
  return DETECTION_BINARY_ROOT "/bin/detection-api";
}

struct Record {
  std::string uid, state;
};
/// By detection id.
using Records = std::unordered_map<std::string, Record>;

/// Every record by GET /api/v1/detections, page by page; a failure of the test where one is not complete or comes
/// twice.
inline Records list_all(const Service& service, std::string_view filter = {}) {
  Records records;
  auto client = service.client();
  std::string cursor;
  while (true) {
    std::string target = "/api/v1/detections?limit=1000";
    if (!filter.empty()) target.append("&").append(filter);
    if (!cursor.empty()) target += "&cursor=" + cursor;
    const auto page = client.get(target);
    if (!page || page->status != 200) {
      ADD_FAILURE() << target << ": " << (page ? page->body : "no answer");
      return records;
    }
    const auto json = nlohmann::json::parse(page->body);
    for (const auto& item : json.at("items")) {
      const auto id = item.at("detection_id").get<std::string>();
      const Record record{item.at("cot").at("uid").get<std::string>(),
                          item.at("delivery").at("state").get<std::string>()};
      EXPECT_EQ(record.uid, "DET." + id);
      EXPECT_TRUE(item.at("position").at("lat").is_number() && item.at("position").at("lon").is_number()) << item;
      EXPECT_GT(item.at("accuracy").at("ce90_m").get<double>(), 0) << item;
      EXPECT_EQ(item.at("flag"), "GREEN") << item;
      EXPECT_TRUE(records.emplace(id, record).second) << id << " is listed twice";
    }
    if (json.at("next_cursor").is_null()) return records;
    cursor = json.at("next_cursor").get<std::string>();
  }
}

/// The ids of an answer to a POST of one detection or of a batch; every one must be accepted.
inline std::vector<std::string> accepted_ids(const Response& answer) {
  std::vector<std::string> ids;
  const auto json = nlohmann::json::parse(answer.body);
  if (!json.contains("results")) return {json.at("detection_id").get<std::string>()};
  for (const auto& result : json.at("results")) {
    EXPECT_TRUE(result.at("status") == 201 || result.at("status") == 200) << result;
    ids.push_back(result.at("detection_id").get<std::string>());
  }
  return ids;
}

/// Waits until nothing is queued for the sink called `tak`.
inline bool drained(const Service& service, std::chrono::milliseconds most) {
  return wait_until(most, [&] {
    const auto size = service.metric(R"(offline_queue_size{sink="tak"})");
    if (size && *size == 0) return true;
    sleep_ms(20);
    return false;
  });
}

}  // namespace detection::integration
