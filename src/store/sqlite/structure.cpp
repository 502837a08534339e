#include "store/sqlite/structure.hpp"

#include <sqlite3.h>

#include "store/sql/verify.hpp"
#include "store/sqlite/limits.hpp"

namespace detection::store::sqlite {
namespace {

struct GiveWay {
  const std::atomic<bool>& stop;
  std::chrono::steady_clock::time_point until;
  static int check(void* self) noexcept {
    const auto* way = static_cast<const GiveWay*>(self);
    return way->stop || std::chrono::steady_clock::now() > way->until;
  }
};

}  // namespace

Result<std::optional<std::string>> check_structure(Database& db, const std::atomic<bool>& stop) {
  constexpr int kOperations = 4000;
  GiveWay way{stop, std::chrono::steady_clock::now() + limits::kStructureCheckTime};
  sqlite3_progress_handler(handle(db), kOperations, &GiveWay::check, &way);
  std::optional<std::string> found;
  int code = SQLITE_OK;
  {
    auto q = db.query_once("PRAGMA integrity_check('audit')");
    const auto row = q.step();
    if (!row) code = sqlite3_errcode(handle(db));
    if (row && *row && q.text(0) != "ok") found = "the pages of the audit are damaged: " + std::string(q.text(0));
  }
  sqlite3_progress_handler(handle(db), 0, nullptr, nullptr);
  if (stop) return sql::check_ended();
  if ((code & 0xff) == SQLITE_CORRUPT) found = "the pages of the audit are damaged";
  return found;
}

}  // namespace detection::store::sqlite
