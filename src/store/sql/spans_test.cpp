#include "store/sql/spans.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace detection::store::sql {
namespace {

TEST(Spans, JoinWhatTouchesInAnyOrder) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    Spans spans;
    std::set<std::int64_t> plain;
    for (int k = 0; k < 30; ++k) {
      const auto first = static_cast<std::int64_t>(random() % 100),
                 last = first + static_cast<std::int64_t>(random() % 6) - 1;
      bool overlaps = false;
      for (auto n = first; n <= last; ++n) overlaps |= plain.contains(n);
      if (overlaps) continue;
      spans.add({first, last});
      for (auto n = first; n <= last; ++n) plain.insert(n);
    }
    for (std::int64_t n = -2; n < 110; ++n) {
      EXPECT_EQ(spans.contains(n), plain.contains(n)) << n;
      const bool begins = plain.contains(n) && !plain.contains(n - 1);
      EXPECT_EQ(spans.end_of(n).has_value(), begins) << "not joined at " << n;
    }
    while (!spans.empty()) {
      EXPECT_EQ(spans.front().first, *plain.begin());
      while (!plain.empty() && *plain.begin() <= spans.front().last) plain.erase(plain.begin());
      spans.pop_front();
    }
    EXPECT_TRUE(plain.empty());
  }
}

}  // namespace
}  // namespace detection::store::sql
