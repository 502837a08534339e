// The console at /: forms, caching, what a browser is told of it, and a build without one.

#include <gmock/gmock.h>

#include "http/api_fixture.hpp"
#include "http/console_archive.hpp"
#include "http/test_console.hpp"

namespace detection::http {
namespace {

using testing::HasSubstr;
using testing::Not;

class ConsoleTest : public ApiTest {
 protected:
  ConsoleTest() {
    options_.console = archive_;
    reopen();
  }
  TestAnswer page(std::string_view target, std::string_view headers = {}) {
    return ask("GET", target, headers).value_or(TestAnswer{});
  }

  const std::string archive_ = test_console();
};

TEST_F(ConsoleTest, PageIsThereWithoutACredentialAndIsAskedForAgain) {
  const auto answer = page("/?flag=RED");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "<title>page</title>");
  EXPECT_EQ(answer.header("Content-Type"), "text/html;charset=utf-8");
  EXPECT_EQ(answer.header("Cache-Control"), "no-cache");
  EXPECT_EQ(answer.header("Vary"), "Accept-Encoding");
  EXPECT_EQ(answer.header("Content-Encoding"), "");
  EXPECT_EQ(answer.header("X-Content-Type-Options"), "nosniff");
  const auto again = page("/", "If-None-Match: " + answer.header("ETag") + "\r\n");
  EXPECT_EQ(again.status, 304);
  EXPECT_EQ(again.body, "");
}

TEST_F(ConsoleTest, PolicyAllowsOnlyThisOriginAndNothingInline) {
  const auto policy = page("/").header("Content-Security-Policy");
  for (const auto* part : {"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'",
                           "base-uri 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"})
    EXPECT_THAT(policy, HasSubstr(part));
  for (const auto* part : {"unsafe", "*", "http:", "https:", "nonce", "sha256"})
    EXPECT_THAT(policy, Not(HasSubstr(part)));
}

TEST_F(ConsoleTest, AssetsAreKeptForGoodAndGivenInTheShortestFormThatIsTaken) {
  const auto plain = page("/assets/main-1.js");
  EXPECT_EQ(plain.body, "run()");
  EXPECT_EQ(plain.header("Content-Type"), "text/javascript;charset=utf-8");
  EXPECT_EQ(plain.header("Cache-Control"), "public, max-age=31536000, immutable");
  const auto gzip = page("/assets/main-1.js", "Accept-Encoding: gzip, deflate\r\n");
  EXPECT_EQ(gzip.body, "grun()");
  EXPECT_EQ(gzip.header("Content-Encoding"), "gzip");
  const auto brotli = page("/assets/main-1.js", "Accept-Encoding: gzip, deflate, br, zstd\r\n");
  EXPECT_EQ(brotli.body, "brun()");
  EXPECT_EQ(brotli.header("Content-Encoding"), "br");
  EXPECT_NE(plain.header("ETag"), gzip.header("ETag"));
  EXPECT_NE(brotli.header("ETag"), gzip.header("ETag"));
  const auto head = *ask("HEAD", "/assets/main-1.js", "Accept-Encoding: br\r\n");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("Content-Length"), "6");
}

TEST_F(ConsoleTest, WhatIsNoFileOfItIsNotThere) {
  for (const auto* path : {"/assets/other.js", "/assets/index.html", "/assets/..%2fmain-1.js", "/assets/a/main-1.js",
                           "/main-1.js", "/index.html"})
    expect_problem(page(path), 404, "not_found");
  EXPECT_EQ(ask("POST", "/", "")->status, 405);
}

TEST_F(ConsoleTest, AViewOfItIsNotLimited) {
  options_.rate_limits.enabled = true;
  reopen();
  for (int i = 0; i < 50; ++i) ASSERT_EQ(page(i % 2 == 0 ? "/" : "/assets/main-1.js").status, 200) << i;
}

TEST_F(ApiTest, ABuildWithoutAConsoleSaysSo) {
  const auto answer = *ask("GET", "/", "");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr("This build has no console"));
  EXPECT_THAT(answer.header("Content-Security-Policy"), HasSubstr("default-src 'none'"));
  expect_problem(*ask("GET", "/assets/main-1.js", ""), 404, "not_found");
}

TEST(ContentCoding, TheShortestThatIsTaken) {
  using enum ContentCoding;
  for (const auto& [accept, expected] :
       std::initializer_list<std::pair<std::string_view, ContentCoding>>{{"", kIdentity},
                                                                         {"gzip", kGzip},
                                                                         {"GZIP", kGzip},
                                                                         {"br;q=0.5 , gzip", kBrotli},
                                                                         {"gzip;q=1.0, br;q=0", kGzip},
                                                                         {"br; q=0.000", kIdentity},
                                                                         {"gzip;q=0,", kIdentity},
                                                                         {"*", kIdentity},
                                                                         {"gzipped, brr", kIdentity},
                                                                         {",,;;,", kIdentity}})
    EXPECT_EQ(choose_content_coding(accept), expected) << accept;
}

TEST(ConsoleArchive, BrokenOnesAreRefused) {
  const auto good = test_console();
  ASSERT_TRUE(ConsoleArchive::open(good));
  EXPECT_TRUE(ConsoleArchive::open("")->empty());
  EXPECT_FALSE(ConsoleArchive::open(good + "x"));
  for (std::size_t length = 1; length < good.size(); ++length)
    EXPECT_FALSE(ConsoleArchive::open(std::string_view(good).substr(0, length))) << length;
  EXPECT_FALSE(ConsoleArchive::open("detection-console 1\nname type hash 1 2 x\n\n"));
  EXPECT_FALSE(ConsoleArchive::open("detection-console 1\nname type hash 1 2 3 4\n\n123456"));
}

}  // namespace
}  // namespace detection::http
