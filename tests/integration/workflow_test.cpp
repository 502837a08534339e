// A RED detection's way through a person's hands to TAK and back, and the live feed that shows it.

#include <gtest/gtest.h>

#include <thread>

#include "integration/support/fast_sink.hpp"
#include "integration/support/records.hpp"
#include "integration/support/requests.hpp"
#include "integration/support/sse_reader.hpp"

namespace detection::integration {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::string post_red(const Service& service, std::uint64_t number) {
  auto red = json::parse(detection_json(number));
  red["ai_confidence"] = 0.1;
  auto client = service.client();
  const auto answer = client.post("/api/v1/detections", red.dump());
  if (!answer || answer->status != 201) throw std::runtime_error(answer ? answer->body : "no answer");
  const auto body = json::parse(answer->body);
  EXPECT_EQ(body.at("delivery").at("state"), "held");
  return body.at("detection_id").get<std::string>();
}

json decide(const Service& service, const std::string& id, bool verified, std::string_view notes = "seen twice") {
  auto client = service.client();
  const auto answer = client.request("PUT", "/api/v1/detections/" + id + "/verify",
                                     json{{"verified", verified}, {"notes", notes}}.dump());
  EXPECT_TRUE(answer && answer->status == 200) << (answer ? answer->body : "no answer");
  return answer ? json::parse(answer->body, nullptr, false) : json{};
}

std::string state_of(const Service& service, const std::string& id) {
  auto client = service.client();
  const auto answer = client.get("/api/v1/detections/" + id);
  if (!answer || answer->status != 200) return {};
  return json::parse(answer->body).at("delivery").at("state").get<std::string>();
}

std::uint32_t times(const FastSink& sink, const std::string& uid) {
  const auto uids = sink.uids();
  const auto found = uids.find(uid);
  return found == uids.end() ? 0 : found->second;
}

TEST(Workflow, HeldReleasedDeliveredAndTakenBack) {
  FastSink sink;
  sink.start();
  Service service({binary(), {sink.url()}, {}});
  service.start();
  const auto id = post_red(service, 1);
  const auto other = post_red(service, 2);
  sleep_ms(300);
  EXPECT_EQ(sink.events_read(), 0U) << "a held one went out";

  const auto released = decide(service, id, true);
  EXPECT_EQ(released.at("verification").at("verified"), true);
  EXPECT_EQ(released.at("verification").at("notes"), "seen twice");
  EXPECT_EQ(released.at("verification").at("actor"), "integration");
  EXPECT_TRUE(wait_until(seconds(10), [&] { return state_of(service, id) == "delivered"; })) << state_of(service, id);
  EXPECT_EQ(times(sink, "DET." + id), 1U);
  (void)decide(service, id, true, "again");  // changes nothing
  sleep_ms(200);
  EXPECT_EQ(times(sink, "DET." + id), 1U);

  (void)decide(service, other, false, "a tree");
  EXPECT_EQ(state_of(service, other), "rejected");
  (void)decide(service, id, false, "it was a tree after all");
  EXPECT_TRUE(wait_until(seconds(10), [&] { return times(sink, "DET." + id + "-delete") == 1; }));
  EXPECT_TRUE(wait_until(seconds(10), [&] { return state_of(service, id) == "rejected"; }));
  EXPECT_EQ(times(sink, "DET." + other), 0U);
  EXPECT_EQ(times(sink, "DET." + other + "-delete"), 0U) << "taken back what TAK never had";

  (void)decide(service, other, true, "no, a tank");
  EXPECT_TRUE(wait_until(seconds(10), [&] { return state_of(service, other) == "delivered"; }));
  EXPECT_EQ(times(sink, "DET." + other), 1U);

  // Every decision is in the timeline, and the chain holds.
  auto client = service.client();
  const auto audit = client.get("/api/v1/detections/" + id + "/audit");
  ASSERT_TRUE(audit && audit->status == 200);
  std::size_t decisions = 0;
  const auto timeline = json::parse(audit->body);
  for (const auto& event : timeline.at("items")) decisions += event.at("type") == "detection_verified";
  EXPECT_EQ(decisions, 2U) << audit->body;
  const auto verified = client.get("/api/v1/audit/verify");
  ASSERT_TRUE(verified && verified->status == 200);
  EXPECT_EQ(json::parse(verified->body).at("valid"), true) << verified->body;
}

TEST(Workflow, ReleasedAndRejectedWhileTakIsAwayIsNeverSent) {
  FastSink sink;  // not listening yet
  Service service({binary(), {sink.url()}, {}});
  service.start();
  const auto withdrawn = post_red(service, 1), released = post_red(service, 2);
  (void)decide(service, withdrawn, true);
  (void)decide(service, withdrawn, false);
  (void)decide(service, released, true);
  EXPECT_EQ(state_of(service, withdrawn), "rejected");
  EXPECT_EQ(state_of(service, released), "queued");
  service.kill();  // decisions are as durable as detections
  service.start();
  sink.start();
  EXPECT_TRUE(wait_until(seconds(20), [&] { return state_of(service, released) == "delivered"; }));
  EXPECT_EQ(times(sink, "DET." + released), 1U);
  EXPECT_EQ(times(sink, "DET." + withdrawn), 0U);
}

TEST(Workflow, WhatCannotBeDecidedIsSaid) {
  Service service({binary(), {"tcp://127.0.0.1:9"}, {}});
  service.start();
  auto client = service.client();
  const auto green = client.post("/api/v1/detections", detection_json(1));
  ASSERT_TRUE(green && green->status == 201);
  const auto id = json::parse(green->body).at("detection_id").get<std::string>();
  const auto verify = [&](const std::string& which, const std::string& body) {
    const auto answer = client.request("PUT", "/api/v1/detections/" + which + "/verify", body);
    return answer ? answer->status : 0;
  };
  EXPECT_EQ(verify(id, R"({"verified":true})"), 409);
  EXPECT_EQ(verify("00000000-0000-4000-8000-000000000000", R"({"verified":true})"), 404);
  const auto red = post_red(service, 2);
  EXPECT_EQ(verify(red, R"({"verified":"yes"})"), 422);
  EXPECT_EQ(verify(red, R"({})"), 422);
  EXPECT_EQ(verify(red, R"({"verified":true,"why":"x"})"), 422);
  EXPECT_EQ(verify(red, R"({"verified":true,"notes":")" + std::string(2'001, 'x') + R"("})"), 422);
  EXPECT_EQ(verify(red, R"({"verified":true)"), 400);
  EXPECT_EQ(state_of(service, red), "held");
}

TEST(Workflow, TheFeedTellsEverythingInOrderAndResumesWithoutAGap) {
  FastSink sink;
  sink.start();
  Service service({binary(), {sink.url()}, {}});
  service.start();
  std::vector<std::string> wanted;
  std::unordered_map<std::string, int> seen;
  std::string last;
  std::size_t deliveries = 0, verifications = 0;
  const auto read = [&](SseReader& reader, std::size_t until) {
    while (seen.size() < until) {
      const auto event = reader.next(seconds(10));
      ASSERT_TRUE(event) << "after " << seen.size() << " detections";
      last = event->id;
      const auto data = json::parse(event->data);
      if (event->event == "detection") ++seen[data.at("detection_id").get<std::string>()];
      deliveries += event->event == "delivery";
      verifications += event->event == "verification";
    }
  };
  {
    SseReader reader(service.api_port(), service.all_scopes_token());
    ASSERT_EQ(reader.status(), 200);
    auto client = service.client();
    for (std::uint64_t i = 0; i < 20; ++i) {
      const auto answer = client.post("/api/v1/detections", detection_json(i));
      ASSERT_TRUE(answer && answer->status == 201);
      wanted.push_back(accepted_ids(*answer).front());
    }
    read(reader, 20);
  }
  // While nobody reads, and over a restart.
  auto client = service.client();
  for (int i = 0; i < 3; ++i) {
    const auto answer =
        client.post("/api/v1/detections/batch", batch_json(100 + 1'000 * static_cast<unsigned>(i), 700, {}));
    ASSERT_TRUE(answer && answer->status == 200);
    const auto ids = accepted_ids(*answer);
    wanted.insert(wanted.end(), ids.begin(), ids.end());
  }
  const auto red = post_red(service, 7);
  wanted.push_back(red);
  service.kill();
  service.start();
  SseReader reader(service.api_port(), service.all_scopes_token(), last);
  ASSERT_EQ(reader.status(), 200);
  read(reader, wanted.size());
  for (const auto& id : wanted) ASSERT_EQ(seen[id], 1) << id;
  (void)decide(service, red, true);
  while (verifications == 0) {
    const auto event = reader.next(seconds(10));
    ASSERT_TRUE(event);
    if (event->event == "verification") {
      ++verifications;
      EXPECT_EQ(json::parse(event->data).at("detection_id"), red);
    }
    deliveries += event->event == "delivery";
  }
  EXPECT_GT(deliveries, 0U);
  SseReader bad(service.api_port(), service.all_scopes_token(), "no-such-cursor");
  EXPECT_EQ(bad.status(), 422);
  SseReader nobody(service.api_port(), "x");
  EXPECT_EQ(nobody.status(), 401);
}

TEST(Workflow, TwoHundredReadersDoNotStopTheService) {
  Service service({binary(), {"tcp://127.0.0.1:9"}, {}});
  service.start();
  std::vector<std::unique_ptr<SseReader>> readers;
  std::string token;
  for (int i = 0; i < 200; ++i) {
    if (i % 32 == 0) token = service.token("detections:read", "reader-" + std::to_string(i));  // as many as one may
    readers.push_back(std::make_unique<SseReader>(service.api_port(), token));
    ASSERT_EQ(readers.back()->status(), 200) << i;
  }
  auto client = service.client();
  constexpr std::size_t kCount = 300;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    const auto answer = client.post("/api/v1/detections", detection_json(i));
    ASSERT_TRUE(answer);
    ASSERT_EQ(answer->status, 201);
  }
  // Half of them never read: they are cut off or buffered, and the others get everything.
  for (std::size_t i = 0; i < readers.size(); i += 40) {
    std::size_t detections = 0;
    while (detections < kCount) {
      const auto event = readers[i]->next(seconds(10));
      ASSERT_TRUE(event) << "reader " << i << " after " << detections;
      detections += event->event == "detection";
    }
  }
  const auto ended = service.terminate(seconds(20));
  ASSERT_TRUE(ended) << "readers hold up the stop";
  EXPECT_EQ(ended->code, 0);
}

}  // namespace
}  // namespace detection::integration
