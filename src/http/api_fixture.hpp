#pragma once
// The routes with the real rooms: SQLite in a temporary folder, tokens, the acceptor.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "cot/class_map.hpp"
#include "http/forwarding_store.hpp"
#include "http/route_table.hpp"
#include "http/service.hpp"
#include "http/test_client.hpp"
#include "http/test_request.hpp"
#include "store/sqlite/engine.hpp"

namespace detection::http {

class ApiTest : public ::testing::Test {
 protected:
  ApiTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "http_test.XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    constexpr std::string_view kKey = "unit-tests-only-0f3c8d1a6be27359-4711";
    std::ofstream(std::filesystem::path(folder_) / "jwt.key") << kKey;
    key_ = std::make_unique<security::HmacKey>(std::move(*security::HmacKey::from_text(kKey)));
    options_.version = "9.9";
    options_.commit = "abc";
    options_.slot = "blue";
    options_.rate_limits.enabled = false;
    open();
  }
  ~ApiTest() override {
    close();
    std::filesystem::remove_all(folder_);
  }

  void open() {
    store::sqlite::Options options;
    options.directory = folder_;
    auto store = store::sqlite::open(options);
    if (!store) throw std::runtime_error(store.error().detail);
    store_ = std::move(*store);
    if (wrap_) store_ = wrap_(std::move(store_));
    security::AuthorityOptions keys;
    keys.key_file = std::filesystem::path(folder_) / "jwt.key";
    auto authority = security::Authority::open(keys, *store_, metrics_, *log_to_);
    if (!authority) throw std::runtime_error(authority.error().detail);
    authority_ = std::move(*authority);
    authority_->start();
    pipeline::AcceptorSettings settings;
    settings.classes = &classes_;
    acceptor_ = std::make_unique<pipeline::Acceptor>(settings, metrics_);
    service_ = make_service(options_, {*acceptor_, *store_, couriers_, {}, *authority_, metrics_, *log_to_});
    const auto started = service_->start();
    if (!started) throw std::runtime_error(started.error().detail);
  }

  /// The service again, with other options or another store around the engine.
  void reopen() {
    close();
    open();
  }

  void close() {
    if (service_) service_->stop(std::chrono::milliseconds(2'000));
    if (store_) store_->close();
    service_.reset();
    authority_.reset();
    store_.reset();
  }

  [[nodiscard]] std::string token(std::string_view scope) const {
    return *security::mint_token(*key_, {"tester", std::string(scope)}, system_now());
  }
  [[nodiscard]] TestClient client() const { return TestClient(service_->api_endpoint().port); }

  [[nodiscard]] std::string bearer(std::string_view scope = "detections:write detections:read audit:read") const {
    return "Authorization: Bearer " + token(scope) + "\r\n";
  }

  std::optional<TestAnswer> ask(std::string_view method, std::string_view target, std::string_view headers,
                                std::string_view body = {}) {
    auto c = client();
    std::string request(method);
    request.append(" ").append(target).append(" HTTP/1.1\r\nHost: a\r\n").append(headers);
    if (!body.empty() || method == "POST" || method == "PUT")
      request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return c.ask(request + "\r\n" + std::string(body), method == "HEAD");
  }
  TestAnswer get(std::string_view target, std::string_view headers = {}) {
    return ask("GET", target, bearer() + std::string(headers)).value_or(TestAnswer{});
  }
  TestAnswer post(const std::string& body, std::string_view headers = {},
                  std::string_view target = "/api/v1/detections", std::string_view type = "application/json") {
    return ask("POST", target, bearer() + "Content-Type: " + std::string(type) + "\r\n" + std::string(headers), body)
        .value_or(TestAnswer{});
  }
  std::string metrics() {
    TestClient c(service_->metrics_endpoint().port);
    const auto answer = c.ask("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    return answer ? answer->body : std::string();
  }

  static nlohmann::json request(std::string_view id = {}) {
    auto body = good_request();
    body["timestamp"] = format_rfc3339_us(system_now());
    if (!id.empty()) body["detection_id"] = id;
    return body;
  }

  static void expect_problem(const TestAnswer& answer, int status, std::string_view code) {
    EXPECT_EQ(answer.status, status) << answer.body;
    EXPECT_EQ(answer.header("Content-Type"), "application/problem+json");
    EXPECT_EQ(nlohmann::json::parse(answer.body, nullptr, false).value("code", ""), code);
  }

  /// A request of a token of these scopes, with JSON where there is a body.
  TestAnswer as(std::string_view scope, std::string_view method, std::string_view target, std::string_view body = {},
                std::string_view headers = {}) {
    auto lines = bearer(scope) + std::string(headers);
    if (!body.empty()) lines += "Content-Type: application/json\r\n";
    return ask(method, target, lines, body).value_or(TestAnswer{});
  }

  std::filesystem::path folder_;
  ServiceOptions options_;
  std::function<std::unique_ptr<store::Store>(std::unique_ptr<store::Store>)> wrap_;
  std::vector<pipeline::Courier*> couriers_;
  telemetry::Metrics metrics_;
  telemetry::Log log_{-1};
  telemetry::Log* log_to_ = &log_;
  cot::ClassMap classes_ = cot::ClassMap::built_in();
  std::unique_ptr<security::Authority> authority_;
  std::unique_ptr<security::HmacKey> key_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<pipeline::Acceptor> acceptor_;
  std::unique_ptr<Service> service_;
};

inline constexpr std::string_view kId = "0198a3c1-7f00-7abc-8def-0123456789ab";

}  // namespace detection::http
