#pragma once
// The store behind the spool, which may not be there yet: at a start while the database is away. What was asked of it
// before (sinks, listeners, the signer) is kept and done when it comes.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "store/store.hpp"

namespace detection::store::spool {

class LatePrimary {
 public:
  using Open = std::function<Result<std::unique_ptr<Store>>()>;
  explicit LatePrimary(Open open) : open_(std::move(open)) {}

  /// Null while it is not there; then it stays. Any thread.
  [[nodiscard]] Store* get() const noexcept { return ready_.load(std::memory_order_acquire); }
  /// Opens it if need be, and its sinks; nothing may be committed before this succeeded. One thread.
  [[nodiscard]] Result<void> bring();
  /// False: a sink waits to be opened, or there is no store: bring() has something to do.
  [[nodiscard]] bool complete() const noexcept { return complete_.load(std::memory_order_acquire); }
  [[nodiscard]] std::string reason() const;  ///< why bring() failed the last time

  /// As Store's; kept for later where the store cannot do it now (then complete() is false).
  [[nodiscard]] Result<void> open_sink(std::string_view sink, const QueueLimits& limits);
  void close();  ///< the store's, if it is there; no sinks are opened any more
  void on_commit(std::function<void()> listener);
  void on_due(std::function<void()> listener);
  void set_tombstone_signer(TombstoneSigner signer);

  /// All that were asked for.
  [[nodiscard]] std::vector<std::string> sinks() const;

 private:
  [[nodiscard]] Result<void> open_waiting_sinks();

  const Open open_;
  std::atomic<Store*> ready_{nullptr};
  std::atomic<bool> complete_{false};
  mutable std::mutex mutex_;
  std::unique_ptr<Store> store_;  ///< may be open before it is ready
  std::string reason_;
  bool closed_ = false;
  struct Sink {
    QueueLimits limits;
    bool open = false;
  };
  std::map<std::string, Sink, std::less<>> sinks_;
  std::vector<std::string> order_;  ///< of sinks_: the first sink that a store sees is special
  std::function<void()> commit_listener_, due_listener_;
  std::optional<TombstoneSigner> signer_;
};

}  // namespace detection::store::spool
