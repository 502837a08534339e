// What the history of the slots file says: since when, by what, and whether the other slot is warm from before.

#include <gtest/gtest.h>

#include "slotctl/observed.hpp"

namespace detection::slotctl {
namespace {

SlotValues running(const std::string& tag) {
  return {true, {}, {"", tag, ""}, {}};
}
SlotValues idle(const std::string& tag) {
  return {false, {}, {"", tag, ""}, {}};
}
Version version(double time_s, Slot active, SlotValues blue, SlotValues green,
                std::string message = "release(prod): x") {
  return {"r", time_s, std::move(message), {active, std::move(blue), std::move(green), true}};
}
std::string by(const char* step) {
  return std::string("release(prod): x\n\nRelease-Step: ") + step + "\nRelease-Slot: blue\n";
}

TEST(History, WithoutASwitchTheOtherSlotIsIdleOrWarming) {
  const std::vector all{version(2, Slot::kBlue, running("v1"), running("v2"), by("deploy")),
                        version(1, Slot::kBlue, running("v1"), idle("v0"))};
  const auto history = history_of(all);
  EXPECT_FALSE(history.switched_s);
  EXPECT_FALSE(history.standby);
  EXPECT_EQ(history.last_step, "deploy");
  ASSERT_TRUE(history.other_at_rest);
  EXPECT_EQ(history.other_at_rest->image.tag, "v0");
}

TEST(History, AfterASwitchTheOldSlotIsOnStandbyUntilItWasIdle) {
  std::vector all{version(5, Slot::kGreen, running("v1"), running("v2"), by("switch")),
                  version(4, Slot::kBlue, running("v1"), running("v2"))};
  EXPECT_TRUE(history_of(all).standby);
  EXPECT_EQ(history_of(all).switched_s, 5);
  all.insert(all.begin(), version(6, Slot::kGreen, idle("v1"), running("v2"), by("finalize")));
  EXPECT_FALSE(history_of(all).standby);
  EXPECT_EQ(history_of(all).switched_s, 5);
  all.insert(all.begin(), version(7, Slot::kGreen, running("v3"), running("v2"), by("deploy")));
  EXPECT_FALSE(history_of(all).standby) << "it is the next release's";
  EXPECT_EQ(history_of(all).other_at_rest->image.tag, "v1");
}

TEST(History, ARollbackIsKnownByItsCommitAlsoWhenAPersonRevertedTheSwitch) {
  const auto rolled_back = [](const std::string& message) {
    return history_of(std::vector{version(5, Slot::kBlue, running("v1"), running("v2"), message),
                                  version(4, Slot::kGreen, running("v1"), running("v2"))})
        .rolled_back;
  };
  EXPECT_TRUE(rolled_back(by("rollback")));
  EXPECT_TRUE(rolled_back("Revert \"release(prod): switch to green (v2)\"\n\nThis reverts commit 1.\n"));
  EXPECT_FALSE(rolled_back("Revert \"release(prod): roll back to blue (v1)\"\n"));
  EXPECT_FALSE(rolled_back("Revert \"Revert \"release(prod): switch to green\"\"\n"));
  EXPECT_FALSE(rolled_back(by("switch")));
  EXPECT_FALSE(rolled_back("by hand; not a line: Release-Step: rollback"));
}

}  // namespace
}  // namespace detection::slotctl
