// What an operator sees of the service from outside: the log by a detection's id, and how many series there are.

#include <gmock/gmock.h>

#include <random>
#include <set>
#include <sstream>

#include "integration/support/fast_sink.hpp"
#include "integration/support/forge.hpp"
#include "integration/support/records.hpp"
#include "integration/support/requests.hpp"

namespace detection::integration {
namespace {

using nlohmann::json;
using std::chrono::seconds;

constexpr std::string_view kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";

std::string trace_header() {
  return "traceparent: 00-" + std::string(kTrace) + "-00f067aa0ba902b7-01\r\n";
}

/// The lines that a search for the id finds, in order.
std::vector<json> story_of(const Service& service, const std::string& id) {
  std::vector<json> story;
  std::istringstream lines(service.log());
  for (std::string line; std::getline(lines, line);)
    if (line.contains(id)) story.push_back(json::parse(line));
  return story;
}

/// "event state", where it has one.
std::vector<std::string> steps_of(const Service& service, const std::string& id) {
  std::vector<std::string> steps;
  for (const auto& line : story_of(service, id))
    steps.push_back(line.at("event").get<std::string>() +
                    (line.contains("state") ? " " + line["state"].get<std::string>() : ""));
  return steps;
}

bool logged(const Service& service, const std::string& text) {
  return wait_until(seconds(20), [&] { return service.log().contains(text); });
}

TEST(Story, OneSearchForTheIdFindsTheWay) {
  FastSink sink;
  sink.start();
  Service service({binary(), {sink.url()}});
  service.start();
  auto client = service.client();
  client.set_headers(trace_header() + "X-Request-ID: request-of-mine\r\n");
  const auto answer = client.post("/api/v1/detections", detection_json(1));
  ASSERT_TRUE(answer);
  const auto id = accepted_ids(*answer).front();
  ASSERT_TRUE(logged(service, "detection_delivered")) << service.log();
  const auto story = story_of(service, id);
  ASSERT_EQ(steps_of(service, id), (std::vector<std::string>{"detection_accepted queued", "detection_delivered"}));
  EXPECT_EQ(story[0]["detection_id"], id);
  EXPECT_EQ(story[0]["trace_id"], kTrace);
  EXPECT_EQ(story[0]["request_id"], "request-of-mine");
  EXPECT_EQ(story[0]["confidence_flag"], "GREEN");
  EXPECT_EQ(story[1]["sink"], "tak");
  EXPECT_EQ(story[1]["confirmation"], "confirmed");

  const auto timeline = json::parse(client.get("/api/v1/detections/" + id + "/audit")->body);
  EXPECT_EQ(timeline["items"][0]["detail"], (json{{"request_id", "request-of-mine"}, {"trace_id", kTrace}}));
  (void)service.terminate();
}

TEST(Story, OfABatchAndOfADecision) {
  FastSink sink;
  sink.start();
  // Nothing is well enough known for this service, so all of it is held.
  Service service({binary(), {sink.url()}, {"--green-ce90", "0.01", "--red-ce90", "0.02"}});
  service.start();
  auto client = service.client();
  client.set_headers(trace_header());
  std::mt19937_64 random(7);
  std::vector<std::string> ids;
  for (int i = 0; i < 150; ++i) ids.push_back(random_uuid(random));
  const auto batch = batch_json(0, ids.size(), ids);
  const auto answer = client.post("/api/v1/detections/batch", batch);
  ASSERT_TRUE(answer && answer->status == 200);
  const auto repeat = client.post("/api/v1/detections", json::parse(batch)[0].dump());
  ASSERT_TRUE(repeat && repeat->status == 200) << repeat->body;
  const auto conflict = client.post("/api/v1/detections", detection_json(1, ids[0]));
  ASSERT_TRUE(conflict && conflict->status == 409);
  for (const auto* decision : {R"({"verified":true,"notes":"seen"})", R"({"verified":false,"notes":"no"})"}) {
    const auto decided = client.request("PUT", "/api/v1/detections/" + ids[0] + "/verify", decision);
    ASSERT_TRUE(decided && decided->status == 200) << decided->body;
    ASSERT_TRUE(logged(service, decision[12] == 't' ? "detection_delivered" : "detection_taken_back"));
  }
  EXPECT_EQ(steps_of(service, ids[0]),
            (std::vector<std::string>{"detection_accepted held", "detection_repeated", "detection_conflict",
                                      "detection_decided released", "detection_delivered", "detection_decided rejected",
                                      "detection_taken_back"}));
  for (const auto& line : story_of(service, ids[0])) {
    const bool of_a_request = !line.contains("sink");
    EXPECT_EQ(line.value("trace_id", ""), of_a_request ? kTrace : "") << line;
  }
  for (const auto& id : ids) EXPECT_EQ(steps_of(service, id).front(), "detection_accepted held") << id;
  (void)service.terminate();
}

/// Names and labels of every series.
std::set<std::string> series_of(const Service& service) {
  std::set<std::string> series;
  std::istringstream lines(service.metrics());
  for (std::string line; std::getline(lines, line);)
    if (!line.empty() && line[0] != '#') series.insert(line.substr(0, line.rfind(' ')));
  return series;
}

std::string token_of(const std::string& subject) {
  const json claims{{"sub", subject}, {"scope", kAllScopes}, {"exp", std::time(nullptr) + 600}};
  return hmac_token(R"({"alg":"HS256","typ":"JWT"})", claims.dump(), kServiceKey);
}

/// A batch of a thousand, each from a source, a camera and a track of its own and of a class of its own.
std::string foreign_batch(std::size_t from) {
  auto batch = json::parse(batch_json(from, 1000, {}));
  for (auto& detection : batch) {
    const auto own = std::to_string(from++);
    detection["source"] = "source-" + own;
    detection["camera_id"] = "camera-" + own;
    detection["track_id"] = "track-" + own;
    detection["object_class"] = "class-" + own;
  }
  return batch.dump();
}

/// One request of each kind that the loops below make.
void use_once(HttpClient& client, HttpClient& stranger, std::size_t number) {
  const auto own = std::to_string(number);
  client.set_token(token_of("user-" + own));
  client.set_headers("traceparent: 00-" + std::string(32 - own.size(), 'a') + own + "-00f067aa0ba902b7-01\r\n" +
                     "X-Request-ID: r-" + own + "\r\nIdempotency-Key: k-" + own + "\r\nUser-Agent: agent/" + own +
                     "\r\n");
  ASSERT_TRUE(client.get("/api/v1/unknown/" + own));
  ASSERT_TRUE(client.post("/api/v1/detections", "{}"));
  stranger.set_token("token-" + own);
  ASSERT_TRUE(stranger.get("/api/v1/detections/" + own));
}

TEST(Cardinality, TenThousandSourcesUsersAndPathsLeaveTheSeriesAsTheyAre) {
  Service service({binary(), {"tcp://127.0.0.1:9"}});
  service.start();
  auto client = service.client();
  HttpClient stranger(service.api_port());
  const auto begin = [&](std::size_t number) {
    client.set_token(service.all_scopes_token());
    client.set_headers({});
    const auto answer = client.post("/api/v1/detections/batch", foreign_batch(number));
    ASSERT_TRUE(answer && answer->status == 200);
    for (const auto& result : json::parse(answer->body)["results"]) ASSERT_EQ(result["status"], 201) << result;
  };
  // Until everything was counted once: the audit of refused tokens and the scrape count later than they happen.
  begin(1'000'000);
  ASSERT_TRUE(wait_until(seconds(30), [&, number = std::size_t{1'000'000}]() mutable {
    use_once(client, stranger, ++number);
    return service.metric(R"(audit_events_total{event_type="auth_failure",severity="WARNING"})").has_value();
  }));
  sleep_ms(1200);
  (void)series_of(service);
  const auto before = series_of(service);
  ASSERT_GT(before.size(), 100U);
  for (std::size_t number = 0; number < 10'000; ++number) {
    if (number % 1000 == 0) begin(number);
    ASSERT_NO_FATAL_FAILURE(use_once(client, stranger, number));
  }
  const auto after = series_of(service);
  std::vector<std::string> added;
  std::ranges::set_difference(after, before, std::back_inserter(added));
  EXPECT_THAT(added, testing::IsEmpty());
  EXPECT_EQ(after.size(), before.size());
}

}  // namespace
}  // namespace detection::integration
