#include "store/postgres/shared_usage.hpp"

#include "store/postgres/postgres_connection.hpp"

namespace detection::store::postgres {

/// One statement for all: under a flood there are thousands of keys a second.
Result<void> UsageExchange::add(sql::Database& db, const std::vector<SharedUsage>& spent) {
  std::map<std::string_view, double> sums;  // a row may be met only once in a statement
  for (const auto& [key, tokens] : spent) sums[key] += tokens;
  ArrayBuffer keys(Element::kText), tokens(Element::kFloat8);
  for (const auto& [key, sum] : sums) {
    keys.add(key);
    tokens.add(sum);
  }
  auto statement = static_cast<PostgresConnection&>(db.connection())
                       .statement(
                           "INSERT INTO shared_usage AS u (key, process, tokens, at) SELECT k, $1, t, "
                           "clock_timestamp() FROM unnest($2::text[], $3::float8[]) AS spent(k, t) "
                           "ON CONFLICT (key, process) DO UPDATE SET tokens = u.tokens + excluded.tokens, "
                           "at = excluded.at");
  if (!statement) return std::unexpected(std::move(statement.error()));
  auto& q = **statement;
  q.bind(1, std::string_view(process_));
  q.bind(2, keys);
  q.bind(3, tokens);
  auto done = q.step();
  q.reset();
  if (!done) return std::unexpected(std::move(done.error()));
  return {};
}

Result<std::vector<SharedUsage>> UsageExchange::exchange(sql::Database& db, const std::vector<SharedUsage>& spent) {
  const std::lock_guard lock(mutex_);
  if (!spent.empty())
    if (auto done = add(db, spent); !done) return std::unexpected(std::move(done.error()));
  // What nobody used for so long has no bearing on any bucket.
  if (auto done = db.query("DELETE FROM shared_usage WHERE at < clock_timestamp() - interval '10 min'").run(); !done)
    return std::unexpected(std::move(done.error()));
  auto q = db.query("SELECT key, process, tokens FROM shared_usage WHERE process <> ?");
  q.bind(process_);
  std::map<std::pair<std::string, std::string>, double> now;
  std::map<std::string, double> others;
  while (true) {
    auto row = q.step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) break;
    const std::pair place{std::string(q.text(0)), std::string(q.text(1))};
    const auto before = seen_.find(place);
    // What was spent before this process looked for the first time is the others' past.
    const double spent_since = q.real(2) - (before != seen_.end() ? before->second : first_ ? q.real(2) : 0);
    if (spent_since > 0) others[place.first] += spent_since;
    now.emplace(place, q.real(2));
  }
  seen_ = std::move(now);
  first_ = false;
  std::vector<SharedUsage> out;
  for (auto& [key, tokens] : others) out.push_back({key, tokens});
  return out;
}

}  // namespace detection::store::postgres
