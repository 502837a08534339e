#pragma once
// Limits that all processes share (Store::share_usage): each adds up what it spent in a row of its own for each key,
// and reads how far the others' rows have come.

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "store/sql/connection.hpp"
#include "store/store.hpp"

namespace detection::store::postgres {

class UsageExchange {
 public:
  explicit UsageExchange(std::string process) : process_(std::move(process)) {}
  [[nodiscard]] Result<std::vector<SharedUsage>> exchange(sql::Database& db, const std::vector<SharedUsage>& spent);

 private:
  [[nodiscard]] Result<void> add(sql::Database& db, const std::vector<SharedUsage>& spent);
  const std::string process_;
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, double> seen_;  ///< (key, process) -> its row at the last look
  bool first_ = true;
};

}  // namespace detection::store::postgres
