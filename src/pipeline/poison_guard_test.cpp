#include "pipeline/poison_guard.hpp"

#include <gtest/gtest.h>

namespace detection::pipeline {
namespace {

using Verdict = PoisonGuard::Verdict;

constexpr std::size_t kFull = 512;
constexpr bool kServed = true, kNotServed = false;

Verdict lose(PoisonGuard& guard, std::int64_t head, std::size_t events, bool served = kServed) {
  return guard.lost({head, events, served});
}

void make_careful(PoisonGuard& guard, std::int64_t head = 1) {
  for (int i = 0; i < PoisonGuard::kLossesUntilCareful; ++i)
    EXPECT_EQ(lose(guard, head, 20, kNotServed), Verdict::kGoOn);
  ASSERT_TRUE(guard.careful());
  EXPECT_EQ(guard.at_once(kFull), 1U);
}

TEST(PoisonGuard, ABatchLostThreeTimesInARowMakesCareful) {
  PoisonGuard guard;
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(lose(guard, i, 20), Verdict::kGoOn) << "another head each time";
    EXPECT_EQ(lose(guard, i, 20), Verdict::kGoOn);
    EXPECT_EQ(lose(guard, i, 0), Verdict::kGoOn) << "nothing was in flight";
    EXPECT_EQ(guard.arrived(1), Verdict::kGoOn) << "or something arrived in between";
    EXPECT_EQ(lose(guard, i, 20), Verdict::kGoOn);
    EXPECT_FALSE(guard.careful());
    EXPECT_EQ(guard.at_once(kFull), kFull);
  }
  make_careful(guard, 100);
}

Verdict strike_out(PoisonGuard& guard, std::int64_t event) {
  for (int i = 1; i < PoisonGuard::kStrikes; ++i) EXPECT_EQ(lose(guard, event, 1), Verdict::kGoOn);
  return lose(guard, event, 1);
}

TEST(PoisonGuard, AnEventIsGivenUpWhenItFailsAgainAfterAnotherArrived) {
  PoisonGuard guard;
  make_careful(guard);
  EXPECT_EQ(strike_out(guard, 1), Verdict::kSetAside);
  EXPECT_EQ(strike_out(guard, 2), Verdict::kSetAside);
  EXPECT_EQ(guard.at_once(kFull), 1U);
  EXPECT_EQ(guard.arrived(1), Verdict::kTryAgain);
  EXPECT_EQ(guard.at_once(kFull), 1U);
  EXPECT_EQ(lose(guard, 1, 1, kNotServed), Verdict::kGoOn) << "says nothing";
  EXPECT_EQ(lose(guard, 3, 1), Verdict::kGoOn) << "not a suspect";
  EXPECT_EQ(lose(guard, 1, 1), Verdict::kGiveUp);
  EXPECT_EQ(lose(guard, 2, 1), Verdict::kGoOn) << "nothing has arrived since";
  EXPECT_EQ(guard.arrived(1), Verdict::kGoOn);
}

TEST(PoisonGuard, WhatArrivesOnItsLastTryIsNotGivenUp) {
  PoisonGuard guard;
  make_careful(guard);
  EXPECT_EQ(strike_out(guard, 1), Verdict::kSetAside);
  EXPECT_EQ(guard.arrived(1), Verdict::kTryAgain) << "the server is well again";
  EXPECT_EQ(guard.arrived(1), Verdict::kGoOn);
}

TEST(PoisonGuard, FullBatchesComeBackStepByStep) {
  PoisonGuard guard;
  make_careful(guard);
  std::size_t sent = 0;
  for (std::size_t expected = 1; expected < kFull; expected *= 2) {
    ASSERT_TRUE(guard.careful());
    EXPECT_EQ(guard.at_once(kFull), expected);
    sent += guard.at_once(kFull);
    EXPECT_EQ(guard.arrived(guard.at_once(kFull)), Verdict::kGoOn);
  }
  EXPECT_FALSE(guard.careful());
  EXPECT_EQ(sent, kFull - 1) << "all that was suspected went in small pieces";
}

TEST(PoisonGuard, OnlyAnEventAloneOnAConnectionThatServedIsStruck) {
  PoisonGuard guard;
  make_careful(guard);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(lose(guard, 1, 1, kNotServed), Verdict::kGoOn) << "a server that restarts";
  for (int i = 0; i < 50; ++i) EXPECT_EQ(lose(guard, 1, 2), Verdict::kGoOn) << "not alone";
  for (int i = 0; i < 50; ++i) {
    for (int k = 1; k < PoisonGuard::kStrikes; ++k) EXPECT_EQ(lose(guard, 1, 1), Verdict::kGoOn);
    EXPECT_EQ(lose(guard, 1, 1, kNotServed), Verdict::kGoOn) << "five in a row, not five in all";
  }
  for (int i = 0; i < 50; ++i) EXPECT_EQ(lose(guard, i, 1), Verdict::kGoOn) << "another each time";
}

TEST(PoisonGuard, AServerThatTakesNothingCostsNothing) {
  PoisonGuard guard;
  make_careful(guard);
  for (int round = 0; round < 3; ++round) {
    for (std::size_t event = 1; event <= PoisonGuard::kAsideMost; ++event)
      EXPECT_EQ(strike_out(guard, static_cast<std::int64_t>(event)),
                event < PoisonGuard::kAsideMost ? Verdict::kSetAside : Verdict::kTryAgain);
  }
  EXPECT_EQ(guard.arrived(1), Verdict::kGoOn) << "nothing is set aside any more";
}

TEST(PoisonGuard, WithNothingElseToTryASingleOneIsGivenUpAndSeveralAreNot) {
  PoisonGuard guard;
  make_careful(guard);
  EXPECT_EQ(guard.nothing_else(), Verdict::kGoOn);
  EXPECT_EQ(strike_out(guard, 1), Verdict::kSetAside);
  EXPECT_EQ(guard.nothing_else(), Verdict::kGiveUp);
  EXPECT_EQ(strike_out(guard, 2), Verdict::kSetAside);
  EXPECT_EQ(strike_out(guard, 3), Verdict::kSetAside);
  EXPECT_EQ(guard.nothing_else(), Verdict::kTryAgain);
  EXPECT_EQ(guard.nothing_else(), Verdict::kGoOn);
}

}  // namespace
}  // namespace detection::pipeline
