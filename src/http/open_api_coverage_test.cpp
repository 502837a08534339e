// Every status that /openapi.json declares for an operation is one that the operation gives: a table of requests
// produces each of them at least once, from a running service. What is declared and not produced, or produced and not
// declared, fails.

#include <gmock/gmock.h>

#include <map>
#include <set>

#include "http/api_fixture.hpp"
#include "http/test_console.hpp"

namespace detection::http {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::string_view kAll = "detections:read detections:write detections:verify audit:read admin";
constexpr std::string_view kNobody = "0198a3c1-7f00-7abc-8def-000000000000";

/// Fails everything that is asked of it while `fault` is set.
class FaultyStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  bool submit(std::unique_ptr<store::CommitJob>& job) override {
    if (!fault && !spools) return ForwardingStore::submit(job);
    auto ended = std::move(job);
    if (fault) ended->error = Error{*fault, "on purpose", {}};
    ended->spooled = !fault;
    ended->results.resize(ended->items.size());
    auto* home = ended->home;
    std::vector<std::unique_ptr<store::CommitJob>> jobs;
    jobs.push_back(std::move(ended));
    home->committed(std::move(jobs));
    return true;
  }
  Result<std::optional<store::StoredDetection>> find(const Uuid& id) override {
    return or_fault([&] { return ForwardingStore::find(id); });
  }
  Result<store::ListPage> list(const store::ListFilter& filter, std::optional<std::int64_t> before,
                               std::size_t limit) override {
    return or_fault([&] { return ForwardingStore::list(filter, before, limit); });
  }
  Result<std::vector<store::SinkQueue>> sink_queues() override {
    return or_fault([&] { return ForwardingStore::sink_queues(); });
  }
  Result<std::int64_t> retry_dead_letters(std::string_view sink, std::string_view actor) override {
    return or_fault([&] { return ForwardingStore::retry_dead_letters(sink, actor); });
  }
  Result<store::DeadLetterPage> dead_letters(std::string_view sink, std::optional<std::int64_t> before,
                                             std::size_t limit) override {
    return or_fault([&] { return ForwardingStore::dead_letters(sink, before, limit); });
  }
  Result<Verified> verify(const Verification& verification) override {
    return or_fault([&] { return ForwardingStore::verify(verification); });
  }
  Result<store::AuditVerdict> verify_audit() override {
    return or_fault([&] { return ForwardingStore::verify_audit(); });
  }
  Result<store::AuditPage> search_audit(const store::AuditFilter& filter, std::string_view cursor,
                                        std::size_t limit) override {
    return or_fault([&] { return ForwardingStore::search_audit(filter, cursor, limit); });
  }
  Result<void> put_api_key(const store::ApiKeyRecord& key, const store::AuditEntry& entry,
                           const std::optional<Sha256>& instead_of) override {
    return or_fault([&] { return ForwardingStore::put_api_key(key, entry, instead_of); });
  }
  Result<std::vector<store::ApiKeyRecord>> api_keys() override {
    return or_fault([&] { return ForwardingStore::api_keys(); });
  }
  Result<void> revoke_token(const store::RevokedToken& token, const store::AuditEntry& entry) override {
    return or_fault([&] { return ForwardingStore::revoke_token(token, entry); });
  }
  Result<std::string> feed_head() override {
    return or_fault([&] { return ForwardingStore::feed_head(); });
  }
  store::StoreStatus status() override {
    auto status = ForwardingStore::status();
    if (fault) status.writable = false;
    return status;
  }

  std::optional<ErrorCode> fault;
  bool spools = false;  ///< instead of a commit

 private:
  template <class Call>
  auto or_fault(Call&& call) -> decltype(call()) {
    if (fault) return fail(*fault, "on purpose");
    return call();
  }
};

struct Called {
  std::string method, path;  ///< as in the document: lower case, the template
};

class OpenApiCoverage : public ApiTest {
 protected:
  OpenApiCoverage() {
    options_.header_timeout = milliseconds(300);
    options_.body_timeout = milliseconds(300);
    options_.heartbeat = milliseconds(50);
    options_.console = console_;
    wrap_ = [this](std::unique_ptr<store::Store> inner) {
      auto faulty = std::make_unique<FaultyStore>(std::move(inner));
      faulty_ = faulty.get();
      return faulty;
    };
    reopen();
    const auto document = json::parse(get("/openapi.json").body);
    for (const auto& [path, operations] : document["paths"].items())
      for (const auto& [method, operation] : operations.items()) {
        operations_.push_back({method, path});
        bodies_[method + " " + path] = operation.contains("requestBody");
        scoped_[method + " " + path] = operation["security"].size() == 3;
        for (const auto& [status, answer] : operation["responses"].items())
          declared_.insert(method + " " + path + " " + status);
      }
  }

