// smoke: the seven checks of a slot before it gets traffic. What it posts is an exercise: the discard sink's alone.

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "app/answer.hpp"
#include "app/commands.hpp"
#include "app/web_client.hpp"
#include "detection/json_writer.hpp"
#include "detection/time.hpp"
#include "security/token.hpp"

namespace detection::app {
namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

constexpr double kHealthMost_ms = 100;  ///< of the median

struct Check {
  std::string_view name;
  bool passed = false;
  std::string text;  ///< what was seen
  double took_ms = 0;
};

/// A vehicle seen from 120 m above stated ground; GREEN with the limits of a fresh installation.
std::string exercise() {
  return R"({"exercise":true,"pixel_x":960,"pixel_y":540,"object_class":"vehicle","ai_confidence":0.92,)"
         R"("source":"smoke","camera_id":"smoke","timestamp":")" +
         format_rfc3339_ms(system_now()) +
         R"(","sensor_metadata":{"location_lat":48,"location_lon":11,"location_elevation":620,)"
         R"("elevation_reference":"hae","ground_elevation_m":500,"heading":90,"pitch":-60,"roll":0,)"
         R"("focal_length":2000,"image_width":1920,"image_height":1080}})";
}

class Smoke {
 public:
  Smoke(const SmokeArguments& arguments, std::string token) : arguments_(arguments), token_(std::move(token)) {}

  std::vector<Check> run() {
    check("health", [&](Check& c) {
      const auto answer = get(c, arguments_.url + "/health", 200);
      if (!answer) return;
      const auto slot = text_of_answer(*answer, "slot"), version = text_of_answer(*answer, "version");
      c.text += ", version " + version + (slot.empty() ? "" : ", slot " + slot);
      if (!arguments_.slot.empty() && slot != arguments_.slot) fail_with(c, "expected slot " + arguments_.slot);
      const auto commit = text_of_answer(*answer, "commit");
      if (!arguments_.commit.empty() && (commit.empty() || !arguments_.commit.starts_with(commit)))
        fail_with(c, "commit " + commit + ", expected " + arguments_.commit);
    });
    check("ready", [&](Check& c) { (void)get(c, arguments_.url + "/ready", 200); });
    AnswerSummary summary;
    check("detection accepted", [&](Check& c) {
      const auto answer = client_.post_json(arguments_.url + "/api/v1/detections", exercise(), token_);
      if (!answer) return fail_with(c, answer.error().detail);
      summary = read_answer(answer->body);
      const auto id = text_of_answer(answer->body, "detection_id");
      c.text = std::to_string(answer->status) + (id.empty() ? " " + summary.problem : ", id " + id);
      c.passed = (answer->status == 201 || answer->status == 202) && !id.empty();
    });
    check("flag", [&](Check& c) {
      c.text = summary.flag.empty() ? "none" : summary.flag;
      c.passed = c.text == "GREEN" || c.text == "YELLOW" || c.text == "RED";
    });
    check("delivery state", [&](Check& c) {
      static constexpr std::array kGood{"queued", "delivered", "discarded", "spooled"};
      c.text = summary.state.empty() ? "none" : summary.state;
      c.passed = std::ranges::find(kGood, c.text) != kGood.end();
    });
    check("metrics", [&](Check& c) {
      const auto answer = get(c, arguments_.metrics_url + "/metrics", 200);
      if (answer && answer->find("detection_api_info{") == std::string::npos)
        fail_with(c, "detection_api_info is not among them");
    });
    check("health is quick", [&](Check& c) {
      std::array<double, 5> took_ms{};
      for (auto& one : took_ms) {
        const auto began = steady_clock::now();
        if (const auto answer = client_.get(arguments_.url + "/health"); !answer || answer->status != 200)
          return fail_with(c, "it does not answer any more");
        one = duration<double, std::milli>(steady_clock::now() - began).count();
      }
      std::ranges::sort(took_ms);
      std::array<char, 64> text{};
      std::snprintf(text.data(), text.size(), "median %.1f ms, at most %.0f", took_ms[2], kHealthMost_ms);
      c.text = text.data();
      c.passed = took_ms[2] < kHealthMost_ms;
    });
    return std::move(checks_);
  }

 private:
  template <class Body>
  void check(std::string_view name, Body body) {
    Check one{.name = name, .passed = false, .text = {}, .took_ms = 0};
    const auto began = steady_clock::now();
    body(one);
    one.took_ms = duration<double, std::milli>(steady_clock::now() - began).count();
    checks_.push_back(std::move(one));
  }
  static void fail_with(Check& c, const std::string& why) {
    c.passed = false;
    c.text += (c.text.empty() ? "" : "; ") + why;
  }
  std::optional<std::string> get(Check& c, const std::string& url, long status) {
    auto answer = client_.get(url);
    if (!answer) {
      c.text = answer.error().detail;
      return std::nullopt;
    }
    c.text = std::to_string(answer->status);
    c.passed = answer->status == status;
    return std::move(answer->body);
  }

  const SmokeArguments& arguments_;
  const std::string token_;
  WebClient client_{std::chrono::seconds{5}};
  std::vector<Check> checks_;
};

void print_json(const std::vector<Check>& checks, bool passed) {
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("passed");
  w.boolean(passed);
  w.key("checks");
  w.begin_array();
  for (const auto& c : checks) {
    w.begin_object();
    w.key("name");
    w.string(c.name);
    w.key("passed");
    w.boolean(c.passed);
    w.key("text");
    w.string(c.text);
    w.key("duration_ms");
    w.number(c.took_ms);
    w.end_object();
  }
  w.end_array();
  w.end_object();
  std::printf("%s\n", out.c_str());
}

Result<std::string> token_for(const Configuration& configuration, const SmokeArguments& arguments) {
  if (!arguments.token_file.empty()) {
    std::ifstream file(arguments.token_file);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto end = text.find_last_not_of(" \t\r\n");
    if (end == std::string::npos) return fail(ErrorCode::kNotFound, arguments.token_file + " holds no token");
    return text.substr(0, end + 1);
  }
  const auto key = security::HmacKey::from_file(configuration.text("jwt-key-file"));
  if (!key) return std::unexpected(key.error());
  return security::mint_token(*key, {"smoke", "detections:write", std::chrono::minutes(5)}, system_now());
}

}  // namespace

int smoke(const Configuration& configuration, SmokeArguments arguments) {
  if (arguments.token_file.empty() && configuration.text("jwt-key-file").empty()) {
    std::fprintf(stderr, "detection-api: smoke needs --token-file or --jwt-key-file\n");
    return kWrongUsage;
  }
  for (auto* url : {&arguments.url, &arguments.metrics_url})
    while (url->ends_with('/')) url->pop_back();
  auto token = token_for(configuration, arguments);
  if (!token) {
    std::fprintf(stderr, "detection-api: %s\n", token.error().detail.c_str());
    return kFailed;
  }
  const auto checks = Smoke(arguments, std::move(*token)).run();
  const auto good = std::ranges::count(checks, true, &Check::passed);
  const bool passed = good == std::ssize(checks);
  if (arguments.json) {
    print_json(checks, passed);
  } else {
    for (const auto& c : checks)
      std::printf("%-6s  %-18.*s  %s\n", c.passed ? "ok" : "FAILED", static_cast<int>(c.name.size()), c.name.data(),
                  c.text.c_str());
    std::printf("%td of %td passed\n", good, std::ssize(checks));
  }
  return passed ? kDone : kFailed;
}

}  // namespace detection::app
