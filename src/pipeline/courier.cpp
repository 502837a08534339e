// The life of a courier, and its loop.

#include "pipeline/courier.hpp"

#include <algorithm>

#include "pipeline/sink_courier.hpp"

namespace detection::pipeline {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// The store is asked again after so long even if nobody woke us.
constexpr milliseconds kLookAgain{1'000};
/// What the store could not take is tried again after so long.
constexpr milliseconds kEndAgain{250};

}  // namespace

SinkCourier::SinkCourier(const CourierOptions& options, store::Store& store, telemetry::Metrics& metrics,
                         telemetry::Log& log)
    : options_(options),
      rules_{options.filter, options.keep, options.event.stale},
      store_(store),
      log_(log),
      success_(metrics.counter(telemetry::kTakPushTotal, {name(), "success"})),
      unconfirmed_(metrics.counter(telemetry::kTakPushTotal, {name(), "unconfirmed"})),
      failed_(metrics.counter(telemetry::kTakPushTotal, {name(), "failed"})),
      dead_(metrics.counter(telemetry::kTakPushTotal, {name(), "dead"})),
      synced_(metrics.counter(telemetry::kOfflineQueueSyncedTotal, {name()})),
      reconnects_(metrics.counter(telemetry::kTakReconnectsTotal, {name()})),
      connected_(metrics.gauge(telemetry::kTakSinkConnected, {name()})),
      duration_(metrics.histogram(telemetry::kTakPushDurationSeconds, {name()})),
      delivered_(steady_clock::now()),
      confirms_(options.sink.address.scheme != tak::Scheme::kUdp),
      pace_(options.rate_per_s),
      in_time_most_(options.batch_events) {
  using enum store::OmitReason;
  for (const auto reason : {kFiltered, kSuperseded, kStale})
    omitted_[static_cast<std::size_t>(reason)] =
        metrics.counter(telemetry::kTakOmittedTotal, {name(), store::omit_reason_name(reason)});
  sink_ = options.make_sink(options.sink, *this);
}

SinkCourier::~SinkCourier() {
  stop(milliseconds{0});
}

void SinkCourier::start() {
  thread_ = std::thread([this] { run(); });
  sink_->start();
}

void SinkCourier::stop(milliseconds grace) {
  if (!thread_.joinable()) return;
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    stop_by_ = steady_clock::now() + grace;
  }
  news_came_.notify_one();
  thread_.join();
  sink_->stop(milliseconds{0});
  for (const auto& [number, batch] : in_flight_) store_.give_back(batch.claim());
  in_flight_.clear();
}

void SinkCourier::wake() noexcept {
  if (due_.exchange(true, std::memory_order_acq_rel)) return;
  // Taken so that the notice cannot fall between the courier's look at due_ and its sleep.
  {
    const std::scoped_lock lock(mutex_);
  }
  news_came_.notify_one();
}

void SinkCourier::announce(std::shared_ptr<const tak::EventBatch> events) {
  sink_->announce(std::move(events));
}

CourierStatus SinkCourier::status() const {
  double delivered_per_s = 0;
  {
    const std::scoped_lock lock(mutex_);
    delivered_per_s = delivered_.per_second(steady_clock::now());
  }
  return {name(),
          tak::sink_url(options_.sink.address),
          sink_->status(),
          confirms_.load(std::memory_order_relaxed),
          delivered_per_s,
          options_.rate_per_s,
          elsewhere_.load(std::memory_order_relaxed)};
}

void SinkCourier::tell(std::optional<News> news) {
  {
    const std::scoped_lock lock(mutex_);
    if (news) news_.push_back(std::move(*news));
    room_ = true;
  }
  news_came_.notify_one();
}

void SinkCourier::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    lock.unlock();
    const auto now = steady_clock::now();
    const auto send_at = when_to_send(now);
    lock.lock();
    const auto look = now + (ending_.empty() ? kLookAgain : kEndAgain);
    news_came_.wait_until(lock, send_at > now ? std::min(look, send_at) : look, [&] {
      return !news_.empty() || stopping_ ||
             ((!refused_ || room_) && due_.load(std::memory_order_acquire) && send_at <= steady_clock::now());
    });
    std::deque<News> news;
    news.swap(news_);
    const bool stopping = stopping_;
    refused_ = refused_ && !room_;
    room_ = false;
    lock.unlock();

    for (auto& one : news) std::visit([this](auto& what) { on(what); }, one);
    end_batches();
    if (!stopping && ready_) send_what_is_due();

    lock.lock();
    if (stopping_) {
      const bool waiting = ready_ && (!in_flight_.empty() || !ending_.empty());
      if (!waiting || steady_clock::now() >= stop_by_) break;
      news_came_.wait_until(lock, std::min(stop_by_, steady_clock::now() + kEndAgain), [&] { return !news_.empty(); });
    }
  }
  lock.unlock();
  for (auto& one : ending_) store_.give_back(one.batch.claim());
  for (auto& one : aside_) store_.give_back(one.claim());
  ending_.clear();
  aside_.clear();
  connected_.set(0);
}

Result<std::unique_ptr<Courier>> make_courier(const CourierOptions& options, store::Store& store,
                                              telemetry::Metrics& metrics, telemetry::Log& log) {
  if (auto opened = store.open_sink(options.sink.name, options.limits); !opened) return std::unexpected(opened.error());
  return std::make_unique<SinkCourier>(options, store, metrics, log);
}

}  // namespace detection::pipeline
