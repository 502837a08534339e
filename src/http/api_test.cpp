// Detections in and out: accepted, refused, listed, read back; status pages.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>

#include "http/api_fixture.hpp"

namespace detection::http {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

TEST_F(ApiTest, PostIsAcceptedAndReadBack) {
  const auto answer = post(request().dump());
  ASSERT_EQ(answer.status, 201) << answer.body;
  const auto body = json::parse(answer.body);
  const auto id = body["detection_id"].get<std::string>();
  EXPECT_EQ(answer.header("Location"), "/api/v1/detections/" + id);
  EXPECT_EQ(answer.header("X-Detection-ID"), id);
  EXPECT_EQ(answer.header("X-Confidence-Flag"), "GREEN");
  EXPECT_EQ(body["flag"], "GREEN");
  EXPECT_EQ(body["position"]["hae"], 500);
  EXPECT_EQ(body["position"]["source"], "ground_elevation");
  EXPECT_EQ(body["cot"]["uid"], "DET." + id);
  EXPECT_EQ(body["delivery"]["state"], "queued");

  const auto record = get("/api/v1/detections/" + id);
  ASSERT_EQ(record.status, 200) << record.body;
  const auto read = json::parse(record.body);
  for (const auto& [key, value] : body.items()) EXPECT_EQ(read[key], value) << key;
  EXPECT_EQ(read["object_class"], "vehicle");
  EXPECT_EQ(read["request"]["pixel_x"], 512.5);
  EXPECT_TRUE(read["track_id"].is_null());
  EXPECT_EQ(read["exercise"], false);

  const auto cot = get("/api/v1/detections/" + id + "/cot");
  EXPECT_EQ(cot.status, 200);
  EXPECT_EQ(cot.header("Content-Type"), "application/xml");
  EXPECT_NE(cot.body.find("uid=\"DET." + id + "\""), std::string::npos);
  EXPECT_NE(get("/api/v1/detections/" + id, "Accept: application/xml\r\n").body.find("<event"), std::string::npos);

  const auto audit = json::parse(get("/api/v1/detections/" + id + "/audit").body);
  ASSERT_GE(audit["items"].size(), 5U);
  EXPECT_EQ(audit["items"][0]["type"], "detection_received");
  EXPECT_EQ(audit["items"][0]["actor"], "tester");

  const auto head = ask("HEAD", "/api/v1/detections/" + id, bearer());
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->header("Content-Length"), std::to_string(record.body.size()));
}

TEST_F(ApiTest, RepeatGivesTheFirstAnswerAndOtherContentConflicts) {
  const auto body = request(kId);
  const auto first = post(body.dump());
  EXPECT_EQ(first.status, 201);
  const auto again = post(body.dump(2));
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(again.header("X-Detection-ID"), kId);
  auto other = body;
  other["pixel_x"] = 1;
  expect_problem(post(other.dump()), 409, "conflict");
  close();
  open();
  EXPECT_EQ(post(body.dump()).body, first.body);
}

TEST_F(ApiTest, IdempotencyKeyIsTheId) {
  const auto body = request().dump();
  const auto key = "Idempotency-Key: " + std::string(kId) + "\r\n";
  const auto first = post(body, key);
  EXPECT_EQ(first.status, 201);
  EXPECT_EQ(first.header("X-Detection-ID"), kId);
  EXPECT_EQ(post(body, key).status, 200);
  EXPECT_EQ(post(body, "Idempotency-Key: \"" + std::string(kId) + "\"\r\n").status, 200);
  expect_problem(post(request().dump(), key), 409, "conflict");
  const auto word = post(body, "Idempotency-Key: order-17\r\n");
  EXPECT_EQ(word.status, 201);
  EXPECT_EQ(post(body, "Idempotency-Key: order-17\r\n").body, word.body);
  expect_problem(post(request(kId).dump(), "Idempotency-Key: order-17\r\n"), 422, "validation_failed");
  expect_problem(post(body, "Idempotency-Key: \r\n"), 422, "validation_failed");
  expect_problem(post(body, "Idempotency-Key: " + std::string(300, 'k') + "\r\n"), 422, "validation_failed");
  expect_problem(post("[" + body + "]", "Idempotency-Key: k\r\n", "/api/v1/detections/batch"), 422,
                 "validation_failed");
}

TEST_F(ApiTest, XmlForWhoAsksForIt) {
  const auto body = request(kId).dump();
  const auto answer = post(body, "Accept: application/json;q=0.5, application/xml\r\n");
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.header("Content-Type"), "application/xml");
  EXPECT_NE(answer.body.find("<event"), std::string::npos);
  EXPECT_EQ(answer.header("X-Detection-ID"), kId);
  EXPECT_EQ(post(body, "Accept: */*\r\n").header("Content-Type"), "application/json");
}

