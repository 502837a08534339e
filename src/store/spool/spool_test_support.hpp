#pragma once
// What the tests of the spool share.

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <thread>

#include "contract/store_support.hpp"
#include "store/spool/scripted_primary.hpp"
#include "store/spool/spool.hpp"

namespace detection::store::spool {

using testing::commit;
using testing::Inbox;
using testing::job_of;
using testing::sample;
using testing::sample_id;

/// True as soon as it is; false when it was not for half a minute.
inline bool eventually(const std::function<bool()>& condition) {
  for (const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
       std::chrono::steady_clock::now() < until; std::this_thread::sleep_for(std::chrono::milliseconds(2)))
    if (condition()) return true;
  return false;
}

class SpoolTest : public ::testing::Test {
 protected:
  SpoolTest() {
    options_.directory = directory_.path() / "made";
    options_.drain_time = std::chrono::milliseconds(50);  // the tests that are about it say so
  }

  void open() {
    store_.reset();
    auto store = spool::open(
        [database = database_]() -> Result<std::unique_ptr<Store>> {
          {
            const std::lock_guard lock(database->mutex);
            if (database->weather != Weather::kFine) return fail(ErrorCode::kStoreUnavailable, "no route to host");
          }
          return std::make_unique<ScriptedPrimary>(database);
        },
        options_);
    ASSERT_TRUE(store) << store.error().detail;
    store_ = std::move(*store);
  }
  void open_in(Weather weather) {
    open();
    database_->set(weather);
  }
  Store& store() { return *store_; }
  SpoolStatus status() { return *store_->status().spool; }

  /// Commits one and says what came of it.
  std::unique_ptr<CommitJob> put(Acceptance item) {
    std::vector<Acceptance> items;
    items.push_back(std::move(item));
    return commit(*store_, std::move(items));
  }
  void put_spooled(std::uint64_t first, std::uint64_t last) {
    for (auto i = first; i <= last; ++i) {
      const auto job = put(sample(i));
      ASSERT_FALSE(job->error) << job->error->detail;
      ASSERT_TRUE(job->spooled) << i;
    }
  }
  bool becomes_empty() {
    return eventually([this] { return status().items == 0; });
  }
  /// Until a detection goes straight to the primary again.
  bool becomes_direct(std::uint64_t first_number = 1'000'000) {
    return eventually([&] {
      const auto job = put(sample(first_number++));
      return !job->error && !job->spooled;
    });
  }
  std::vector<Uuid> stored_ids() {
    std::vector<Uuid> ids;
    for (const auto& item : database_->stored()) ids.push_back(item.located.id);
    return ids;
  }
  static std::vector<Uuid> sample_ids(std::uint64_t first, std::uint64_t last) {
    std::vector<Uuid> ids;
    for (auto i = first; i <= last; ++i) ids.push_back(sample_id(i));
    return ids;
  }

  testing::TemporaryDirectory directory_;
  Options options_;
  std::shared_ptr<ScriptedDatabase> database_ = std::make_shared<ScriptedDatabase>();
  std::unique_ptr<Store> store_;
};

}  // namespace detection::store::spool
