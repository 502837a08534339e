#pragma once
// What every engine of the store must do, written against Store alone. An engine's own test program links
// store_contract*.cpp and names the engine:
//
//   INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract, ::testing::Values(Engine{"sqlite", make_place}), engine_name);

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <set>
#include <string>

#include "contract/store_support.hpp"
#include "store/store.hpp"

namespace detection::store::testing {

/// Where one store lives; open() again after the one before it has been destroyed is a restart.
class Place {
 public:
  virtual ~Place() = default;
  virtual Result<std::unique_ptr<Store>> open() = 0;
};

struct Engine {
  std::string name;
  std::function<std::unique_ptr<Place>()> make_place;
  bool overflows = false;  ///< what its writer cannot take is taken elsewhere
  bool shared = false;     ///< other processes may write: listeners are called more often than this one gives reason to
};

/// Else GoogleTest prints its bytes behind each case's name.
inline void PrintTo(const Engine& engine, std::ostream* out) {
  *out << engine.name;
}

inline std::string engine_name(const ::testing::TestParamInfo<Engine>& info) {
  return info.param.name;
}

/// What went out: sequence, and whether it was taken back.
using Sent = std::vector<std::pair<std::int64_t, bool>>;
Sent sent_of(const Claim& claim);

class StoreContract : public ::testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    place_ = GetParam().make_place();
    reopen();
  }
  void reopen() {
    store_.reset();
    auto store = place_->open();
    ASSERT_TRUE(store) << store.error().detail;
    store_ = std::move(*store);
  }
  /// Commits samples first..last, each as it is after `change`.
  void put(std::uint64_t first, std::uint64_t last, const std::function<void(Acceptance&)>& change = {});
  void put(std::uint64_t i, Disposition disposition) {
    put(i, i, [disposition](Acceptance& item) { item.disposition = disposition; });
  }
  Claim claim(std::string_view sink, std::size_t limit);
  void confirm(const Claim& claim, Confirmation how = Confirmation::kConfirmed);
  SinkQueue queue(std::string_view sink);
  DeliveryState state(std::uint64_t i);
  std::vector<std::string> timeline_types(const Uuid& id);
  void expect_valid_audit();
  /// How often a listener was called: a store that others write too may call it more often.
  static void expect_told(int times, int reasons) {
    if (GetParam().shared)
      EXPECT_GE(times, reasons);
    else
      EXPECT_EQ(times, reasons);
  }
  // store_contract_decisions.cpp
  Result<Store::Verified> decide(std::uint64_t i, bool verified);
  void release(std::uint64_t i);
  void reject(std::uint64_t i);
  void restart(std::string_view sink = "tak");
  Sent drain(std::string_view sink = "tak");
  DeliveryState state_at(std::uint64_t i, std::string_view sink);
  std::vector<std::int64_t> listed(DeliveryState state);
  void put_held(std::uint64_t first, std::uint64_t last) {
    put(first, last, [](Acceptance& item) { item.disposition = Disposition::kHold; });
  }
  void put_track(std::uint64_t i, Disposition disposition, const std::string& track = "t1");
  Store& store() { return *store_; }

  std::unique_ptr<Place> place_;
  std::unique_ptr<Store> store_;
};

std::vector<std::int64_t> sequences(const Claim& claim);
std::vector<std::int64_t> sequences(const ListPage& page);
/// Field by field.
void expect_same(const LocatedDetection& a, const LocatedDetection& b);

}  // namespace detection::store::testing