TEST_F(ApiTest, RedIsHeldAndExerciseDiscarded) {
  auto red = request();
  red["ai_confidence"] = 0.1;
  const auto held = json::parse(post(red.dump()).body);
  EXPECT_EQ(held["flag"], "RED");
  EXPECT_EQ(held["delivery"]["state"], "held");
  auto exercise = request();
  exercise["exercise"] = true;
  EXPECT_EQ(json::parse(post(exercise.dump()).body)["delivery"]["state"], "discarded");
}

TEST_F(ApiTest, GeometryAndRulesAreRefusedWithTheirCode) {
  auto up = request();
  up["sensor_metadata"]["pitch"] = 30;
  expect_problem(post(up.dump()), 422, "above_horizon");
  auto bad = request();
  bad["pixel_x"] = -1;
  bad["colour"] = 1;
  const auto answer = post(bad.dump());
  expect_problem(answer, 422, "validation_failed");
  EXPECT_EQ(json::parse(answer.body)["errors"].size(), 2U);
  auto no_ground = request();
  no_ground["sensor_metadata"].erase("ground_elevation_m");
  const auto missing = post(no_ground.dump());
  expect_problem(missing, 422, "validation_failed");
  EXPECT_EQ(json::parse(missing.body)["errors"][0]["field"], "sensor_metadata.ground_elevation_m");
  expect_problem(post("{"), 400, "malformed_json");
  expect_problem(post(""), 400, "malformed_json");
}

TEST_F(ApiTest, TokensAndScopes) {
  const auto body = request().dump();
  const auto with = [&](const std::string& authorization, std::string_view target = "/api/v1/detections") {
    return *ask("GET", target, authorization);
  };
  auto answer = with("");
  expect_problem(answer, 401, "unauthorized");
  EXPECT_TRUE(answer.header("WWW-Authenticate").starts_with("Bearer"));
  for (const auto& bad : {std::string("Basic abc"), std::string("Bearer"), std::string("Bearer x.y.z"),
                          "Bearer " + token("detections:read") + "x"}) {
    answer = with("Authorization: " + bad + "\r\n");
    expect_problem(answer, 401, "unauthorized");
    EXPECT_NE(answer.header("WWW-Authenticate").find("error=\"invalid_token\""), std::string::npos);
  }
  const auto expired = *security::mint_token(*key_, {"t", "detections:read"}, system_now() + std::chrono::hours(-3));
  expect_problem(with("Authorization: Bearer " + expired + "\r\n"), 401, "unauthorized");
  answer = with(bearer("detections:write"));
  expect_problem(answer, 403, "insufficient_scope");
  EXPECT_NE(json::parse(answer.body)["detail"].get<std::string>().find("detections:read"), std::string::npos);
  EXPECT_EQ(with("Authorization: bearer " + token("detections:read") + "\r\n").status, 200);
  expect_problem(with(bearer("detections:read"), "/api/v1/delivery"), 403, "insufficient_scope");
  expect_problem(
      *ask("POST", "/api/v1/detections", bearer("detections:read") + "Content-Type: application/json\r\n", body), 403,
      "insufficient_scope");
  const auto text = metrics();
  for (const auto* result : {"success", "missing", "invalid", "insufficient_scope"})
    EXPECT_NE(text.find("auth_attempts_total{result=\"" + std::string(result) + "\"}"), std::string::npos) << result;
  // No scope lets one see or do more than its own.
  EXPECT_EQ(text.find("tester"), std::string::npos);
}

