// A process for the crash tests to kill (a test program with its own threads is no good place for fork).
//
//   store_crash_writer write DIR SERIES   commits and delivers without end; prints "A <n>" when detection n of the
//                                         series was acknowledged and "C <sequence>" when one was confirmed
//   store_crash_writer full DIR           fills a disk that is small (a limit of the file size), then makes room

#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstring>
#include <random>
#include <thread>

#include "contract/crash_child.hpp"
#include "contract/store_support.hpp"
#include "store/sqlite/engine.hpp"

namespace {

using namespace detection;
using namespace detection::store;
using detection::store::testing::Inbox;

using testing::give_up;
using testing::say;

std::unique_ptr<Store> open_in(const char* directory) {
  auto store = sqlite::open({.directory = directory});
  if (!store) give_up(store.error().detail);
  return std::move(*store);
}

int write(const char* directory, std::uint64_t series) {
  auto store = open_in(directory);
  if (auto done = store->open_sink("tak"); !done) give_up(done.error().detail);
  std::thread courier([&] {
    while (true) {
      auto claim = store->claim("tak", 50);
      if (!claim) give_up(claim.error().detail);
      if (auto done = store->confirm(*claim, Confirmation::kConfirmed, system_now()); !done)
        give_up(done.error().detail);
      std::string lines;
      for (const auto& item : claim->items) lines += "C " + std::to_string(item.sequence) + "\n";
      say(lines);
    }
  });
  std::mt19937_64 random(series);
  Inbox inbox;
  std::uint64_t next = 0;
  std::size_t outstanding = 0;
  while (true) {
    while (outstanding < 8) {
      std::vector<Acceptance> items;
      const auto count = random() % 50 == 0 ? 400 : 1 + random() % 3;
      for (std::uint64_t k = 0; k < count; ++k) items.push_back(testing::sample(next++, series));
      auto job = testing::job_of(std::move(items), inbox);
      if (!store->submit(job)) give_up("submit said no");
      ++outstanding;
    }
    for (const auto& job : inbox.wait_for(1)) {
      --outstanding;
      if (job->error) give_up(job->error->detail);
      std::string lines;
      for (const auto& item : job->items) {
        std::uint64_t n = 0;
        for (unsigned k = 8; k < 16; ++k) n = n << 8 | item.located.id.bytes[k];
        lines += "A " + std::to_string(n) + "\n";
      }
      say(lines);
    }
  }
}

int full(const char* directory) {
  std::signal(SIGXFSZ, SIG_IGN);  // the write itself then fails, with EFBIG
  auto store = open_in(directory);
  rlimit limit{4u << 20, RLIM_INFINITY};
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
  // What was too small for a batch may yet take a few records.
  int records = 0;
  while (store->record({.type = "config_loaded"}))
    if (++records > 1'000) give_up("records find room without end");
  if (store->status().writable) give_up("says it is writable");
  if (!*store->find(testing::sample_id(acknowledged - 1))) give_up("reading stopped with writing");
  if (*store->find(testing::sample_id(acknowledged))) give_up("what was refused is there");

  limit.rlim_cur = RLIM_INFINITY;
  if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) give_up("setrlimit back");
  // Nobody posts: it has to find out by itself.
  for (int k = 0; !store->status().writable; ++k) {
    if (k > 2'000) give_up("did not recover: " + store->status().reason);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  if (auto job = testing::commit(*store, {testing::sample(acknowledged)}); job->error) give_up(job->error->detail);
  if (store->status().detections != static_cast<std::int64_t>(acknowledged) + 1) give_up("the log has a gap");
  const auto verdict = store->verify_audit();
  if (!verdict || !verdict->valid) give_up("the chain is broken");
  say("ok\n");
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 4 && std::strcmp(arguments[1], "write") == 0) {
    std::uint64_t series = 0;
    std::from_chars(arguments[3], arguments[3] + std::strlen(arguments[3]), series);
    return write(arguments[2], series);
  }
  if (count == 3 && std::strcmp(arguments[1], "full") == 0) return full(arguments[2]);
  return 2;
}
