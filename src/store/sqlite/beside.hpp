#pragma once
// The writer of a process that writes now and then beside a serving one: no thread and no state of its own. Each piece
// of work is one short transaction, which begins with reading where its audit chain stands, so that two of such
// processes may write to one chain.

#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>

#include "store/sql/writer.hpp"
#include "store/sqlite/sqlite_connection.hpp"
#include "telemetry/metrics.hpp"

namespace detection::store::sqlite {

using sql::Ledger;
using sql::Writer;

class Beside {
 public:
  Beside(Database db, std::string chain, Clock clock, telemetry::Metrics* metrics);

  /// Durable when it returns without an error.
  [[nodiscard]] Result<void> execute(const Writer::Work& work);
  void count_audit(std::string_view type, std::string_view severity);
  /// Commits what runs, then refuses more.
  void close();

 private:
  std::mutex mutex_;
  bool closed_ = false;
  Database db_;
  Ledger ledger_;
  Clock clock_;
  telemetry::Metrics* metrics_;
};

/// A connection for it. Makes the database if there is none, in whatever order such processes and a serving one start;
/// one of an older schema is migrated unless it is being served (kConfiguration).
[[nodiscard]] Result<Database> connect_beside(const std::filesystem::path& file);

}  // namespace detection::store::sqlite
