#include "detection/text.hpp"

#include <gtest/gtest.h>

namespace detection {
namespace {

TEST(Text, TellsUtf8FromOtherBytes) {
  for (const std::string_view good : {"", "a", "\u00fc", "\u20ac", "\U0001f600", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (const std::string_view bad :
       {"\xff", "\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "a\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc3("}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
    EXPECT_TRUE(is_utf8(as_utf8(bad))) << bad;
  }
  EXPECT_EQ(as_utf8("a\xff\xc3\xbc\xe2\x82"), "a\ufffd\u00fc\ufffd\ufffd");
}

TEST(Text, CountsCharactersAndFindsControls) {
  EXPECT_EQ(printable_characters("S\u00fcd \u20ac \U0001f600"), 7U);
  EXPECT_EQ(printable_characters(""), 0U);
  EXPECT_EQ(printable_characters("\u00a0"), 1U);
  for (const std::string_view bad : {"\t", "\x1f", "\x7f", "a\u0080", "\u009f", "\xff", "\xc2"})
    EXPECT_FALSE(printable_characters(bad)) << bad;
  EXPECT_FALSE(printable_characters(std::string_view("\0", 1)));
}

TEST(Text, IsCutBetweenCharacters) {
  EXPECT_EQ(clipped("abc", 3), "abc");
  EXPECT_EQ(clipped("abc", 2), "ab");
  EXPECT_EQ(clipped("a\u20acb", 4), "a\u20ac");
  EXPECT_EQ(clipped("a\u20acb", 3), "a");
  EXPECT_EQ(clipped("\U0001f600", 3), "");
}

}  // namespace
}  // namespace detection
