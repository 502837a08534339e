#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "app/commands.hpp"
#include "app/open_store.hpp"

namespace detection::app {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

class StoreCommands : public ::testing::Test {
 protected:
  ~StoreCommands() override { std::filesystem::remove_all(directory_); }

  [[nodiscard]] Configuration configuration(Configuration::Flags flags = {}) const {
    flags.emplace("data-dir", std::vector{directory_.string()});
    auto loaded = Configuration::load(flags, [](const char*) -> const char* { return nullptr; });
    EXPECT_TRUE(loaded) << loaded.error().detail;
    return std::move(*loaded);
  }
  /// What it printed on stdout.
  template <class Command, class Arguments>
  std::string printed(Command command, const Arguments& arguments, int code = kDone) {
    ::testing::internal::CaptureStdout();
    const int returned = command(configuration(), arguments);
    auto text = ::testing::internal::GetCapturedStdout();
    EXPECT_EQ(returned, code);
    return text;
  }

  std::filesystem::path directory_ =
      std::filesystem::path(::testing::TempDir()) / ("store_commands_" + std::to_string(getpid()));
};

TEST_F(StoreCommands, MigrateMakesAStoreOnceAndSaysItsVersions) {
  const auto made = nlohmann::json::parse(printed(migrate, MigrateArguments{true}));
  EXPECT_EQ(made.at("before"), 0);
  const auto version = made.at("after").get<std::int64_t>();
  EXPECT_GT(version, 0);
  EXPECT_EQ(nlohmann::json::parse(printed(migrate, MigrateArguments{true})),
            (nlohmann::json{{"before", version}, {"after", version}}));
  EXPECT_EQ(printed(migrate, MigrateArguments{}), "schema version " + std::to_string(version) + ", up to date\n");
}

TEST_F(StoreCommands, MigrateLeavesAnotherProgramsFileAlone) {
  std::filesystem::create_directories(directory_);
  std::ofstream(directory_ / "detections.db") << "this is no database, and long enough to be looked at as one ......";
  EXPECT_EQ(printed(migrate, MigrateArguments{}, kFailed), "");
}

TEST_F(StoreCommands, ASlotIsSetReadAndAuditedOnceForEachChange) {
  printed(migrate, MigrateArguments{});
  EXPECT_EQ(printed(slot_get, SlotArguments{}), "none\n");
  EXPECT_EQ(printed(slot_get, SlotArguments{{}, {}, true}), "{\"active_slot\":null}\n");
  EXPECT_EQ(printed(slot_set, SlotArguments{"blue", "ann"}), "blue\n");
  EXPECT_EQ(printed(slot_set, SlotArguments{"blue", "ann", true}), "{\"active_slot\":\"blue\",\"changed\":false}\n");
  EXPECT_EQ(printed(slot_set, SlotArguments{"green", "bob", true}), "{\"active_slot\":\"green\",\"changed\":true}\n");
  EXPECT_EQ(printed(slot_get, SlotArguments{}), "green\n");
  EXPECT_EQ(printed(slot_get, SlotArguments{{}, {}, true}), "{\"active_slot\":\"green\"}\n");

  const auto store = open_store(configuration(), StoreRole::kRead);
  ASSERT_TRUE(store) << store.error().detail;
  const auto page = (*store)->search_audit({}, "", 100);
  ASSERT_TRUE(page);
  std::vector<std::string> actors;
  for (const auto& item : page->items)
    if (item.event.detail_json.find("release.active_slot") != std::string::npos) actors.push_back(item.event.actor);
  EXPECT_EQ(actors, (std::vector<std::string>{"bob", "ann"}));
}

TEST_F(StoreCommands, AReaderDoesNotMakeAStore) {
  EXPECT_EQ(printed(slot_get, SlotArguments{}, kFailed), "");
  EXPECT_FALSE(std::filesystem::exists(directory_));
}

TEST_F(StoreCommands, TheProcessOfEachRoleHasItsName) {
  const auto given =
      configuration({{"database-url", {"postgresql://h/d"}}, {"slot", {"green"}}, {"process-name", {"pod-1"}}});
  const auto serving = database_options(given, StoreRole::kServe, nullptr);
  EXPECT_EQ(serving.process, "pod-1");
  EXPECT_EQ(serving.slot, "green");
  EXPECT_TRUE(serving.migrate);
  // Whatever the environment says, a command takes no part in the fence and does not move the schema.
  const auto command = database_options(given, StoreRole::kCommand, nullptr);
  EXPECT_NE(command.process, "pod-1");
  EXPECT_EQ(command.slot, "");
  EXPECT_FALSE(command.migrate);
  EXPECT_FALSE(command.read_only);
  EXPECT_TRUE(database_options(given, StoreRole::kRead, nullptr).read_only);
  EXPECT_THAT(process_name(configuration()), MatchesRegex("[A-Za-z0-9._-]+-" + std::to_string(getpid())));
}

TEST_F(StoreCommands, TheUrlOfTheDatabaseIsNeverShown) {
  const auto secret = configuration({{"database-url", {"postgresql://u:geheim@h/d"}}});
  for (const auto form : {ConfigForm::kTable, ConfigForm::kJson}) {
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(show_config(secret, form), kDone);
    const auto text = ::testing::internal::GetCapturedStdout();
    EXPECT_THAT(text, Not(HasSubstr("geheim")));
    EXPECT_THAT(text, HasSubstr("database-url"));
  }
  const auto wrong = Configuration::load({{"database-url", {"mysql://u@h/d?password=geheim"}}},
                                         [](const char*) -> const char* { return nullptr; });
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().detail, HasSubstr("--database-url"));
  EXPECT_THAT(wrong.error().detail, Not(HasSubstr("geheim")));
}

}  // namespace
}  // namespace detection::app
