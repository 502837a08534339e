#include "http/media.hpp"

#include <gtest/gtest.h>

#include <array>

#include "http/base64.hpp"
#include "http/detection_json.hpp"
#include "http/list_query.hpp"
#include "http/problem.hpp"

namespace detection::http {
namespace {

constexpr std::array<std::string_view, 2> kOffers{"application/json", "application/xml"};

TEST(Media, AcceptChoosesByQualityAndCloseness) {
  const struct {
    std::string_view accept;
    std::optional<std::size_t> choice;
  } cases[] = {{"", 0},
               {"*/*", 0},
               {"application/*", 0},
               {"application/xml", 1},
               {"APPLICATION/XML", 1},
               {"text/html, application/xml;q=0.9, */*;q=0.8", 1},
               {"application/json;q=0.3, application/xml;q=0.4", 1},
               {"application/json, application/xml", 0},
               {"application/xml, application/json", 0},
               {"application/json;q=0, */*", 1},
               {"*/*, application/json;q=0", 1},
               {"application/*;q=0.5, application/xml;q=0.4", 0},
               {"text/html", std::nullopt},
               {"application/json;q=0", std::nullopt},
               {"application/json;q=2", std::nullopt},
               {"application/json;q=0.0001", std::nullopt},
               {"applicatio/*", std::nullopt},
               {"application/json;version=1;q=0.5 , application/xml ; q=0.6", 1},
               {";;,,;q=,", std::nullopt},
               {",, */*;q=0.1 ,", 0}};
  for (const auto& c : cases) EXPECT_EQ(choose_media_type(c.accept, kOffers), c.choice) << c.accept;
}

TEST(Media, TypesWithCharset) {
  for (const auto* good : {"application/json", "application/json;charset=utf-8", "Application/Json ; Charset=\"UTF-8\"",
                           "application/json;"})
    EXPECT_TRUE(is_media_type(good, "application/json")) << good;
  for (const auto* bad : {"", "application/json;charset=utf-16", "application/jsonp", "json", "application/json;v=1"})
    EXPECT_FALSE(is_media_type(bad, "application/json")) << bad;
}

TEST(Cursor, ReadsBackAndRefusesOthers) {
  for (const std::int64_t before : {std::int64_t{1}, std::int64_t{2}, std::int64_t{123'456'789}, std::int64_t{1} << 40})
    EXPECT_EQ(parse_cursor(make_cursor(before)), before);
  for (const auto* bad : {"", "0", "000000000000000g", "0000000000000000", "ffffffffffffffff", "+000000000000001"})
    EXPECT_FALSE(parse_cursor(bad)) << bad;
}

TEST(Base64, StrictAndExact) {
  EXPECT_EQ(decode_base64(""), "");
  EXPECT_EQ(decode_base64("Zg=="), "f");
  EXPECT_EQ(decode_base64("Zm8="), "fo");
  EXPECT_EQ(decode_base64("Zm9v"), "foo");
  EXPECT_EQ(decode_base64("+/+/AAAA"), std::string("\xfb\xff\xbf\0\0\0", 6));
  for (const auto* bad :
       {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", "Z===", "====", "Zm9v\n", "Zm-_", " Zm9", "=Zg=", "Zg=a"})
    EXPECT_FALSE(decode_base64(bad)) << bad;
}

TEST(Problems, EveryCodeIsExplained) {
  for (unsigned i = 0; i <= static_cast<unsigned>(ErrorCode::kInternal); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    const auto* found = find_error_code(error_code_name(code));
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(*found, code);
    EXPECT_FALSE(problem_text(code).title.empty());
    EXPECT_FALSE(problem_text(code).explanation.empty());
    EXPECT_FALSE(status_reason(http_status(code)).empty());
    EXPECT_GE(http_status(code), 400U);
  }
  EXPECT_EQ(find_error_code("nothing"), nullptr);
}

}  // namespace
}  // namespace detection::http