TEST_F(ApiTest, MethodsTypesAndPaths) {
  const auto body = request().dump();
  auto answer = *ask("DELETE", "/api/v1/detections", bearer());
  expect_problem(answer, 405, "method_not_allowed");
  EXPECT_EQ(answer.header("Allow"), "GET, HEAD, POST");
  EXPECT_EQ(ask("OPTIONS", "/health", "")->header("Allow"), "GET, HEAD");
  EXPECT_EQ(ask("OPTIONS", "*", "")->header("Allow"), "GET, HEAD, POST, PUT, DELETE");
  for (const auto& spec : route_table()) {
    if (!spec.on_api) continue;
    auto path = std::string(spec.path);
    if (const auto open = path.find('{'); open != std::string::npos) path.replace(open, path.find('}') - open + 1, "x");
    for (const auto method : {Method::kGet, Method::kHead, Method::kPost, Method::kPut, Method::kDelete, Method::kPatch,
                              Method::kOptions}) {
      if (spec.find(method) != nullptr) continue;
      const auto refused = *ask(method_name(method), path, bearer());
      EXPECT_EQ(refused.status, 405) << method_name(method) << " " << path;
      EXPECT_EQ(refused.header("Allow"), spec.allow);
    }
  }
  EXPECT_EQ(ask("BREW", "/api/v1/detections/batch", "")->header("Allow"), "POST");
  for (const auto* path : {"/index.html", "/assets/", "/api/v1/detection", "/api/v1/detections/", "/api/v1/detectionsx",
                           "/metrics", "/api/v1/detections/batch/x", "/health/", "/api/v1/event", "/api/v1/audits",
                           "/api/v1/api-keys/", "/problems/none", "/problems/", "/problems/a/b"})
    expect_problem(get(path), 404, "not_found");
  expect_problem(get("/api/v1/detections/not-a-uuid"), 404, "not_found");
  expect_problem(get("/api/v1/detections/" + std::string(kId)), 404, "not_found");
  expect_problem(get("/api/v1/detections/" + std::string(kId) + "/cot"), 404, "not_found");
  expect_problem(get("/api/v1/detections/" + std::string(kId) + "/audit"), 404, "not_found");
  for (const auto* type : {"text/plain", "application/xml", "application/json; charset=latin1", "application/x-ndjson",
                           "application/jsonx"})
    expect_problem(post(body, "", "/api/v1/detections", type), 415, "unsupported_media_type");
  expect_problem(*ask("POST", "/api/v1/detections", bearer(), body), 415, "unsupported_media_type");
  expect_problem(post(body, "Content-Encoding: gzip\r\n"), 415, "unsupported_media_type");
  for (const auto* accept : {"text/html", "application/json;q=0", "image/*"})
    expect_problem(post(body, "Accept: " + std::string(accept) + "\r\n"), 406, "not_acceptable");
  EXPECT_EQ(json::parse(get("/api/v1/detections").body)["items"].size(), 0U) << "a refused POST was accepted";
  EXPECT_EQ(post(body, "", "/api/v1/detections", "Application/JSON; charset=\"UTF-8\"").status, 201);
  EXPECT_EQ(post(body, "Content-Encoding: identity\r\nAccept: application/*;q=0.1\r\n").status, 201);
}

TEST_F(ApiTest, ListFiltersAndPages) {
  std::vector<std::string> ids;
  for (int i = 0; i < 25; ++i) {
    auto body = request();
    body["object_class"] = i % 2 == 0 ? "vehicle" : "person";
    body["source"] = "uav-" + std::to_string(i % 5);
    if (i % 5 == 4) body["ai_confidence"] = 0.1;
    body["sensor_metadata"]["location_lon"] = 11.0 + i;
    const auto answer = post(body.dump());
    ASSERT_EQ(answer.status, 201) << answer.body;
    ids.push_back(answer.header("X-Detection-ID"));
  }
  const auto count = [&](const std::string& query) {
    std::size_t found = 0;
    std::string cursor;
    do {
      const auto answer = get("/api/v1/detections?limit=7&" + query + (cursor.empty() ? "" : "&cursor=" + cursor));
      EXPECT_EQ(answer.status, 200) << answer.body;
      const auto page = json::parse(answer.body);
      EXPECT_LE(page["items"].size(), 7U);
      found += page["items"].size();
      cursor = page["next_cursor"].is_null() ? "" : page["next_cursor"].get<std::string>();
    } while (!cursor.empty());
    return found;
  };
  EXPECT_EQ(count(""), 25U);
  EXPECT_EQ(count("class=person"), 12U);
  EXPECT_EQ(count("source=uav-3"), 5U);
  EXPECT_EQ(count("flag=RED"), 5U);
  EXPECT_EQ(count("state=held"), 5U);
  EXPECT_EQ(count("state=queued&class=vehicle"), 10U);
  EXPECT_EQ(count("bbox=10.5,40,15.5,50"), 5U);
  EXPECT_EQ(count("until=2020-01-01T00:00:00Z"), 0U);
  EXPECT_EQ(count("since=2020-01-01T00:00:00%2B01:00"), 25U);
  EXPECT_EQ(count("since=2020-01-01T00:00:00+01:00"), 25U);
  const auto all = json::parse(get("/api/v1/detections").body);
  for (std::size_t i = 0; i < 25; ++i) EXPECT_EQ(all["items"][i]["detection_id"], ids[24 - i]);

  const auto geo_answer = get("/api/v1/detections?limit=2", "Accept: application/geo+json\r\n");
  EXPECT_EQ(geo_answer.header("Content-Type"), "application/geo+json");
  const auto geo = json::parse(geo_answer.body);
  EXPECT_EQ(geo["type"], "FeatureCollection");
  ASSERT_EQ(geo["features"].size(), 2U);
  EXPECT_EQ(geo["features"][0]["geometry"]["coordinates"][0], all["items"][0]["position"]["lon"]);
  EXPECT_EQ(geo["features"][0]["properties"]["flag"], "RED");
  EXPECT_TRUE(geo["next_cursor"].is_string());
  expect_problem(get("/api/v1/detections", "Accept: application/xml\r\n"), 406, "not_acceptable");

  for (const auto* query : {"limit=0",         "limit=1001",
                            "limit=x",         "limit=5&limit=6",
                            "cursor=abc",      "cursor=0000000000000001",
                            "flag=green",      "state=lost",
                            "bbox=1,2,3",      "bbox=1,2,3,4,5",
                            "bbox=0,50,1,40",  "bbox=-181,0,1,1",
                            "bbox=a,b,c,d",    "bbox=nan,0,1,1",
                            "since=yesterday", "since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z",
                            "clas=person",     "class=",
                            "class=%zz",       "class=%00",
                            "%ff=1",           "flag"})
    expect_problem(get("/api/v1/detections?" + std::string(query)), 422, "validation_failed");
}

