#include "pipeline/patience.hpp"

#include <gtest/gtest.h>

namespace detection::pipeline {
namespace {

using namespace std::chrono_literals;

TEST(Patience, AsksLessAndLessOftenAndSaysSoOnceAMinute) {
  Patience patience;
  const Patience::Time start{1h};
  EXPECT_LE(patience.again(), start) << "nothing has failed";
  EXPECT_FALSE(patience.worked());
  EXPECT_TRUE(patience.failed(start));
  EXPECT_EQ(patience.again(), start + 250ms);
  auto now = start;
  int said = 0, tries = 0;
  while (now < start + 10min) {
    now = patience.again();
    ++tries;
    said += patience.failed(now) ? 1 : 0;
    EXPECT_LE(patience.again() - now, 2s);
  }
  EXPECT_GE(said, 9);
  EXPECT_LE(said, 10);
  EXPECT_LT(tries, 310);
  EXPECT_TRUE(patience.worked());
  EXPECT_LE(patience.again(), start);
  EXPECT_FALSE(patience.worked()) << "it is no news twice";
  EXPECT_TRUE(patience.failed(now)) << "it is away anew";
  EXPECT_EQ(patience.again(), now + 250ms);
}

}  // namespace
}  // namespace detection::pipeline