  static std::string upper(std::string text) {
    std::ranges::transform(text, text.begin(), [](char c) { return static_cast<char>(std::toupper(c)); });
    return text;
  }
  [[nodiscard]] std::uint16_t port_of(const Called& called) const {
    return called.path == "/metrics" ? service_->metrics_endpoint().port : service_->api_endpoint().port;
  }
  static std::string filled(const std::string& path, std::string_view parameter) {
    const auto open = path.find('{');
    if (open == std::string::npos) return path;
    return path.substr(0, open) + std::string(parameter) + path.substr(path.find('}') + 1);
  }

  void saw(const Called& called, int status, const std::string& body = {}) {
    produced_.insert(called.method + " " + called.path + " " + std::to_string(status));
    if (status == 0) ADD_FAILURE() << called.method << " " << called.path << " gave no answer";
    if (status >= 400 && called.method != "head" && status != 503) {
      EXPECT_EQ(json::parse(body, nullptr, false).value("status", 0), status) << called.path << body;
    }
  }

  /// Head lines without the request line and without the empty line.
  struct What {
    std::string target_parameter = std::string(kNobody);
    std::string query{};
    std::string headers{};
    std::string body{};
    std::string type = "application/json";
    std::string scope = std::string(kAll);
  };
  TestAnswer call(const Called& called, const What& what) {
    const std::string method = upper(called.method);
    std::string text = method + " " + filled(called.path, what.target_parameter) + what.query +
                       " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    if (!what.scope.empty()) text += bearer(what.scope);
    text += what.headers;
    if (!what.body.empty()) text += "Content-Type: " + what.type + "\r\n";
    if (!what.body.empty() || method == "POST" || method == "PUT")
      text += "Content-Length: " + std::to_string(what.body.size()) + "\r\n";
    TestClient client(port_of(called));
    auto answer = client.ask(text + "\r\n" + what.body, called.method == "head").value_or(TestAnswer{});
    saw(called, answer.status, answer.body);
    return answer;
  }
  TestAnswer call(std::string method, std::string path, const What& what) {
    return call(Called{std::move(method), std::move(path)}, what);
  }
  /// GET and HEAD.
  void read(const std::string& path, const What& what) {
    call("get", path, what);
    call("head", path, what);
  }

  /// Bytes as they are; `METHOD TARGET` is put in front.
  int raw(const Called& called, const std::string& query, const std::string& rest) {
    TestClient client(port_of(called));
    const auto answer =
        client.ask(upper(called.method) + " " + filled(called.path, kNobody) + query + rest, called.method == "head");
    saw(called, answer ? answer->status : 0, answer ? answer->body : "");
    return answer ? answer->status : 0;
  }

  const std::string console_ = test_console();
  FaultyStore* faulty_ = nullptr;
  std::vector<Called> operations_;
  std::map<std::string, bool> bodies_, scoped_;
  std::set<std::string> declared_, produced_;
};

/// A good body of each operation that takes one.
std::string good_body(const Called& called) {
  static int revoked = 0;
  const auto& path = called.path;
  if (called.method == "get" || called.method == "head") return {};
  auto detection = good_request();
  detection["timestamp"] = format_rfc3339_us(system_now());
  if (path == "/api/v1/detections") return detection.dump();
  if (path == "/api/v1/detections/batch") return json::array({detection}).dump();
  if (path == "/api/v1/detections/{id}/verify") return R"({"verified":true})";
  if (path == "/api/v1/api-keys") return R"({"name":"k","scopes":["detections:read"]})";
  if (path == "/api/v1/auth/revoke") return R"({"jti":")" + std::to_string(++revoked) + "\"}";
  if (path == "/api/v1/auth/token")
    return R"({"grant_type":"client_credentials","client_id":"nobody","client_secret":"nothing"})";
  return {};
}

