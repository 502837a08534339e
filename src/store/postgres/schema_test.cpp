#include "store/postgres/schema.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace detection::store::postgres {
namespace {

using ::testing::HasSubstr;

// The program before it goes on working while a release is rolled out, and after one is taken back.
TEST(PostgresSchema, EachStepAfterTheFirstOnlyExpands) {
  for (std::int64_t step = 2; step <= schema_version(); ++step)
    EXPECT_EQ(contraction_in(schema_step(step)), "") << "step " << step;
}

TEST(PostgresSchema, WhatBreaksTheProgramBeforeIsFound) {
  for (const char* step :
       {"DROP TABLE retry;", "alter table sink drop column dead;", "ALTER TABLE sink RENAME TO sinks;",
        "ALTER TABLE sink ALTER COLUMN dead TYPE TEXT;", "DROP TRIGGER audit_is_kept ON audit;", "DELETE FROM sink;",
        "ALTER TABLE sink ADD COLUMN rate BIGINT NOT NULL;",
        "ALTER TABLE sink ADD COLUMN a BIGINT NOT NULL DEFAULT 0, ADD COLUMN b BIGINT NOT NULL;"})
    EXPECT_NE(contraction_in(step), "") << step;
  for (const char* step :
       {"CREATE TABLE more (number BIGINT);", "ALTER TABLE sink ADD COLUMN rate BIGINT;",
        "ALTER TABLE sink ADD COLUMN rate BIGINT NOT NULL DEFAULT 0;", "CREATE INDEX sink_rate ON sink(rate);"})
    EXPECT_EQ(contraction_in(step), "") << step;
}

TEST(PostgresSchema, OneVersionBeforeAndOneBehindAreWorkedWith) {
  const auto known = schema_version();
  EXPECT_TRUE(check_version(known));
  EXPECT_TRUE(check_version(known + 1));
  const auto empty = check_version(0), newer = check_version(known + 2);
  ASSERT_FALSE(empty);
  ASSERT_FALSE(newer);
  EXPECT_EQ(empty.error().code, ErrorCode::kConfiguration);
  EXPECT_THAT(empty.error().detail, HasSubstr("detection-api migrate"));
  EXPECT_EQ(newer.error().code, ErrorCode::kConfiguration);
  EXPECT_THAT(newer.error().detail, HasSubstr("schema version " + std::to_string(known + 2)));
  EXPECT_THAT(newer.error().detail, HasSubstr("newer program"));
}

}  // namespace
}  // namespace detection::store::postgres
