// The SQLite engine under the contract of every store.

#include "contract/store_contract.hpp"
#include "store/sqlite/engine.hpp"

namespace detection::store::testing {
namespace {

class SqlitePlace final : public Place {
 public:
  Result<std::unique_ptr<Store>> open() override { return sqlite::open({.directory = directory_.path() / "made"}); }

 private:
  TemporaryDirectory directory_;
};

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract,
                         ::testing::Values(Engine{"sqlite", [] { return std::make_unique<SqlitePlace>(); }}),
                         engine_name);

}  // namespace
}  // namespace detection::store::testing
