#pragma once
// What the tests of the audit share: a store with something of each kind in it, a clock that stands, a signer, and a
// hand on the file.

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "contract/store_support.hpp"
#include "store/sql/digest.hpp"
#include "store/sqlite/engine.hpp"

namespace detection::store::sqlite {

using sql::Digest;
using sql::hex;

using testing::commit;
using testing::sample;
using testing::sample_id;

inline std::atomic<std::int64_t> test_now{testing::kStart};
inline UtcMicros test_clock() noexcept {
  return {test_now.load()};
}
inline void pass(std::chrono::microseconds time) {
  test_now += time.count();
}

/// Not a MAC, but good enough to tell one text from another.
inline TombstoneSigner test_signer(const std::string& key = "k") {
  const auto sign = [key](std::string_view text) {
    Digest digest;
    return key + ":" + hex(digest.add(key).add(text).finish());
  };
  return {.sign = [sign](std::string_view text) -> Result<std::string> { return sign(text); },
          .verify = [sign](std::string_view text, std::string_view signature) { return sign(text) == signature; }};
}

class AuditTest : public ::testing::Test {
 protected:
  void SetUp() override { test_now = testing::kStart; }

  [[nodiscard]] Options options() const { return {.directory = directory_.path(), .clock = test_clock}; }
  [[nodiscard]] std::unique_ptr<Store> must_open(const Options& options) const {
    auto store = open(options);
    if (!store) throw std::runtime_error(store.error().detail);
    (*store)->set_tombstone_signer(test_signer());
    return std::move(*store);
  }
  [[nodiscard]] std::unique_ptr<Store> serving() const { return must_open(options()); }
  [[nodiscard]] std::unique_ptr<Store> beside() const {
    auto o = options();
    o.beside_serve = true;
    o.audit_chain = "command";
    return must_open(o);
  }
  [[nodiscard]] std::filesystem::path file() const { return directory_.path() / "detections.db"; }

  static void put(Store& store, std::uint64_t first, std::uint64_t last) {
    std::vector<Acceptance> items;
    for (auto i = first; i <= last; ++i) items.push_back(sample(i));
    const auto job = commit(store, std::move(items));
    ASSERT_FALSE(job->error) << job->error->detail;
  }

  /// What the check says: none when all holds.
  [[nodiscard]] static std::optional<std::string> finding(Store& store) {
    const auto verdict = store.verify_audit();
    if (!verdict) return "refused: " + verdict.error().detail;
    EXPECT_EQ(verdict->valid, !verdict->first_bad.has_value());
    return verdict->first_bad;
  }
  /// The same by a process that only reads, as `detection-api audit verify`.
  [[nodiscard]] std::optional<std::string> finding() const {
    auto o = options();
    o.read_only = true;
    auto store = open(o);
    if (!store) return "refused: " + store.error().detail;
    (*store)->set_tombstone_signer(test_signer());
    return finding(**store);
  }

  /// As somebody with the file in hand would, past this program.
  void tamper(const std::string& sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(file().c_str(), &db), SQLITE_OK);
    for (const auto* trigger : {"detection_is_immutable", "detection_is_kept", "audit_is_immutable", "audit_is_kept",
                                "audit_chain_is_immutable", "audit_chain_is_kept", "audit_head_goes_on",
                                "audit_head_is_kept", "decision_is_immutable", "decision_is_kept",
                                "audit_tombstone_fits", "audit_tombstone_goes_on", "audit_tombstone_is_kept"})
      sqlite3_exec(db, (std::string("DROP TRIGGER ") + trigger).c_str(), nullptr, nullptr, nullptr);
    char* message = nullptr;
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK) << sql << ": " << message;
    sqlite3_free(message);
    EXPECT_EQ(sqlite3_close(db), SQLITE_OK);
  }

  void keep() const { std::filesystem::copy_file(file(), kept(), std::filesystem::copy_options::overwrite_existing); }
  void restore() const {
    std::filesystem::remove(file().string() + "-wal");
    std::filesystem::remove(file().string() + "-shm");
    std::filesystem::copy_file(kept(), file(), std::filesystem::copy_options::overwrite_existing);
  }
  [[nodiscard]] std::filesystem::path kept() const { return directory_.path() / "kept"; }

  /// Acceptances, a delivery, events with and without a subject, two chains.
  void fill(std::uint64_t detections) const {
    auto store = serving();
    ASSERT_TRUE(store->open_sink("tak"));
    put(*store, 1, detections / 2);
    pass(std::chrono::seconds{1});
    ASSERT_TRUE(store->record({.type = "auth_failure", .severity = "WARNING", .actor = "mallory"}));
    const auto claim = store->claim("tak", 20);
    ASSERT_TRUE(store->confirm(*claim, Confirmation::kConfirmed, test_clock()));
    ASSERT_TRUE(store->record({.type = "key_created", .actor = "ann", .subject = sample_id(3)}));
    put(*store, detections / 2 + 1, detections);
    auto other = beside();
    ASSERT_TRUE(other->record({.type = "key_created", .actor = "bob"}));
    ASSERT_TRUE(other->record({.type = "key_revoked", .actor = "bob"}));
  }

  testing::TemporaryDirectory directory_;
};

}  // namespace detection::store::sqlite
