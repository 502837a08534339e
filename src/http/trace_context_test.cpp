#include "http/trace_context.hpp"

#include <gtest/gtest.h>

#include <string>

namespace detection::http {
namespace {

constexpr std::string_view kGood = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr std::string_view kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";

TEST(TraceContext, TakesTheTraceId) {
  EXPECT_EQ(trace_id_of(kGood), kTrace);
  EXPECT_EQ(trace_id_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"), kTrace);
  EXPECT_EQ(trace_id_of("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), kTrace) << "a later version";
  EXPECT_EQ(trace_id_of("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-will-be"), kTrace);
}

TEST(TraceContext, TakesNothingElse) {
  for (const std::string_view bad : {"", "00", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                                     "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                                     "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                                     "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                                     "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
                                     "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
                                     "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
                                     "0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                                     "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
                                     "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
                                     "00-4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7-01",
                                     "00-4bf92f3577b34da6\n3ce929d0e0e4736a-00f067aa0ba902b7-01"})
    EXPECT_EQ(trace_id_of(bad), "") << bad;
  for (std::size_t at = 0; at < kGood.size(); ++at) {
    std::string other(kGood);
    other[at] = '"';
    EXPECT_EQ(trace_id_of(other), "") << other;
    EXPECT_EQ(trace_id_of(kGood.substr(0, at)), "") << at;
  }
}

}  // namespace
}  // namespace detection::http
