// The store's rates, closed loop, on a real disk: build/bench/bin/store_bench [--benchmark_filter=...]
// The data directory is made under TMPDIR (or /tmp) and taken away at the end.

#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "store/sqlite/engine.hpp"

namespace {

using namespace detection;
using namespace detection::store;

class Directory {
 public:
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "store_bench.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class Source {
 public:
  Acceptance next() {
    Acceptance item;
    auto& d = item.located;
    const auto now = system_now();
    d.id = mint_.mint(now);
    d.observed = d.received = now;
    d.object_class = "vehicle";
    d.ai_confidence = 0.92;
    d.source = "drone-7";
    d.camera_id = "gimbal-eo-1";
    d.fix.position = {48.1 + 1e-6 * static_cast<double>(++count_ % 100'000), 11.5, 540.25};
    d.fix.ce90_m = 12.5;
    d.fix.le90_m = 4.5;
    d.cot_uid = "DET." + to_string(d.id);
    d.cot_type = "a-u-G-E-V";
    item.request_json.assign(620, 'x');
    item.request_json.front() = item.request_json.back() = '"';
    item.content_sha256[0] = static_cast<std::uint8_t>(count_);
    item.times = {now, now, now, now};
    item.actor = "detector-1";
    item.request_id = "0198a3c1-7f00-7abc-8def-0123456789ab";
    return item;
  }

 private:
  UuidMint mint_{42};
  std::uint64_t count_ = 0;
};

/// Counts what comes back and lets the loop wait for it.
class Home final : public CommitHome {
 public:
  void committed(std::vector<std::unique_ptr<CommitJob>> jobs) noexcept override {
    {
      const std::lock_guard lock(mutex_);
      for (auto& job : jobs) {
        if (job->error) std::abort();
        back_.push_back(std::move(job));
      }
    }
    wake_.notify_one();
  }
  std::vector<std::unique_ptr<CommitJob>> take() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return !back_.empty(); });
    return std::exchange(back_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::unique_ptr<CommitJob>> back_;
};

std::unique_ptr<Store> open_in(const Directory& directory) {
  auto store = sqlite::open({.directory = directory.path()});
  if (!store) {
    std::fprintf(stderr, "%s\n", store.error().detail.c_str());
    std::abort();
  }
  return std::move(*store);
}

/// Arguments: detections for each job, jobs outstanding.
void commit(benchmark::State& state) {
  const Directory directory;
  auto store = open_in(directory);
  Source source;
  Home home;
  const auto send = [&] {
    auto job = std::make_unique<CommitJob>();
    job->home = &home;
    for (std::int64_t i = 0; i < state.range(0); ++i) job->items.push_back(source.next());
    if (!store->submit(job)) std::abort();
  };
  for (std::int64_t i = 0; i < state.range(1); ++i) send();
  std::int64_t done = 0;
  for (auto _ : state) {
    const auto jobs = home.take();
    done += static_cast<std::int64_t>(jobs.size());
    for (std::size_t i = 0; i < jobs.size(); ++i) send();
  }
  state.counters["detections"] =
      benchmark::Counter(static_cast<double>(done * state.range(0)), benchmark::Counter::kIsRate);
  store->close();
}

void fill(Store& store, std::int64_t detections) {
  Source source;
  Home home;
  for (std::int64_t i = 0; i < detections; i += 1000) {
    auto job = std::make_unique<CommitJob>();
    job->home = &home;
    for (int k = 0; k < 1000; ++k) job->items.push_back(source.next());
    if (!store.submit(job)) std::abort();
    (void)home.take();
  }
}

/// Claims of range(0) events, each confirmed durably.
void deliver(benchmark::State& state) {
  const Directory directory;
  auto store = open_in(directory);
  if (!store->open_sink("tak")) std::abort();
  fill(*store, 200'000);
  double events = 0;
  for (auto _ : state) {
    auto claim = store->claim("tak", static_cast<std::size_t>(state.range(0)));
    if (!claim || claim->items.empty()) {
      state.SkipWithError("the queue ran dry");
      break;
    }
    if (!store->confirm(*claim, Confirmation::kConfirmed, system_now())) std::abort();
    events += static_cast<double>(claim->items.size());
  }
  state.counters["events"] = benchmark::Counter(events, benchmark::Counter::kIsRate);
}

void start_with_100000(benchmark::State& state) {
  const Directory directory;
  {
    auto store = open_in(directory);
    fill(*store, 100'000);
  }
  for (auto _ : state) open_in(directory);
}

void verify_audit(benchmark::State& state) {
  const Directory directory;
  auto store = open_in(directory);
  fill(*store, 100'000);
  double records = 0;
  for (auto _ : state) records += static_cast<double>(store->verify_audit().value().records);
  state.counters["records"] = benchmark::Counter(records, benchmark::Counter::kIsRate);
}

BENCHMARK(commit)->Args({1, 64})->Args({1, 256})->Args({1000, 2})->Args({10'000, 2})->UseRealTime()->MinTime(3);
BENCHMARK(deliver)->Arg(512)->Arg(1000)->UseRealTime()->Iterations(150);
BENCHMARK(start_with_100000)->UseRealTime()->Unit(benchmark::kMillisecond)->Iterations(5);
BENCHMARK(verify_audit)->UseRealTime()->Unit(benchmark::kMillisecond)->Iterations(2);

}  // namespace

BENCHMARK_MAIN();
