#include "cot/event_splitter.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace detection::cot {
namespace {

using Texts = std::vector<std::string>;

Texts split(EventSplitter& splitter, std::string_view stream, std::size_t piece) {
  Texts events;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    // A heap block of its own, so that the address sanitizer sees a view that outlives its piece.
    const std::string part(stream.substr(at, piece));
    std::string_view bytes = part;
    while (const auto event = splitter.next(bytes)) events.emplace_back(*event);
    EXPECT_TRUE(bytes.empty());
  }
  return events;
}

TEST(EventSplitter, CutsAtTheEndTagWhateverTheStreamIsCutInto) {
  const std::string a = "<event uid=\"1\"><detail/></event>", b = "<event\n>&lt;/event></event>",
                    c = "<event/></event>";
  const std::string stream = "<?xml version=\"1.0\"?>\n" + a + b + "\n junk <even <<event> </events> <eventual/>" +
                             "<!-- -->" + c + "</event>" + a + "<event unfinished='";
  // "<event> </events>..." opens an event that the next end tag ends.
  const Texts expected{a, b, "<event> </events> <eventual/><!-- -->" + c, a};
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    EventSplitter splitter;
    EXPECT_EQ(split(splitter, stream, piece), expected) << piece;
    EXPECT_EQ(splitter.held_bytes(), std::string_view("<event unfinished='").size());
    EXPECT_EQ(splitter.skipped_events(), 0U);
  }
}

TEST(EventSplitter, OneOverTheLimitIsPassedOverAndTheStreamGoesOn) {
  const std::string good = "<event>12</event>";
  const std::string bad = "<event>123</event>";
  const std::string huge = "<event>" + std::string(10'000, 'x') + "<</event</event>";
  const std::string stream = good + bad + good + huge + good + huge;
  for (const std::size_t piece : {1U, 2U, 3U, 5U, 7U, 16U, 17U, 18U, 64U, 1000U, 100'000U}) {
    EventSplitter splitter(good.size());
    EXPECT_EQ(split(splitter, stream, piece), (Texts{good, good, good})) << piece;
    EXPECT_EQ(splitter.skipped_events(), 3U) << piece;
    EXPECT_LE(splitter.held_bytes(), good.size());
  }
}

TEST(EventSplitter, MemoryStaysBoundedWhateverComes) {
  EventSplitter splitter(1000);
  const std::string endless(500, 'x');
  EXPECT_TRUE(split(splitter, "<event ", 7).empty());
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(split(splitter, endless, 500).empty());
    EXPECT_LE(splitter.held_bytes(), 1000U);
  }
  EXPECT_EQ(splitter.skipped_events(), 1U);
  EXPECT_EQ(split(splitter, "</event><event></event>", 500), (Texts{"<event></event>"}));
}

TEST(EventSplitter, AnEventWithinOnePieceIsNotCopied) {
  EventSplitter splitter;
  const std::string piece = "..<event></event>..";
  std::string_view bytes = piece;
  const auto event = splitter.next(bytes);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->data(), piece.data() + 2);
}

/// Random tokens in random pieces: the same as in one piece.
TEST(EventSplitter, PiecesMakeNoDifference) {
  std::mt19937 random(11);
  const std::string tokens[] = {"<event", " ", ">", "/", "</event>", "</eve", "<", "x", "<event>", "nt>", "<?xml?>"};
  for (int round = 0; round < 2000; ++round) {
    std::string stream;
    for (int i = 0; i < 40; ++i) stream += tokens[random() % std::size(tokens)];
    EventSplitter whole(40), pieces(40);
    const auto expected = split(whole, stream, stream.size());
    EXPECT_EQ(split(pieces, stream, 1 + random() % 9), expected) << stream;
    EXPECT_EQ(pieces.skipped_events(), whole.skipped_events()) << stream;
  }
}

}  // namespace
}  // namespace detection::cot
