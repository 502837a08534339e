#include "store/spool/spool.hpp"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <utility>

#include "store/forwarding_store.hpp"
#include "store/spool/gate.hpp"
#include "store/spool/late_primary.hpp"
#include "store/spool/limits.hpp"
#include "store/spool/meter.hpp"
#include "store/spool/replay.hpp"
#include "store/spool/spool_file.hpp"
#include "store/spool/spool_writer.hpp"
#include "store/spool/spooled_view.hpp"

namespace detection::store::spool {
namespace {

bool is_away(const Error& error) {
  return error.code == ErrorCode::kStoreUnavailable || error.code == ErrorCode::kCapacityExceeded;
}

struct Files {
  SpoolFile writer, replay, reader;
  Totals found;
};

Result<Files> open_files(const std::filesystem::path& directory) {
  auto writer = SpoolFile::open(directory);
  if (!writer) return std::unexpected(std::move(writer.error()));
  auto found = writer->totals();
  if (!found) return std::unexpected(std::move(found.error()));
  auto replay = SpoolFile::open_reader(directory);
  if (!replay) return std::unexpected(std::move(replay.error()));
  auto reader = SpoolFile::open_reader(directory);
  if (!reader) return std::unexpected(std::move(reader.error()));
  return Files{std::move(*writer), std::move(*replay), std::move(*reader), *found};
}

class SpoolStore final : public ForwardingStore {
 public:
  SpoolStore(OpenPrimary open, Files files, const Options& options)
      : options_(options),
        primary_(std::move(open)),
        writer_(std::move(files.writer), files.found, {options.items_most, options.bytes_most}, options.clock,
                make_meter(options.metrics, options.items_most, options.clock)),
        gate_(primary_, writer_),
        replay_(primary_, writer_, std::move(files.replay), gate_, options.clock, options.log),
        reader_(std::move(files.reader)) {}
  ~SpoolStore() override { end(); }

  Result<void> start() {
    const auto first = primary_.bring();
    if (!first && !is_away(first.error())) return first;
    if (options_.log != nullptr) {
      if (!first)
        options_.log->warning("store_away", "the database cannot be reached; detections go into the spool",
                              {{"reason", first.error().detail}});
      else if (!writer_.empty())
        options_.log->info("spool_found", "the spool is not empty; it goes to the database first",
                           {{"spooled", writer_.totals().items}});
    }
    writer_.start();
    gate_.start([this](std::string_view reason) {
      if (options_.log != nullptr)
        options_.log->warning("spooling_begun", "the database does not take commits; detections go into the spool",
                              {{"reason", reason}});
      replay_.wake();
    });
    replay_.start();
    return {};
  }

  bool submit(std::unique_ptr<CommitJob>& job) override { return gate_.submit(job); }

  // The spool is asked first: what leaves it is in the primary before it is gone.
  Result<std::optional<StoredDetection>> find(const Uuid& id) override {
    auto spooled = find_spooled(id);
    if (spooled && *spooled) return stored_of(std::move(**spooled));
    auto found = ForwardingStore::find(id);
    if (found && !*found && !spooled) return std::unexpected(std::move(spooled.error()));
    return found;
  }
  Result<DeliveryStatus> delivery_status(const Uuid& id) override {
    const auto spooled = find_spooled(id);
    if (spooled && *spooled) return spooled_status(**spooled, primary_.sinks());
    return ForwardingStore::delivery_status(id);
  }
  Result<std::vector<AuditEvent>> timeline(const Uuid& id) override {
    const auto spooled = find_spooled(id);
    if (spooled && *spooled) return timeline_of(**spooled);
    return ForwardingStore::timeline(id);
  }
  Result<ListPage> list(const ListFilter& filter, std::optional<std::int64_t> before, std::size_t limit) override {
    if (filter.state != DeliveryState::kSpooled) return ForwardingStore::list(filter, before, limit);
    Result<std::vector<SpooledItem>> items;
    {
      const std::lock_guard lock(reader_mutex_);
      items = reader_.newest(before, limits::kListWindow);
    }
    if (!items) return std::unexpected(std::move(items.error()));
    return spooled_page(std::move(*items), filter, primary_.sinks(), limit, limits::kListWindow);
  }
  Result<Verified> verify(const Verification& verification) override {
    if (const auto spooled = find_spooled(verification.id); spooled && *spooled)
      return fail(ErrorCode::kStoreUnavailable, "detection " + to_string(verification.id) +
                                                    " waits in the spool for the database; decide when it is there");
    return ForwardingStore::verify(verification);
  }

