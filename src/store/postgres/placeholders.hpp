#pragma once
// The parameters of a statement's text as PostgreSQL numbers them. SQLite's rule: ?N is the parameter N, each ? is the
// one after the largest so far; $N is taken as it is. What stands in quotes, comments and dollar quotes is left alone.
// PostgreSQL's operators with a question mark (jsonb's) cannot be written.

#include <string>
#include <string_view>

namespace detection::store::postgres {

struct Numbered {
  std::string text;
  int parameters = 0;  ///< the largest number; one that is named twice is one parameter
};

[[nodiscard]] Numbered number_parameters(std::string_view sql);

}  // namespace detection::store::postgres