TEST_F(OpenApiCoverage, EveryDeclaredStatusIsGivenAndNoOther) {
  // What any request can be refused for, before anybody looks what it is about.
  const std::string end = " HTTP/1.1\r\nHost: a\r\n";
  for (const auto& called : operations_) {
    EXPECT_EQ(raw(called, "", end + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), 400) << called.path;
    EXPECT_EQ(raw(called, "?" + std::string(9'000, 'a'), end + "\r\n"), 414) << called.path;
    EXPECT_EQ(raw(called, "", end + "X-Long: " + std::string(20'000, 'a') + "\r\n\r\n"), 431) << called.path;
    const auto credential = bearer(kAll);
    EXPECT_EQ(
        raw(called, "", end + credential + "Content-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n"),
        413)
        << called.path;
    // The method that the path does not take, counted for each that it does.
    TestClient client(port_of(called));
    const auto patch = client.ask("PATCH " + filled(called.path, kNobody) + end + "\r\n");
    ASSERT_TRUE(patch && patch->status == 405) << called.path;
    EXPECT_THAT(patch->header("Allow"), testing::HasSubstr(upper(called.method)));
    saw(called, 405, patch->body);
  }
  {
    // All that dawdle wait together.
    std::vector<std::pair<Called, TestClient>> slow;
    for (const auto& called : operations_) {
      slow.emplace_back(called, TestClient(port_of(called)));
      slow.back().second.send(upper(called.method) + " " + filled(called.path, kNobody) + end);
    }
    for (auto& [called, client] : slow) {
      const auto answer = client.receive(called.method == "head");
      saw(called, answer ? answer->status : 0, answer ? answer->body : "");
    }
  }
  // Who may not; what it cannot be; what it is not.
  for (const auto& called : operations_) {
    const auto body = good_body(called);
    const auto name = called.method + " " + called.path;
    const auto declares = [&](const char* status) { return declared_.contains(name + " " + status); };
    const auto expect = [&](int status, const What& what) { EXPECT_EQ(call(called, what).status, status) << name; };
    if (scoped_[name]) {
      expect(401, {.body = body, .scope = ""});
      expect(403, {.body = body, .scope = called.method == "put" ? "admin" : "detections:verify"});
    }
    if (declares("406")) expect(406, {.headers = "Accept: image/png\r\n", .body = body});
    if (declares("404"))
      expect(404, {.target_parameter = called.path.contains("{id}") ? std::string(kNobody) : "nothing", .body = body});
    if (!bodies_[name]) continue;
    expect(415, {.body = body, .type = "text/plain"});
    expect(400, {.body = "{"});
    if (declares("422")) expect(422, {.body = "{}"});
  }

  // What is good.
  const auto made = call("post", "/api/v1/detections", {.body = request(kId).dump()});
  ASSERT_EQ(made.status, 201) << made.body;
  auto repeated = request(kId);
  repeated["timestamp"] = "2024-05-01T12:00:00Z";
  call("post", "/api/v1/detections", {.body = repeated.dump()});  // 409
  const What at_kept{.target_parameter = "0198a3c1-7f00-7abc-8def-0123456789cd"};
  auto held = request(at_kept.target_parameter);
  held["ai_confidence"] = 0.1;
  ASSERT_EQ(call("post", "/api/v1/detections", {.body = held.dump()}).status, 201);
  EXPECT_EQ(call("post", "/api/v1/detections", {.body = held.dump()}).status, 200);
  EXPECT_EQ(call("post", "/api/v1/detections/batch", {.body = good_body({"post", "/api/v1/detections/batch"})}).status,
            200);
  EXPECT_EQ(call("put", "/api/v1/detections/{id}/verify",
                 {.target_parameter = at_kept.target_parameter, .body = R"({"verified":true})"})
                .status,
            200);
  EXPECT_EQ(call("put", "/api/v1/detections/{id}/verify",
                 {.target_parameter = std::string(kId), .body = R"({"verified":true})"})
                .status,
            409)
      << "it was never held";
  for (const auto* path :
       {"/api/v1/detections", "/api/v1/detections/{id}", "/api/v1/detections/{id}/cot", "/api/v1/detections/{id}/audit",
        "/api/v1/delivery", "/api/v1/audit", "/api/v1/audit/verify", "/api/v1/api-keys", "/.well-known/jwks.json",
        "/health", "/ready", "/metrics", "/openapi.json", "/docs", "/"})
    read(path, at_kept);
  read("/problems/{code}", {.target_parameter = "not_found"});
  read("/api/v1/events", {});
  read("/assets/{name}", {.target_parameter = "main-1.js"});
  read("/assets/{name}", {.target_parameter = "main-1.js", .headers = "If-None-Match: *\r\n"});
  for (const auto* path : {"/api/v1/detections/{id}", "/.well-known/jwks.json", "/openapi.json", "/docs", "/"})
    read(path, {.target_parameter = at_kept.target_parameter, .headers = "If-None-Match: *\r\n"});
  for (const auto* path : {"/api/v1/detections", "/api/v1/audit"}) read(path, {.query = "?limit=0"});
  read("/api/v1/events", {.headers = "Last-Event-ID: not one\r\n"});

  const auto key = call("post", "/api/v1/api-keys", {.body = R"({"name":"k","scopes":["detections:read"]})"});
  ASSERT_EQ(key.status, 201) << key.body;
  const auto created = json::parse(key.body);
  const What at_key{.target_parameter = created["id"]};
  read("/api/v1/api-keys/{id}", at_key);
  const auto rotated = call("post", "/api/v1/api-keys/{id}/rotate", at_key);
  ASSERT_EQ(rotated.status, 200) << rotated.body;
  EXPECT_EQ(call("post", "/api/v1/api-keys/{id}/rotate", at_key).status, 409) << "the grace runs";
  auto at_force = at_key;
  at_force.query = "?force=maybe";
  EXPECT_EQ(call("post", "/api/v1/api-keys/{id}/rotate", at_force).status, 422);
  const json grant{{"grant_type", "client_credentials"},
                   {"client_id", created["id"]},
                   {"client_secret", json::parse(rotated.body)["key"]}};
  EXPECT_EQ(call("post", "/api/v1/auth/token", {.body = grant.dump(), .scope = ""}).status, 200);
  EXPECT_EQ(call("post", "/api/v1/auth/token", {.body = good_body({"post", "/api/v1/auth/token"}), .scope = ""}).status,
            401);
  EXPECT_EQ(call("post", "/api/v1/auth/revoke", {.body = R"({"jti":"x"})"}).status, 200);
  EXPECT_EQ(call("delete", "/api/v1/api-keys/{id}", at_key).status, 204);
  EXPECT_EQ(call("post", "/api/v1/api-keys/{id}/rotate", at_key).status, 409);
  ASSERT_TRUE(store_->open_sink("tak"));
  EXPECT_EQ(call("post", "/api/v1/delivery/{sink}/retry", {.target_parameter = "tak"}).status, 200);
  read("/api/v1/delivery/{sink}/dead-letters", {.target_parameter = "tak"});
  read("/api/v1/delivery/{sink}/dead-letters", {.target_parameter = "tak", .query = "?limit=0"});

  faulty_->spools = true;
  EXPECT_EQ(call("post", "/api/v1/detections", {.body = request().dump()}).status, 202);
  faulty_->spools = false;

  // Said openly: these need a process that is stuck or busy, and are shown elsewhere or not at all.
  const std::set<std::string> elsewhere{
      "get /health 503",
      "head /health 503",  // an event thread that does not turn
      "get /metrics 503",
      "head /metrics 503",            // more scrapes at once than the scraper takes
      "post /api/v1/auth/token 503",  // more reads at once than the workers take
      "post /api/v1/auth/token 500",  // a key that cannot sign
  };

  // A store that cannot, or is full, or fails.
  for (const auto fault : {ErrorCode::kStoreUnavailable, ErrorCode::kCapacityExceeded, ErrorCode::kInternal}) {
    const auto status = fault == ErrorCode::kInternal ? 500 : fault == ErrorCode::kCapacityExceeded ? 507 : 503;
    faulty_->fault = fault;
    for (const auto& called : operations_) {
      const auto name = called.method + " " + called.path;
      if (!declared_.contains(name + " " + std::to_string(status)) ||
          elsewhere.contains(name + " " + std::to_string(status)))
        continue;
      EXPECT_EQ(call(called, {.target_parameter = called.path.contains("{sink}") ? "tak" : std::string(kNobody),
                              .body = good_body(called)})
                    .status,
                status)
          << name;
    }
    faulty_->fault.reset();
  }

  // Too many requests.
  options_.rate_limits = {true, {0.001, 1}, {0.001, 1}, {0.001, 1}};
  reopen();
  for (const auto& called : operations_) {
    const auto name = called.method + " " + called.path;
    if (!declared_.contains(name + " 429")) continue;
    const What what{.body = good_body(called)};
    for (int i = 0; i < 2; ++i) {
      const auto answer = call(called, what);
      if (answer.status != 429) continue;
      EXPECT_NE(answer.header("Retry-After"), "") << name;
      EXPECT_NE(answer.header("RateLimit-Policy"), "") << name;
    }
  }

  std::set<std::string> missing, undeclared;
  std::ranges::set_difference(declared_, produced_, std::inserter(missing, missing.end()));
  std::ranges::set_difference(produced_, declared_, std::inserter(undeclared, undeclared.end()));
  for (const auto& one : elsewhere) missing.erase(one);
  EXPECT_THAT(missing, testing::IsEmpty()) << "declared, and never given";
  EXPECT_THAT(undeclared, testing::IsEmpty()) << "given, and not declared";
}

}  // namespace
}  // namespace detection::http
