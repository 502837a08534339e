#include "http/workers.hpp"

#include <random>

namespace detection::http {

Workers::Workers(unsigned threads, std::size_t waiting_most) : waiting_most_(waiting_most) {
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

bool Workers::post(Task task) {
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_ || tasks_.size() >= waiting_most_) return false;
    tasks_.push_back(std::move(task));
  }
  work_.notify_one();
  return true;
}

void Workers::finish(Task task) {
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) return;
    // In front: it frees memory and its caller has waited longest.
    tasks_.push_front(std::move(task));
  }
  work_.notify_one();
}

void Workers::stop() {
  std::deque<Task> dropped;
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    dropped.swap(tasks_);
  }
  work_.notify_all();
  for (auto& thread : threads_)
    if (thread.joinable()) thread.join();
}

void Workers::run() {
  std::random_device random;
  Bench bench{.mint = UuidMint((std::uint64_t{random()} << 32) | random())};
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (stopping_) return;
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task(bench);
    task = nullptr;
    lock.lock();
  }
}

}  // namespace detection::http
