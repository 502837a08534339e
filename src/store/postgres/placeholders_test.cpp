#include "store/postgres/placeholders.hpp"

#include <gtest/gtest.h>

namespace detection::store::postgres {
namespace {

void expect(std::string_view sql, std::string_view text, int parameters) {
  const auto numbered = number_parameters(sql);
  EXPECT_EQ(numbered.text, text);
  EXPECT_EQ(numbered.parameters, parameters) << sql;
}

TEST(Placeholders, AreNumberedAsSqliteDoes) {
  expect("SELECT 1", "SELECT 1", 0);
  expect("", "", 0);
  expect("VALUES (?,?, ?)", "VALUES ($1,$2, $3)", 3);
  expect("a = ?2 AND b = ?1 AND c = ?2", "a = $2 AND b = $1 AND c = $2", 2);
  expect("?3 ? ?1 ?", "$3 $4 $1 $5", 5);
  expect("?::bigint[?]", "$1::bigint[$2]", 2);
  expect("?12", "$12", 12);
}

TEST(Placeholders, DollarNumbersStay) {
  expect("id = ANY($1) AND n > $2", "id = ANY($1) AND n > $2", 2);
  expect("$1 ?", "$1 $2", 2);
  expect("column$1 = ?", "column$1 = $1", 1);
}

TEST(Placeholders, NotInQuotes) {
  expect("'?' ?", "'?' $1", 1);
  expect("'it''s ?' ?", "'it''s ?' $1", 1);
  expect("\"a?\"\"?b\" ?", "\"a?\"\"?b\" $1", 1);
  expect(R"('\' ?)", R"('\' $1)", 1);
  expect(R"(E'\'?' ?)", R"(E'\'?' $1)", 1);
  expect(R"(e'\\' ?)", R"(e'\\' $1)", 1);
  expect(R"(me'\' ?)", R"(me'\' $1)", 1);
  expect("'open ?", "'open ?", 0);
}

TEST(Placeholders, NotInComments) {
  expect("-- what?\n ?", "-- what?\n $1", 1);
  expect("? -- the end?", "$1 -- the end?", 1);
  expect("/* ? /* ? */ ? */ ?", "/* ? /* ? */ ? */ $1", 1);
  expect("a - ? / ? * ?", "a - $1 / $2 * $3", 3);
  expect("/*/ ? */ ?", "/*/ ? */ $1", 1);
}

TEST(Placeholders, NotInDollarQuotes) {
  expect("$$ ? $$ ?", "$$ ? $$ $1", 1);
  expect("$body$ ? $$ ? $other$ ? $body$ ?", "$body$ ? $$ ? $other$ ? $body$ $1", 1);
  expect("$open$ ?", "$open$ ?", 0);
  expect("a $ ?", "a $ $1", 1);
}

TEST(Placeholders, ANumberThatIsTooLargeOverflowsNothing) {
  EXPECT_GT(number_parameters("?99999999999999999999").parameters, 65'535);
  EXPECT_GT(number_parameters("$99999999999999999999").parameters, 65'535);
  EXPECT_LT(number_parameters("?99999999999999999999 ?").parameters, 100'000);
}

}  // namespace
}  // namespace detection::store::postgres
