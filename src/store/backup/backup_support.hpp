#pragma once
// What the tests of backups share: a place with something of every table in it, and what is held against what.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "contract/store_support.hpp"
#include "store/backup/backup.hpp"
#include "store/sqlite/engine.hpp"

namespace detection::store::backup::testing {

using store::testing::commit;
using store::testing::sample;
using store::testing::sample_id;
using store::testing::TemporaryDirectory;

/// One that refuses more than the least: shows what a call said.
template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().detail);
  return std::move(*result);
}
inline void must(Result<void> result) {
  if (!result) throw std::runtime_error(result.error().detail);
}

inline void put(Store& store, std::uint64_t first, std::uint64_t last,
                const std::function<void(std::uint64_t, Acceptance&)>& change = {}) {
  std::vector<Acceptance> items;
  for (auto i = first; i <= last; ++i) {
    items.push_back(sample(i));
    if (change) change(i, items.back());
  }
  const auto job = commit(store, std::move(items));
  if (job->error) throw std::runtime_error(job->error->detail);
}

/// Waits for its sink's lease where an engine has one.
inline Claim claim_some(Store& store, std::string_view sink, std::size_t count) {
  for (int tries = 0; tries < 3'000; ++tries) {
    auto claim = must(store.claim(sink, count));
    if (!claim.items.empty()) return claim;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  throw std::runtime_error("nothing was due to " + std::string(sink));
}

/// Everything that a record can hold, but tombstones: every value of it, absent ones and texts of other scripts.
inline void fill(Store& store, std::uint64_t detections = 300) {
  must(store.open_sink("tak"));
  must(store.open_sink("slow"));
  put(store, 1, detections, [](std::uint64_t i, Acceptance& item) {
    auto& d = item.located;
    if (i % 5 == 0) item.disposition = Disposition::kHold, d.verdict.flag = Flag::kRed;
    if (i % 7 == 0) item.disposition = Disposition::kDiscard, d.exercise = true;
    if (i % 3 == 0) d.track_id = "Spur-" + std::to_string(i % 4), d.cot_uid = "DET.drone-7." + *d.track_id;
    if (i % 4 == 0) d.fix.ce90_m = std::nullopt, d.fix.le90_m = std::nullopt;
    if (i % 6 == 0) d.fix.position.lon_deg = -0.0;
    item.request_json = R"({"n":)" + std::to_string(i) + R"(,"note":"Süd \u20ac )" + std::string(i % 40, 'x') + "\"}";
  });
  const auto claim = claim_some(store, "tak", 40);
  must(store.mark_dead(claim, claim.items[0].sequence, "the server refused it"));
  must(
      store.confirm(claim, Confirmation::kConfirmed, system_now(),
                    {{claim.items[1].sequence, OmitReason::kFiltered}, {claim.items[3].sequence, OmitReason::kStale}}));
  const auto late = claim_some(store, "slow", 10);
  must(store.mark_dead(late, late.items[2].sequence, "not an event"));
  must(store.confirm(late, Confirmation::kSentUnconfirmed, system_now()));
  (void)must(store.retry_dead_letters("slow", "ann"));
  for (const auto& [number, verified] : {std::pair{5U, true}, {10U, false}, {15U, true}, {10U, true}})
    (void)must(store.verify({.id = sample_id(number), .decision = {verified, "gesehen", "ann", system_now()}}));
  ApiKeyRecord key{.id = "k1", .name = "mast", .scopes = "detections:write", .created_by = "ann", .created = {7}};
  key.secret_sha256[3] = 9;
  must(store.put_api_key(key, {.type = "key_created", .actor = "ann"}));
  key.id = "k2";
  key.previous_sha256 = key.secret_sha256;
  key.previous_until = UtcMicros{8};
  key.expires = UtcMicros{system_now().count + 1'000'000'000'000};
  must(store.put_api_key(key, {.type = "key_created", .actor = "ann"}));
  must(store.revoke_token({"jti-1", {system_now().count + 3'600'000'000}}, {.type = "key_revoked", .actor = "ann"}));
  must(store.set_active_slot("green", "ann"));
  must(store.record({.type = "auth_failure", .severity = "WARNING", .actor = "mallory"}));
}

/// Every part, and where the chains end: two records of equal ones are the same record.
inline std::string summary(const Manifest& manifest) {
  std::ostringstream out;
  for (const auto& part : manifest.parts) {
    out << part.table.name << " " << part.content.rows << " ";
    for (const auto byte : part.content.sha256) out << std::hex << static_cast<int>(byte) << std::dec;
    out << "\n";
  }
  for (const auto& chain : manifest.chains) out << chain.name << " " << chain.record << " " << chain.sha256 << "\n";
  return out.str();
}

/// Names in a folder that no backup may leave: what looks like a snapshot and is none.
inline std::vector<std::string> bad_snapshots(const std::filesystem::path& folder) {
  std::vector<std::string> bad;
  for (const auto& file : snapshots_in(folder))
    if (const auto checked = verify(file, {}); !checked) bad.push_back(checked.error().detail);
  return bad;
}

inline std::string read_all(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void write_all(const std::filesystem::path& file, std::string_view bytes) {
  std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace detection::store::backup::testing
