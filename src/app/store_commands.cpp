// migrate, slot get, slot set: what a release does to the store, also beside those that serve it.

#include <cstdio>

#include "app/commands.hpp"
#include "app/open_store.hpp"
#include "detection/json_writer.hpp"
#include "store/sqlite/migrate.hpp"

namespace detection::app {
namespace {

int failed(const Error& error) {
  std::fprintf(stderr, "detection-api: %s\n", error.detail.c_str());
  return kFailed;
}

struct SchemaVersions {
  std::int64_t before = 0, after = 0;
};

Result<SchemaVersions> bring_up_to_date(const Configuration& configuration) {
  if (!uses_database(configuration)) {
    const auto done = store::sqlite::migrate(configuration.text("data-dir"));
    if (!done) return std::unexpected(done.error());
    return SchemaVersions{done->before, done->after};
  }
  const auto done = store::postgres::migrate(database_options(configuration, StoreRole::kCommand, nullptr));
  if (!done) return std::unexpected(done.error());
  return SchemaVersions{done->before, done->after};
}

void print_slot(const std::optional<std::string>& slot, std::optional<bool> changed, bool as_json) {
  if (!as_json) {
    std::printf("%s\n", slot ? slot->c_str() : "none");
    return;
  }
  std::string out;
  json::Writer w(out);
  w.begin_object();
  w.key("active_slot");
  if (slot)
    w.string(*slot);
  else
    w.null();
  if (changed) {
    w.key("changed");
    w.boolean(*changed);
  }
  w.end_object();
  std::printf("%s\n", out.c_str());
}

}  // namespace

int migrate(const Configuration& configuration, const MigrateArguments& arguments) {
  const auto versions = bring_up_to_date(configuration);
  if (!versions) return failed(versions.error());
  const auto before = static_cast<long long>(versions->before), after = static_cast<long long>(versions->after);
  if (arguments.json)
    std::printf("{\"before\":%lld,\"after\":%lld}\n", before, after);
  else if (before == after)
    std::printf("schema version %lld, up to date\n", after);
  else
    std::printf("schema version %lld -> %lld\n", before, after);
  return kDone;
}

int slot_get(const Configuration& configuration, const SlotArguments& arguments) {
  auto store = open_store(configuration, StoreRole::kRead);
  if (!store) return failed(store.error());
  const auto slot = (*store)->active_slot();
  if (!slot) return failed(slot.error());
  print_slot(*slot, {}, arguments.json);
  return kDone;
}

int slot_set(const Configuration& configuration, const SlotArguments& arguments) {
  auto store = open_store(configuration, StoreRole::kCommand);
  if (!store) return failed(store.error());
  const auto before = (*store)->active_slot();
  if (!before) return failed(before.error());
  // A hook of every sync sets it again and again: only a change is worth an audit record.
  const bool changes = *before != arguments.slot;
  if (changes)
    if (auto done = (*store)->set_active_slot(arguments.slot, arguments.actor); !done) return failed(done.error());
  (*store)->close();
  print_slot(arguments.slot, changes, arguments.json);
  return kDone;
}

}  // namespace detection::app
