#include "store/spool/late_primary.hpp"

#include <algorithm>
#include <utility>

namespace detection::store::spool {

Result<void> LatePrimary::bring() {
  if (complete()) return {};
  bool made = false;
  {
    const std::lock_guard lock(mutex_);
    made = store_ != nullptr;
  }
  if (!made) {
    // May wait for the network: without the lock.
    auto opened = open_();
    const std::lock_guard lock(mutex_);
    if (!opened) {
      reason_ = opened.error().detail;
      return std::unexpected(std::move(opened.error()));
    }
    store_ = std::move(*opened);
    if (signer_) store_->set_tombstone_signer(*signer_);
    if (commit_listener_) store_->on_commit(commit_listener_);
    if (due_listener_) store_->on_due(due_listener_);
  }
  const std::lock_guard lock(mutex_);
  auto done = open_waiting_sinks();
  reason_ = done ? std::string() : done.error().detail;
  if (!done) return done;
  ready_.store(store_.get(), std::memory_order_release);
  complete_.store(true, std::memory_order_release);
  return {};
}

Result<void> LatePrimary::open_waiting_sinks() {
  for (const auto& name : order_) {
    auto& sink = sinks_.at(name);
    if (sink.open) continue;
    if (auto done = store_->open_sink(name, sink.limits); !done) return done;
    sink.open = true;
  }
  return {};
}

std::string LatePrimary::reason() const {
  const std::lock_guard lock(mutex_);
  return reason_;
}

Result<void> LatePrimary::open_sink(std::string_view sink, const QueueLimits& limits) {
  const std::lock_guard lock(mutex_);
  const auto remember = [&](bool open) {
    if (!sinks_.contains(sink)) order_.emplace_back(sink);
    sinks_.insert_or_assign(std::string(sink), Sink{limits, open});
    if (!open) complete_.store(false, std::memory_order_release);
  };
  if (closed_) return fail(ErrorCode::kStoreUnavailable, "the store is closed");
  if (get() == nullptr || !complete()) {
    remember(false);
    return {};
  }
  auto done = get()->open_sink(sink, limits);
  const bool later = !done && done.error().code == ErrorCode::kStoreUnavailable;
  if (done || later) remember(done.has_value());
  return later ? Result<void>() : done;
}

void LatePrimary::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  if (auto* store = get()) store->close();
}

void LatePrimary::on_commit(std::function<void()> listener) {
  const std::lock_guard lock(mutex_);
  commit_listener_ = std::move(listener);
  if (store_) store_->on_commit(commit_listener_);
}

void LatePrimary::on_due(std::function<void()> listener) {
  const std::lock_guard lock(mutex_);
  due_listener_ = std::move(listener);
  if (store_) store_->on_due(due_listener_);
}

void LatePrimary::set_tombstone_signer(TombstoneSigner signer) {
  const std::lock_guard lock(mutex_);
  signer_ = std::move(signer);
  if (store_) store_->set_tombstone_signer(*signer_);
}

std::vector<std::string> LatePrimary::sinks() const {
  const std::lock_guard lock(mutex_);
  return order_;
}

}  // namespace detection::store::spool
