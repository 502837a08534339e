// What backups are made of in this room: signatures of S3, its addresses and credentials, the bar, the watch.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "app/backup_watch.hpp"
#include "app/progress_bar.hpp"
#include "app/s3_client.hpp"
#include "app/s3_copy.hpp"
#include "app/sigv4.hpp"
#include "store/sqlite/migrate.hpp"

namespace detection::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The examples of Amazon's "Signature Calculations for the Authorization Header" (Amazon S3 API Reference).
const S3Credentials kExample{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", {}};
const UtcMicros kExampleTime = parse_rfc3339("2013-05-24T00:00:00Z").value();

std::string authorization(const S3Request& request) {
  for (const auto& [name, value] : signed_headers(request, kExample, "us-east-1", kExampleTime))
    if (name == "authorization") return value;
  return {};
}

S3Request example(std::string method, std::string path) {
  return {.method = std::move(method),
          .host = "examplebucket.s3.amazonaws.com",
          .path = std::move(path),
          .payload_sha256 = sha256_hex("")};
}

TEST(SignatureV4, IsThatOfAmazonsExamples) {
  auto get = example("GET", "/test.txt");
  get.headers = {{"range", "bytes=0-9"}};
  EXPECT_EQ(authorization(get),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  auto put = example("PUT", "/" + percent_encoded("test$file.text", true));
  put.headers = {{"date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
  put.payload_sha256 = sha256_hex("Welcome to Amazon S3.");
  EXPECT_THAT(authorization(put), HasSubstr("98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
  auto lifecycle = example("GET", "/");
  lifecycle.query = {{"lifecycle", ""}};
  EXPECT_THAT(authorization(lifecycle), HasSubstr("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
  auto list = example("GET", "/");
  list.query = {{"prefix", "J"}, {"max-keys", "2"}};
  EXPECT_THAT(authorization(list), HasSubstr("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

TEST(SignatureV4, SignsTheTokenOfTemporaryCredentials) {
  const auto headers = signed_headers(example("GET", "/"), {"id", "secret", "token"}, "eu-central-1", kExampleTime);
  const std::map<std::string, std::string> named(headers.begin(), headers.end());
  EXPECT_EQ(named.at("x-amz-security-token"), "token");
  EXPECT_THAT(named.at("authorization"), HasSubstr("x-amz-date;x-amz-security-token"));
  EXPECT_THAT(named.at("authorization"), Not(HasSubstr("secret,")));
}

TEST(S3, AnAddressIsABucketAndAPrefix) {
  const auto both = parse_s3("s3://my-bucket/some/where/");
  ASSERT_TRUE(both);
  EXPECT_EQ(both->bucket, "my-bucket");
  EXPECT_EQ(both->prefix, "some/where");
  const auto bare = parse_s3("s3://my.bucket");
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->prefix, "");
  for (const char* none : {"", "my-bucket", "http://my-bucket", "s3://", "s3://a", "s3://My-Bucket", "s3:///x",
                           "s3://user@bucket/x", "s3://b\nucket"})
    EXPECT_FALSE(parse_s3(none)) << none;
}

TEST(S3, CredentialsAreThoseOfTheEnvironment) {
  std::map<std::string, std::string> variables;
  const auto environment = [&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
  EXPECT_FALSE(find_s3_credentials(environment));
  variables = {{"AWS_ACCESS_KEY_ID", "id"}};
  EXPECT_FALSE(find_s3_credentials(environment)) << "half of them";
  variables["AWS_SECRET_ACCESS_KEY"] = "secret";
  variables["AWS_SESSION_TOKEN"] = "token";
  const auto found = find_s3_credentials(environment);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->access_key_id + "/" + found->secret_access_key + "/" + found->session_token, "id/secret/token");
}

TEST(S3, AnswersAreReadByTheirElements) {
  constexpr auto kXml = "<Error><Code>NoSuchBucket</Code><Message>a &quot;b&quot; &amp;quot;</Message></Error>";
  EXPECT_EQ(element_text(kXml, "Code"), "NoSuchBucket");
  EXPECT_EQ(element_text(kXml, "Message"), "a \"b\" &quot;");
  EXPECT_EQ(element_text(kXml, "UploadId"), "");
  EXPECT_EQ(element_text("<Code>broken off", "Code"), "");
}

TEST(ProgressBar, ShowsAShareOfWhatIsThere) {
  EXPECT_EQ(bar_text("copying", 0, 0), "  copying      [..............................]   0 %");
  EXPECT_EQ(bar_text("copying", 1, 2), "  copying      [###############...............]  50 %");
  EXPECT_EQ(bar_text("reading back", 7, 7), "  reading back [##############################] 100 %");
  EXPECT_EQ(bar_text("copying", 9, 7), "  copying      [##############################] 100 %");
}

TEST(BackupWatch, AGaugeSaysTheTimeOnceOneIsKnown) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / ("backup_watch_" + std::to_string(::getpid()));
  const store::backup::Place place{.directory = folder};
  ASSERT_TRUE(store::sqlite::migrate(folder));
  telemetry::Metrics metrics;
  BackupWatch watch(place, metrics);
  watch.look();
  EXPECT_THAT(metrics.expose(), HasSubstr("\nbackup_last_success_timestamp_seconds 0\n"));
  ASSERT_TRUE(store::backup::record_times(place, {.made = UtcMicros{1'700'000'000'500'000}}));
  watch.look();
  EXPECT_THAT(metrics.expose(), HasSubstr("\nbackup_last_success_timestamp_seconds 1700000000.5\n"));
  EXPECT_THAT(metrics.expose(), HasSubstr("\nbackup_last_verified_timestamp_seconds 0\n"));
  ASSERT_TRUE(store::backup::record_times(place, {.verified = UtcMicros{1'700'000'001'000'000}}));
  watch.look();
  EXPECT_THAT(metrics.expose(), HasSubstr("\nbackup_last_verified_timestamp_seconds 1700000001\n"));
  // What was known stays known when the store is away.
  std::filesystem::remove_all(folder);
  watch.look();
  EXPECT_THAT(metrics.expose(), HasSubstr("\nbackup_last_success_timestamp_seconds 1700000000.5\n"));
}

}  // namespace
}  // namespace detection::app
