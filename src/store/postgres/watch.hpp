#pragma once
// What one process must know of the others: a thread with a connection of its own that looks every kLookEvery at what
// was committed, at the fence and at the leases of the sinks, and renews those that this process holds and uses.

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "store/postgres/postgres_connection.hpp"
#include "store/sql/sink_leases.hpp"
#include "store/store.hpp"

namespace detection::store::postgres {

inline constexpr std::chrono::milliseconds kLookEvery{200};
/// A lease that no courier asked for this long is not renewed: another process may have the better link.
inline constexpr std::chrono::seconds kLeaseUnused{3};

class Watch final : public sql::SinkLeases {
 public:
  struct Listeners {
    std::function<void()> committed;                        ///< something was committed, here or elsewhere
    std::function<void()> due;                              ///< something may have become due to a sink
    std::function<bool(std::string_view sink)> has_claims;  ///< of this process, not ended yet
    std::function<void(bool connected)> connected;          ///< of its own connection
  };
  /// `holder`: names this process and this run of it among all.
  Watch(ConnectOptions options, std::string slot, std::string holder)
      : options_(std::move(options)), slot_(std::move(slot)), holder_(std::move(holder)) {}
  ~Watch() override { stop(); }

  /// Has looked once when it returns, if the database answers.
  void start(Listeners listeners);
  /// Gives up the leases. Idempotent.
  void stop();

  [[nodiscard]] ReleaseStatus release() const;
  [[nodiscard]] std::int64_t head() const;  ///< of the log, at the last look
  /// `db` is a new writing connection: whether the last commit of the one before stands is not known, so what is known
  /// of sinks is void. Where it is another database, or its server was started since (it may have come back with an
  /// earlier state: a restore to a point in time, a standby that was behind), so are the claims: the numbers that they
  /// cover may be given out anew. One writer calls it, never two at once.
  [[nodiscard]] Result<void> reconnected(sql::Database& db);
  /// From now on the couriers get nothing: the process ends.
  void shut();

  [[nodiscard]] std::optional<Lease> held(std::string_view sink) override;
  [[nodiscard]] bool available(std::string_view sink) override;
  [[nodiscard]] Result<std::optional<Lease>> take(sql::Database& db, std::int64_t number,
                                                  std::string_view sink) override;
  void taken(std::string_view sink, const Lease& lease) override;
  [[nodiscard]] Result<void> check(sql::Database& db, std::int64_t number, std::int64_t epoch) override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Sink {
    std::optional<Lease> mine;
    bool free = true;  ///< nobody else had it at the last look
    Clock::time_point wanted{};
  };
  void run(std::optional<sql::Database>& db);
  void look_once(std::optional<sql::Database>& db);
  [[nodiscard]] Result<void> look(sql::Database& db);
  [[nodiscard]] Result<void> renew(sql::Database& db);
  [[nodiscard]] static Result<void> shorten_leases(sql::Database& db);
  [[nodiscard]] Result<void> look_at_leases(sql::Database& db, bool& freed);
  void give_up(sql::Database& db, bool all);
  [[nodiscard]] bool open_to(const std::optional<std::string>& active) const {
    return slot_.empty() || active == slot_;
  }

  const ConnectOptions options_;
  const std::string slot_, holder_;
  Listeners listeners_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, Sink, std::less<>> sinks_;
  std::optional<std::string> active_slot_;
  bool delivers_ = false, shut_ = false, stopping_ = false;
  std::int64_t head_ = 0;
  std::int64_t changes_ = -1;  ///< the thread's own
  std::string database_;       ///< the writer's own: which one, and when its server was started
  std::thread thread_;
};

}  // namespace detection::store::postgres
