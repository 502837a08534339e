#pragma once
// Hands what is in the spool to the primary, in order, and takes it out of the spool only when the primary has it. A
// disk that is full does not let anything be taken out either: that is made up for later, and holds up nothing.

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "store/spool/gate.hpp"
#include "store/spool/late_primary.hpp"
#include "store/spool/spool_file.hpp"
#include "store/spool/spool_writer.hpp"
#include "telemetry/log.hpp"

namespace detection::store::spool {

class Replay {
 public:
  Replay(LatePrimary& primary, SpoolWriter& writer, SpoolFile reader, Gate& gate, Clock clock, telemetry::Log* log);
  ~Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  void start();
  /// Something may have to be done. Any thread; does not block.
  void wake() noexcept;
  /// Goes on until nothing is left, for at most so long, and ends. Idempotent.
  void drain(std::chrono::milliseconds most);

 private:
  using Time = std::chrono::steady_clock::time_point;
  enum class Step : std::uint8_t { kMoved, kEmpty, kBlocked };

  /// Where its own jobs come back.
  class Home final : public CommitHome {
   public:
    explicit Home(Replay& replay) : replay_(replay) {}
    void committed(std::vector<std::unique_ptr<CommitJob>> jobs) noexcept override;

   private:
    Replay& replay_;
  };

  /// What the primary has and the file still holds, since its disk takes nothing. After a start it is handed over
  /// again, which is harmless.
  struct Handed {
    std::int64_t up_to = 0;  ///< 0: none
    std::vector<std::int64_t> conflicts;
  };

  void run();
  void turn();
  [[nodiscard]] Step step();
  [[nodiscard]] Step refused(const Error& error, const std::vector<SpooledItem>& items);
  [[nodiscard]] Step settle(const std::vector<SpooledItem>& items, const CommitJob& job);
  void log_recorded(const CommitJob& job) const;
  [[nodiscard]] Result<void> remove_handed(SpoolFile& file) const;
  void take_out();
  [[nodiscard]] Step keep(const SpooledItem& item, const std::string& reason);
  [[nodiscard]] std::unique_ptr<CommitJob> commit(std::vector<SpooledItem>& items);
  void audit_conflicts();
  void return_to_direct();
  [[nodiscard]] Step blocked(const Error& error);
  void idle();
  void pause();
  [[nodiscard]] bool hold_is_over() const;
  void sleep(std::chrono::milliseconds time);
  [[nodiscard]] bool over();
  [[nodiscard]] bool draining();

  LatePrimary& primary_;
  SpoolWriter& writer_;
  SpoolFile reader_;
  Gate& gate_;
  const Clock clock_;
  telemetry::Log* const log_;
  Home home_;

  // The thread's own.
  std::size_t batch_items_;
  Handed handed_;
  std::int64_t single_up_to_ = 0;  ///< one by one up to this number: one of them cannot be stored
  std::chrono::milliseconds wait_;
  Time hold_until_{}, hold_again_{};
  bool audit_due_ = true;
  bool worked_ = false;  ///< the primary took something the last time
  std::int64_t replayed_ = 0;
  std::string why_, told_;  ///< it waits: why, and what was logged of it

  std::mutex mutex_;
  std::condition_variable wake_;
  bool called_ = false;
  std::optional<Time> drain_until_;
  std::unique_ptr<CommitJob> answer_;
  std::mutex drain_mutex_;
  std::thread thread_;
};

}  // namespace detection::store::spool
