// detection-api smoke, against services that are well and services that are not.

#include <gtest/gtest.h>

#include "integration/support/fast_sink.hpp"
#include "integration/support/records.hpp"

namespace detection::integration {
namespace {

using nlohmann::json;
using std::chrono::seconds;

class Smoke : public ::testing::Test {
 protected:
  Smoke() {
    sink.start();
    service.start();
  }
  [[nodiscard]] Output smoke(std::vector<std::string> more, bool with_key = true) const {
    const auto url = [](std::uint16_t port) { return "http://127.0.0.1:" + std::to_string(port); };
    std::vector<std::string> command{binary().string(),       "smoke",         "--url",
                                     url(service.api_port()), "--metrics-url", url(service.metrics_port())};
    if (with_key) command.insert(command.end(), {"--jwt-key-file", service.key_file().string()});
    command.insert(command.end(), more.begin(), more.end());
    return run(command);
  }
  /// The names of the checks that did not pass.
  static std::vector<std::string> failed(const Output& output) {
    std::vector<std::string> names;
    const auto said = json::parse(output.out);
    for (const auto& check : said.at("checks"))
      if (!check.at("passed").get<bool>()) names.push_back(check.at("name"));
    return names;
  }

  FastSink sink;
  Service service{{binary(), {sink.url()}, {"--slot", "green", "--red-policy", "send"}}};
};

using Names = std::vector<std::string>;

TEST_F(Smoke, PassesAndTheExerciseReachesNoTakServer) {
  const auto done = smoke({"--json", "--expect-slot", "green"});
  EXPECT_EQ(done.exit.code, 0) << done.out << done.err;
  const auto said = json::parse(done.out);
  EXPECT_EQ(said.at("passed"), true);
  EXPECT_EQ(said.at("checks").size(), 7U);
  const auto words = smoke({});
  EXPECT_EQ(words.exit.code, 0) << words.out;
  EXPECT_NE(words.out.find("7 of 7 passed\n"), std::string::npos) << words.out;
  auto client = service.client();
  const auto listed = client.get("/api/v1/detections?source=smoke");
  ASSERT_TRUE(listed && listed->status == 200);
  const auto items = json::parse(listed->body).at("items");
  ASSERT_EQ(items.size(), 2U);
  for (const auto& item : items) EXPECT_EQ(item.at("exercise"), true) << item;
  EXPECT_TRUE(drained(service, seconds(10)));
  EXPECT_EQ(sink.events_read(), 0U);
}

TEST_F(Smoke, AnotherSlotAnotherCommitAreSaid) {
  EXPECT_EQ(failed(smoke({"--json", "--expect-slot", "blue"})), Names{"health"});
  EXPECT_EQ(failed(smoke({"--json", "--expect-commit", "0123456789abcdef"})), Names{"health"});
}

TEST_F(Smoke, WithoutTheRightKeyNothingIsAccepted) {
  TempDir dir;
  write_file(dir.path() / "token", service.token("detections:read") + "\n");
  const auto scope = smoke({"--json", "--token-file", (dir.path() / "token").string()}, false);
  EXPECT_EQ(scope.exit.code, 1);
  EXPECT_EQ(failed(scope), (Names{"detection accepted", "flag", "delivery state"}));
  EXPECT_NE(scope.out.find("detections:write"), std::string::npos) << scope.out;
  EXPECT_EQ(smoke({}, false).exit.code, 2) << "no key and no token";
  EXPECT_EQ(smoke({"--token-file", "/nowhere"}, false).exit.code, 1);
  write_file(dir.path() / "token", service.token("detections:write"));
  EXPECT_EQ(smoke({"--token-file", (dir.path() / "token").string()}, false).exit.code, 0);
}

TEST_F(Smoke, NobodyThereFailsEveryCheck) {
  service.kill();
  const auto done = smoke({"--json"});
  EXPECT_EQ(done.exit.code, 1);
  EXPECT_EQ(failed(done).size(), 7U) << done.out;
}

}  // namespace
}  // namespace detection::integration
