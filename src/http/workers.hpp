#pragma once
// A few threads for what would hold up the event threads: reads of the store, batches, images.

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "detection/uuid.hpp"
#include "http/detection_json.hpp"

namespace detection::http {

class Workers {
 public:
  /// What one thread has of its own.
  struct Bench {
    DetectionParser parser{};
    UuidMint mint;
  };
  using Task = std::move_only_function<void(Bench&)>;

  Workers(unsigned threads, std::size_t waiting_most);
  ~Workers() { stop(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// False (and the task dropped) when too many wait. Any thread.
  [[nodiscard]] bool post(Task task);
  /// For the second half of work that was let in already. After stop() the task is dropped.
  void finish(Task task);
  /// Ends after the tasks that run; what waits is dropped. Idempotent.
  void stop();

 private:
  void run();

  const std::size_t waiting_most_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<Task> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace detection::http
