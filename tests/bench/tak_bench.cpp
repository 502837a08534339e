// Events a second that a TCP sink has confirmed by a fast server on loopback: what the sink itself costs. The server
// (scripted, counting only) runs on the same machine and takes its share.

#include <benchmark/benchmark.h>

#include <condition_variable>
#include <mutex>
#include <string>

#include "tak/scripted_server.hpp"
#include "tak/sink.hpp"
#include "tak/test_feeder.hpp"

namespace {

using namespace detection::tak;

constexpr std::size_t kBatchEvents = 512;
constexpr std::size_t kEventBytes = 1'100;

/// Hands out the same prepared batch, and counts.
class Hose final : public SinkListener {
 public:
  explicit Hose(std::shared_ptr<const EventBatch> batch) : batch_(std::move(batch)) {}
  void attach(Sink& sink) { sink_ = &sink; }

  void deliver(std::uint64_t batches) {
    {
      const std::lock_guard lock(mutex_);
      left_ += batches;
      open_ += batches;
    }
    pour();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return open_ == 0 || lost_; });
  }
  bool lost() const { return lost_; }
  void wait_ready() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ready_; });
  }

  void sink_ready() noexcept override {
    const std::lock_guard lock(mutex_);
    ready_ = true;
    changed_.notify_all();
  }
  void sink_room() noexcept override { pour(); }
  void batch_delivered(BatchNumber, Delivery how) noexcept override {
    const std::lock_guard lock(mutex_);
    if (how != Delivery::kConfirmed) lost_ = true;
    if (--open_ == 0) changed_.notify_all();
  }
  void sink_lost(std::string_view) noexcept override {
    const std::lock_guard lock(mutex_);
    lost_ = true;
    changed_.notify_all();
  }
  void event_refused(BatchNumber, std::size_t, std::string_view) noexcept override {}
  void peer_never_answers(bool) noexcept override {}

 private:
  void pour() {
    const std::lock_guard lock(mutex_);
    while (left_ > 0 && sink_->send(++number_, batch_)) --left_;
  }

  const std::shared_ptr<const EventBatch> batch_;
  Sink* sink_ = nullptr;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t left_ = 0, open_ = 0, number_ = 0;
  bool ready_ = false, lost_ = false;
};

void tak_confirmed(benchmark::State& state) {
  std::vector<std::string> events;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < kBatchEvents; ++i) {
    events.push_back(test_event("DET." + std::to_string(i), kEventBytes));
    bytes += events.back().size();
  }
  ScriptedServer server({.count_only = true});
  Hose hose(text_batch(std::move(events)));
  SinkOptions options;
  options.address = {.scheme = Scheme::kTcp, .host = "127.0.0.1", .port = server.port()};
  options.window_batches = static_cast<std::size_t>(state.range(0));
  const auto sink = make_sink(options, hose);
  hose.attach(*sink);
  sink->start();
  hose.wait_ready();
  constexpr std::uint64_t kBatches = 200;
  for (auto _ : state) hose.deliver(kBatches);
  if (hose.lost()) state.SkipWithError("the connection was lost or a batch was not confirmed");
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kBatches * kBatchEvents));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kBatches * bytes));
  sink->stop(std::chrono::seconds{5});
}
BENCHMARK(tak_confirmed)->ArgName("window")->Arg(1)->Arg(4)->Arg(16)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
