#include "app/options.hpp"
#include "test_paths.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

namespace detection::app {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

Configuration::Environment environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) -> const char* {
    const auto found = values.find(name);
    return found == values.end() ? nullptr : found->second.c_str();
  };
}

/// A TOML file for one test.
class TomlFile {
 public:
  explicit TomlFile(std::string_view text)
      : path_(std::filesystem::path(::testing::TempDir()) /
              (std::string("options_test_") + ::testing::UnitTest::GetInstance()->current_test_info()->name() +
               ".toml")) {
    std::ofstream(path_) << text;
  }
  ~TomlFile() { std::filesystem::remove(path_); }
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

TEST(Options, TheTableIsSound) {
  std::set<std::string_view> names;
  for (const auto& spec : option_table()) {
    EXPECT_TRUE(names.insert(spec.name).second) << spec.name << " is declared twice";
    EXPECT_FALSE(spec.help.empty()) << spec.name;
    const bool checked = spec.check != nullptr && !spec.fallback.empty();
    EXPECT_FALSE(checked && spec.check(spec.fallback)) << spec.name;
  }
  EXPECT_EQ(environment_name(option("tak-sink")), "DETECTION_TAK_SINK");
  EXPECT_EQ(toml_key(option("tak-sink")), "tak_sink");
}

TEST(Options, TheDocumentedPageIsTheTable) {
  std::ifstream file(std::string(DETECTION_SOURCE_ROOT) + "/docs/configuration.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(page, configuration_page()) << "write it anew: detection-api config --markdown > docs/configuration.md";
}

TEST(Options, FlagOverEnvironmentOverFileOverDefault) {
  const TomlFile file(
      "green_ce90 = 11\nred_ce90 = 111.5\ncot_stale = \"1h\"\ntak_sink = [\"a=tcp://h:1\", \"tcp://h:2\"]\n");
  const auto loaded = Configuration::load(
      {{"config", {file.path()}}, {"green-ce90", {"13"}}},
      environment({{"DETECTION_GREEN_CE90", "12"}, {"DETECTION_RED_CE90", "112"}, {"DETECTION_LOG_LEVEL", ""}}));
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_EQ(loaded->number("green-ce90"), 13);
  EXPECT_EQ(loaded->source("green-ce90"), OptionSource::kFlag);
  EXPECT_EQ(loaded->number("red-ce90"), 112);
  EXPECT_EQ(loaded->source("red-ce90"), OptionSource::kEnvironment);
  EXPECT_EQ(loaded->duration("cot-stale"), 1h);
  EXPECT_EQ(loaded->source("cot-stale"), OptionSource::kFile);
  EXPECT_EQ(loaded->list("tak-sink").size(), 2U);
  EXPECT_EQ(loaded->text("log-level"), "info");
  EXPECT_EQ(loaded->source("log-level"), OptionSource::kDefault);
}

TEST(Options, TheEnvironmentSeparatesManyBySpaces) {
  const auto loaded = Configuration::load({}, environment({{"DETECTION_TAK_SINK", " a=tcp://h:1  b=tcp://[::1]:2 "}}));
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_THAT(loaded->list("tak-sink"), ::testing::ElementsAre("a=tcp://h:1", "b=tcp://[::1]:2"));
}

TEST(Options, EveryWrongValueIsNamedAtOnceWithItsPlace) {
  const TomlFile file("cot_stale = \"soon\"\n");
  const auto loaded = Configuration::load({{"config", {file.path()}}, {"listen", {"nowhere"}}},
                                          environment({{"DETECTION_RED_POLICY", "maybe"}}));
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().detail, HasSubstr("--listen 'nowhere'"));
  EXPECT_THAT(loaded.error().detail, HasSubstr("DETECTION_RED_POLICY 'maybe'"));
  EXPECT_THAT(loaded.error().detail, HasSubstr("cot_stale 'soon'"));
}

TEST(Options, APasswordInAUrlIsNotRepeated) {
  const auto loaded = Configuration::load({{"tak-sink", {"hq=tls://user:geheim@h:8089"}}}, environment({}));
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().detail, HasSubstr("--tak-sink 'hq=tls://***@h:8089'"));
  EXPECT_THAT(loaded.error().detail, ::testing::Not(HasSubstr("geheim")));
}

TEST(Options, WrongFilesAreRefusedWithTheirLine) {
  const struct {
    const char* text;
    const char* said;
  } cases[] = {
      {"no_such_option = 1\n", "there is no option no_such_option"},
      {"\nlisten = \n", "line 2"},
      {"green_ce90 = [1, 2]\n", "takes one value"},
      {"tak_sink = [[1]]\n", "list of texts"},
      {"listen = { a = 1 }\n", "text or a number"},
      {"config = \"other.toml\"\n", "there is no option config"},
  };
  for (const auto& c : cases) {
    const TomlFile file(c.text);
    const auto loaded = Configuration::load({{"config", {file.path()}}}, environment({}));
    ASSERT_FALSE(loaded) << c.text;
    EXPECT_THAT(loaded.error().detail, HasSubstr(c.said)) << c.text;
  }
  EXPECT_FALSE(Configuration::load({{"config", {"/nonexistent.toml"}}}, environment({})));
}

TEST(Options, BoundsThatContradictEachOtherAreRefused) {
  EXPECT_FALSE(Configuration::load({{"green-ce90", {"101"}}}, environment({})));
  EXPECT_FALSE(Configuration::load({{"red-confidence", {"0.7"}}}, environment({})));
}

TEST(Options, ChecksOfSinks) {
  const OptionCheck check = option("tak-sink").check;
  for (const char* good : {"tcp://127.0.0.1:8087", "a=tcp://h:1", "tak-server.1_x=tcp://[::1]:65535"})
    EXPECT_FALSE(check(good)) << good;
  for (const char* bad : {"", "tcp://", "tcp://h", "tcp://h:0", "tcp://h:65536", "http://h:1", "h:1", "=tcp://h:1",
                          "a b=tcp://h:1", "tcp://user:pass@h:1", "tcp://h:1/path"})
    EXPECT_TRUE(check(bad)) << bad;
}

TEST(Options, Durations) {
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("10"), 10s);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("5min"), 5min);
  EXPECT_EQ(parse_duration("2h"), 2h);
  EXPECT_EQ(parse_duration("1d"), 24h);
  for (const char* bad : {"", "s", "-1s", "1x", "1 s", "nan", "inf", "1e99d", "ms"})
    EXPECT_FALSE(parse_duration(bad)) << bad;
}

TEST(Options, Accuracy) {
  const auto accuracy = parse_accuracy("heading_deg=0.3,pitch_deg=0.2");
  ASSERT_TRUE(accuracy);
  EXPECT_EQ(accuracy->heading_deg, 0.3);
  EXPECT_EQ(accuracy->pitch_deg, 0.2);
  EXPECT_FALSE(accuracy->roll_deg);
  for (const char* bad :
       {"heading_deg", "heading=1", "heading_deg=", "heading_deg=-1", "heading_deg=nan", "heading_deg=0.3,,", "=1"})
    EXPECT_FALSE(parse_accuracy(bad)) << bad;
}

}  // namespace
}  // namespace detection::app
