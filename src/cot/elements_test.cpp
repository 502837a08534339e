#include "cot/elements.hpp"

#include <gtest/gtest.h>

namespace detection::cot {
namespace {

TEST(Elements, AreListedInOrderWithTheirTexts) {
  const auto all = read_elements(
      "<?xml version='1.0'?><n:a xmlns:n='urn:x' n:k=\"1\"><b> x &amp; <![CDATA[<y>]]></b><!-- - "
      "--><c/><d><e>z</e></d></n:a>",
      {});
  ASSERT_TRUE(all) << all.error().detail;
  ASSERT_EQ(all->size(), 5U);
  EXPECT_EQ((*all)[0].name, "a");
  EXPECT_EQ((*all)[0].attributes.at("k"), "1");
  EXPECT_EQ((*all)[1].name, "b");
  EXPECT_EQ((*all)[1].text, "x & <y>");
  EXPECT_EQ((*all)[2].text, "");
  EXPECT_EQ((*all)[3].depth, 1U);
  EXPECT_EQ((*all)[4].name, "e");
  EXPECT_EQ((*all)[4].depth, 2U);
}

TEST(Elements, HostileTextIsRefused) {
  EXPECT_FALSE(read_elements("", {}));
  EXPECT_FALSE(read_elements("<a><b></a>", {}));
  EXPECT_FALSE(read_elements("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", {}));
  EXPECT_FALSE(read_elements("<a/><b/>", {}));
  EXPECT_FALSE(read_elements("<a>" + std::string(100, ' ') + "</a>", {.bytes = 50}));
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "<a>";
  for (int i = 0; i < 100; ++i) deep += "</a>";
  EXPECT_FALSE(read_elements(deep, {}));
}

}  // namespace
}  // namespace detection::cot
