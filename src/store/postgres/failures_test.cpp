#include "store/postgres/failures.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace detection::store::postgres {
namespace {

using testing::HasSubstr;

TEST(Failures, AreClassedBySqlstate) {
  const auto expect = [](std::string_view sqlstate, ErrorCode code, Trouble trouble, bool lost) {
    const auto failure = failure_of_sqlstate(sqlstate);
    EXPECT_EQ(failure.error.code, code) << sqlstate;
    EXPECT_EQ(failure.trouble, trouble) << sqlstate;
    EXPECT_EQ(failure.lost, lost) << sqlstate;
    EXPECT_STREQ(failure.sqlstate.data(), std::string(sqlstate).c_str());
    EXPECT_THAT(failure.error.detail, HasSubstr(std::string(sqlstate)));
  };
  using enum ErrorCode;
  expect("53100", kCapacityExceeded, Trouble::kFull, false);
  expect("53200", kStoreUnavailable, Trouble::kFull, false);
  expect("53300", kStoreUnavailable, Trouble::kFull, true);
  expect("58030", kStoreUnavailable, Trouble::kUnreachable, false);
  expect("23502", kInternal, Trouble::kRefused, false);
  expect("23503", kStoreUnavailable, Trouble::kRefused, false);
  expect("23505", kStoreUnavailable, Trouble::kRefused, false);
  expect("P0001", kStoreUnavailable, Trouble::kRefused, false);
  expect("23514", kInternal, Trouble::kRefused, false);
  expect("22P02", kInternal, Trouble::kRefused, false);
  expect("25006", kStoreUnavailable, Trouble::kReadOnly, false);
  expect("28P01", kStoreUnavailable, Trouble::kCredentials, true);
  expect("40001", kStoreUnavailable, Trouble::kBusy, false);
  expect("40P01", kStoreUnavailable, Trouble::kBusy, false);
  expect("42501", kStoreUnavailable, Trouble::kRefused, false);
  expect("42P01", kStoreUnavailable, Trouble::kRefused, false);
  expect("42703", kStoreUnavailable, Trouble::kRefused, false);
  expect("55P03", kStoreUnavailable, Trouble::kTooSlow, false);
  expect("57014", kStoreUnavailable, Trouble::kTooSlow, false);
  expect("57P01", kStoreUnavailable, Trouble::kUnreachable, true);
  expect("57P03", kStoreUnavailable, Trouble::kUnreachable, true);
  expect("XX001", kStoreUnavailable, Trouble::kDamaged, false);
  expect("XX000", kStoreUnavailable, Trouble::kUnreachable, false);
}

TEST(Failures, WithoutASqlstateTheConnectionIsLost) {
  EXPECT_TRUE(failure_of_sqlstate("").lost);
  EXPECT_EQ(failure_of_sqlstate("").trouble, Trouble::kUnreachable);
}

TEST(Failures, OfConnectingAreKnownByTheirWords) {
  const auto expect = [](std::string_view libpq, Trouble trouble, std::string_view words) {
    const auto failure = connect_failure(libpq);
    EXPECT_EQ(failure.trouble, trouble) << libpq;
    EXPECT_THAT(failure.error.detail, HasSubstr(std::string(words)));
    EXPECT_TRUE(failure.lost);
  };
  const std::string at = "connection to server at \"certificate.example\" (192.0.2.1), port 5432 failed: ";
  expect(at + "FATAL:  28P01\n", Trouble::kCredentials, "refused the credentials");
  expect(at + "FATAL:  57P03\n", Trouble::kUnreachable, "starting or stopping");
  expect(at + "FATAL:  53300\n", Trouble::kFull, "no more connections");
  expect(at + "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?\n",
         Trouble::kUnreachable, "connection refused");
  expect(at + "SSL error: certificate verify failed\n", Trouble::kCertificate, "no trusted authority");
  expect(at + "server certificate for \"db\" does not match host name \"certificate.example\"\n", Trouble::kCertificate,
         "another name");
  expect(at + "session is read-only\n", Trouble::kReadOnly, "read-only");
  expect(at + "something new\n", Trouble::kUnreachable, "cannot be reached");
  expect("could not translate host name \"x\" to address: Name or service not known\n", Trouble::kUnreachable,
         "resolved");
  expect("invalid sslmode value: \"secret\"\n", Trouble::kConfiguration, "URL");
  for (const auto* word : {"certificate.example", "192.0.2.1"})
    EXPECT_THAT(connect_failure(at + "something new\n").error.detail, testing::Not(HasSubstr(word)));
}

}  // namespace
}  // namespace detection::store::postgres
