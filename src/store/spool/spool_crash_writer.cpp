// A process for the crash tests of the spool to kill.
//
//   spool_crash_writer away DIR SERIES    posts one after the other without end while the database never comes; prints
//                                         "S <n>" when detection n of the series was acknowledged as spooled, "D <n>"
//                                         when it went straight to the database
//   spool_crash_writer flaky DIR SERIES   the same with the engine behind it, which takes jobs and then none again
//   spool_crash_writer full DIR SERIES    fills a disk that is small (a limit of the file size), then makes room

#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstring>
#include <string_view>
#include <thread>

#include "contract/crash_child.hpp"
#include "contract/store_support.hpp"
#include "store/forwarding_store.hpp"
#include "store/spool/spool.hpp"
#include "store/sqlite/engine.hpp"

namespace {

using namespace detection;
using namespace detection::store;

using testing::give_up;
using testing::say;

/// Takes no jobs for 20 of each 200 ms.
class Flaky final : public ForwardingStore {
 public:
  explicit Flaky(std::unique_ptr<Store> engine) : engine_(std::move(engine)) {}
  bool submit(std::unique_ptr<CommitJob>& job) override {
    const auto now = std::chrono::steady_clock::now().time_since_epoch() / std::chrono::milliseconds(1);
    return now % 200 >= 20 && engine_->submit(job);
  }

 protected:
  [[nodiscard]] Store* target() const noexcept override { return engine_.get(); }

 private:
  std::unique_ptr<Store> engine_;
};

std::unique_ptr<Store> open_in(const std::string& directory, bool away) {
  auto store = spool::open(
      [=]() -> Result<std::unique_ptr<Store>> {
        if (away) return fail(ErrorCode::kStoreUnavailable, "away");
        auto engine = sqlite::open({.directory = directory + "/engine"});
        if (!engine) return engine;
        return std::make_unique<Flaky>(std::move(*engine));
      },
      {.directory = directory + "/spool"});
  if (!store) give_up(store.error().detail);
  return std::move(*store);
}

[[noreturn]] void write(const std::string& directory, std::uint64_t series, bool away) {
  const auto store = open_in(directory, away);
  for (std::uint64_t next = 0;; ++next) {
    const auto job = testing::commit(*store, {testing::sample(next, series)});
    if (job->error) give_up(job->error->detail);
    say((job->spooled ? "S " : "D ") + std::to_string(next) + "\n");
  }
}

int full(const std::string& directory) {
  std::signal(SIGXFSZ, SIG_IGN);  // the write itself then fails, with EFBIG
  const auto store = open_in(directory, true);
  rlimit limit{3u << 20, RLIM_INFINITY};
  if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) give_up("setrlimit");
  std::uint64_t next = 0, acknowledged = 0;
  std::optional<Error> error;
  while (next < 100'000 && !error) {
    std::vector<Acceptance> items;
    for (int k = 0; k < 50; ++k) items.push_back(testing::sample(next++));
    error = testing::commit(*store, std::move(items))->error;
    if (!error) acknowledged = next;
  }
  if (!error) give_up("the disk was never full");
  if (error->code != ErrorCode::kCapacityExceeded) give_up("not kCapacityExceeded: " + error->detail);
  if (!error->detail.starts_with("the spool is full: ")) give_up("other words: " + error->detail);
  if (store->status().spool->writable) give_up("says it is writable");
  if (store->status().spool->items != static_cast<std::int64_t>(acknowledged)) give_up("counts what is not there");
  if (!*store->find(testing::sample_id(acknowledged - 1))) give_up("reading stopped with writing");

  limit.rlim_cur = RLIM_INFINITY;
  if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) give_up("setrlimit back");
  // Nobody posts: it has to find out by itself.
  for (int k = 0; !store->status().spool->writable; ++k) {
    if (k > 2'000) give_up("did not recover");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  if (const auto job = testing::commit(*store, {testing::sample(acknowledged)}); job->error)
    give_up(job->error->detail);
  if (store->status().spool->items != static_cast<std::int64_t>(acknowledged) + 1) give_up("something is missing");
  say("ok\n");
  std::_Exit(0);  // without the wait for a database that never comes
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) return 2;
  std::uint64_t series = 0;
  std::from_chars(arguments[3], arguments[3] + std::strlen(arguments[3]), series);
  const std::string_view what = arguments[1];
  if (what == "away" || what == "flaky") write(arguments[2], series, what == "away");
  return what == "full" ? full(arguments[2]) : 2;
}