TEST_F(ApiTest, BatchGivesEachItemItsResult) {
  auto bad = request();
  bad["pixel_x"] = -1;
  auto up = request();
  up["sensor_metadata"]["pitch"] = 30;
  auto other = request(kId);
  other["pixel_x"] = 7;
  const auto one = request(kId);
  const json items = {request(), bad, one, up, one, other, 5};
  const auto answer = post(items.dump(), {}, "/api/v1/detections/batch");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const auto results = json::parse(answer.body)["results"];
  ASSERT_EQ(results.size(), 7U);
  const std::array<int, 7> statuses{201, 422, 201, 422, 200, 409, 422};
  for (std::size_t i = 0; i < 7; ++i) EXPECT_EQ(results[i]["status"], statuses[i]) << results[i];
  EXPECT_EQ(results[1]["errors"][0]["field"], "pixel_x");
  EXPECT_EQ(results[3]["code"], "above_horizon");
  EXPECT_EQ(results[2]["delivery"]["state"], "queued");
  EXPECT_EQ(results[4]["position"], results[2]["position"]);
  EXPECT_EQ(json::parse(get("/api/v1/detections").body)["items"].size(), 2U);

  const auto lines = post(request().dump() + "\nnot json\n\n" + request().dump() + "\n", {}, "/api/v1/detections/batch",
                          "application/x-ndjson");
  ASSERT_EQ(lines.status, 200) << lines.body;
  const auto line_results = json::parse(lines.body)["results"];
  ASSERT_EQ(line_results.size(), 3U);
  EXPECT_EQ(line_results[0]["status"], 201);
  EXPECT_EQ(line_results[1]["code"], "malformed_json");
  EXPECT_EQ(line_results[2]["status"], 201);

  EXPECT_EQ(post("[]", {}, "/api/v1/detections/batch").body, R"({"results":[]})");
  EXPECT_EQ(post("[5]", {}, "/api/v1/detections/batch").status, 200);
  expect_problem(post("[5", {}, "/api/v1/detections/batch"), 400, "malformed_json");
  expect_problem(post(request().dump(), {}, "/api/v1/detections/batch"), 400, "malformed_json");
  std::string many = "[5";
  for (int i = 0; i < 10'000; ++i) many += ",5";
  expect_problem(post(many + "]", {}, "/api/v1/detections/batch"), 413, "payload_too_large");
}

TEST_F(ApiTest, ImagesAreHashedAndOnlyTheyMayBeLarge) {
  auto body = request();
  body["image_base64"] = std::string(400'000, 'A');
  const auto answer = post(body.dump());
  ASSERT_EQ(answer.status, 201) << answer.body;
  const auto record = json::parse(get("/api/v1/detections/" + answer.header("X-Detection-ID")).body);
  EXPECT_EQ(record["request"]["image_sha256"].get<std::string>().size(), 64U);
  EXPECT_FALSE(record["request"].contains("image_base64"));
  expect_problem(post(request().dump() + std::string(70'000, ' ')), 413, "payload_too_large");
  EXPECT_EQ(post(request().dump() + std::string(60'000, ' ')).status, 201);
}

TEST_F(ApiTest, PipelinedPostsAnswerInOrder) {
  auto c = client();
  std::string requests;
  std::vector<std::string> ids;
  UuidMint mint(7);
  for (int i = 0; i < 5; ++i) {
    ids.push_back(to_string(mint.mint(system_now())));
    const auto body = request(ids.back()).dump();
    requests += "POST /api/v1/detections HTTP/1.1\r\nHost: a\r\n" + bearer() +
                "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    requests += "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
  }
  c.send(requests);
  for (const auto& id : ids) {
    const auto answer = c.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->header("X-Detection-ID"), id);
    EXPECT_EQ(c.receive()->status, 200);
  }
}

TEST_F(ApiTest, ManyClientsAtOnce) {
  std::atomic<int> accepted{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t)
      threads.emplace_back([&, header = bearer()] {
        auto c = client();
        for (int i = 0; i < 40; ++i) {
          const auto body = i % 8 == 0 ? json::array({request(), request()}).dump() : request().dump();
          const auto answer =
              c.ask("POST /api/v1/detections" + std::string(i % 8 == 0 ? "/batch" : "") + " HTTP/1.1\r\nHost: a\r\n" +
                    header + "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
                    "\r\n\r\n" + body);
          if (answer && answer->status == 201) accepted += 1;
          if (answer && answer->status == 200) accepted += 2;
          if (i % 10 != 0) continue;
          EXPECT_EQ(c.ask("GET /api/v1/detections?limit=1000 HTTP/1.1\r\nHost: a\r\n" + header + "\r\n")->status, 200);
        }
      });
  }
  EXPECT_EQ(accepted, 8 * (35 + 5 * 2));
  EXPECT_EQ(store_->status().detections, accepted);
}

TEST_F(ApiTest, StopWithWorkInFlightLosesNothingAcknowledged) {
  std::atomic<bool> stop{false};
  std::atomic<int> acknowledged{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, header = bearer()] {
      while (!stop) {
        auto c = client();
        const auto body = request().dump();
        const auto answer = c.ask("POST /api/v1/detections HTTP/1.1\r\nHost: a\r\n" + header +
                                  "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
                                  "\r\n\r\n" + body);
        if (answer && answer->status == 201) ++acknowledged;
      }
    });
  std::this_thread::sleep_for(milliseconds(100));
  service_->stop(milliseconds(2'000));
  stop = true;
  threads.clear();
  EXPECT_GT(acknowledged, 0);
  EXPECT_GE(store_->status().detections, acknowledged);
}

TEST_F(ApiTest, StatusPages) {
  for (const auto port : {service_->api_endpoint().port, service_->metrics_endpoint().port}) {
    TestClient c(port);
    const auto health = json::parse(c.ask("GET /health HTTP/1.1\r\nHost: a\r\n\r\n")->body);
    EXPECT_EQ(health["status"], "ok");
    EXPECT_EQ(health["version"], "9.9");
    EXPECT_EQ(health["commit"], "abc");
    EXPECT_EQ(health["slot"], "blue");
    const auto ready = c.ask("GET /ready HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(ready->status, 200);
    EXPECT_EQ(json::parse(ready->body)["store"]["writable"], true);
    EXPECT_EQ(c.ask("HEAD /ready HTTP/1.1\r\nHost: a\r\n\r\n", true)->status, 200);
  }
  TestClient metrics_client(service_->metrics_endpoint().port);
  EXPECT_EQ(metrics_client.ask("GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n")->status, 404);
  (void)post(request().dump());
  (void)get("/nowhere");
  const auto text = metrics();
  EXPECT_NE(text.find(R"(http_requests_total{method="POST",route="/api/v1/detections",status_code="201"} 1)"),
            std::string::npos);
  EXPECT_NE(text.find(R"(http_requests_total{method="GET",route="none",status_code="404"})"), std::string::npos);
  EXPECT_NE(text.find(R"(detections_processed_total{confidence_flag="GREEN",status="accepted"} 1)"), std::string::npos)
      << text;
  EXPECT_NE(text.find("detection_processing_duration_seconds_count 1"), std::string::npos);
  EXPECT_EQ(json::parse(get("/api/v1/delivery").body)["sinks"].size(), 0U);
  EXPECT_EQ(json::parse(get("/problems/above_horizon").body)["status"], 422);
  EXPECT_NE(get("/problems/above_horizon", "Accept: text/html,*/*;q=0.8\r\n").body.find("<h1>"), std::string::npos);

  service_->begin_drain();
  const auto ready = get("/ready");
  EXPECT_EQ(ready.status, 503);
  EXPECT_EQ(json::parse(ready.body)["reason"], "draining");
  EXPECT_EQ(ready.header("Connection"), "close");
  EXPECT_EQ(get("/health").status, 200);
  EXPECT_EQ(post(request().dump()).status, 201);
}

}  // namespace
}  // namespace detection::http