  using Store::open_sink;
  Result<void> open_sink(std::string_view sink, const QueueLimits& limits) override {
    auto done = primary_.open_sink(sink, limits);
    // Nothing may be committed past a sink that is not open yet.
    if (!primary_.complete()) gate_.spool("a sink could not be opened");
    return done;
  }
  void set_tombstone_signer(TombstoneSigner signer) override { primary_.set_tombstone_signer(std::move(signer)); }
  void on_commit(std::function<void()> listener) override { primary_.on_commit(std::move(listener)); }
  void on_due(std::function<void()> listener) override { primary_.on_due(std::move(listener)); }

  StoreStatus status() override {
    auto status = ForwardingStore::status();
    if (primary_.get() == nullptr) status.release = {options_.slot, std::nullopt, options_.slot.empty()};
    const auto totals = writer_.totals();
    status.waiting += writer_.queued();
    status.spool = SpoolStatus{.items = totals.items,
                               .capacity_items = writer_.capacity().items,
                               .bytes = totals.bytes + totals.conflict_bytes,
                               .capacity_bytes = writer_.capacity().bytes,
                               .oldest = totals.oldest,
                               .conflicts = totals.conflicts,
                               .writable = !writer_.failure() && !closed_.load()};
    return status;
  }

  void close() override { end(); }

 protected:
  [[nodiscard]] Store* target() const noexcept override { return primary_.get(); }
  [[nodiscard]] Error absence() const override {
    return {ErrorCode::kStoreUnavailable, "the database cannot be reached: " + primary_.reason()};
  }

 private:
  void end() {
    const std::lock_guard once(end_mutex_);
    if (closed_.exchange(true)) return;
    gate_.close();
    replay_.drain(options_.drain_time);
    // What it still has comes back now, and goes into the spool where it must.
    primary_.close();
    writer_.close();
    if (const auto left = writer_.totals().items; left > 0 && options_.log != nullptr)
      options_.log->warning("spool_left", "detections are left in the spool; the next start hands them over first",
                            {{"spooled", left}});
  }

  [[nodiscard]] Result<std::optional<SpooledItem>> find_spooled(const Uuid& id) {
    if (writer_.empty()) return std::nullopt;
    const std::lock_guard lock(reader_mutex_);
    auto found = reader_.find(id);
    if (found && *found && !(*found)->acceptance) return std::unexpected(std::move((*found)->acceptance.error()));
    return found;
  }

  const Options options_;
  LatePrimary primary_;
  SpoolWriter writer_;
  Gate gate_;
  Replay replay_;
  std::mutex reader_mutex_;
  SpoolFile reader_;
  std::mutex end_mutex_;
  std::atomic<bool> closed_{false};
};

}  // namespace

Result<std::unique_ptr<Store>> open(OpenPrimary primary, const Options& options) {
  if (options.items_most < 1 || options.bytes_most < 1)
    return fail(ErrorCode::kConfiguration, "the spool needs room for one detection at least");
  auto files = open_files(options.directory);
  if (!files) return std::unexpected(std::move(files.error()));
  auto store = std::make_unique<SpoolStore>(std::move(primary), std::move(*files), options);
  if (auto started = store->start(); !started) return std::unexpected(std::move(started.error()));
  return store;
}

Result<std::unique_ptr<Store>> open(std::unique_ptr<Store> primary, const Options& options) {
  // Asked for once, and then it is there.
  auto one = std::make_shared<std::unique_ptr<Store>>(std::move(primary));
  return open([one]() -> Result<std::unique_ptr<Store>> { return std::move(*one); }, options);
}

}  // namespace detection::store::spool
