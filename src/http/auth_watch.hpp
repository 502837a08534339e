#pragma once
// Failed authentication as audit events (auth_failure): the first of an address at once, then at most one record a
// minute for each address with the number of failures and why. Bounded in addresses and in records a minute, so that a
// flood fills neither the memory nor the disk; what is beyond is counted in one record for all others. Never a
// credential.

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "http/client_address.hpp"
#include "store/store.hpp"
#include "telemetry/log.hpp"

namespace detection::http {

enum class AuthFailure : std::uint8_t { kMissing, kInvalid, kInsufficientScope, kClient, kRateLimited };
inline constexpr std::size_t kAuthFailures = 5;
[[nodiscard]] std::string_view auth_failure_name(AuthFailure reason) noexcept;

struct AuthWatchLimits {
  std::chrono::steady_clock::duration window = std::chrono::minutes{1};
  std::size_t addresses_most = 1024;
  std::size_t records_most = 60;  ///< in a window, the one for all others not counted
};

/// What is to be recorded and when. One thread at a time; the clock is the caller's.
class AuthLedger {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit AuthLedger(AuthWatchLimits limits) : limits_(limits) {}

  /// True when there is something to record at once.
  [[nodiscard]] bool note(const ClientNetwork& network, AuthFailure reason, Time now);
  /// What has become due; forgets addresses that were quiet for a window. `all`: whatever was counted.
  [[nodiscard]] std::vector<store::AuditEntry> due(Time now, bool all = false);
  /// Whether something waits to become due.
  [[nodiscard]] bool pending() const;

 private:
  using Counts = std::array<std::uint64_t, kAuthFailures>;
  struct Entry {
    Counts counts{};    ///< since its last record
    Time next{};        ///< its next record, earliest
    bool fresh = true;  ///< has no record yet
  };
  [[nodiscard]] bool spend(Time now);

  const AuthWatchLimits limits_;
  std::map<ClientNetwork, Entry> entries_;
  Counts others_{};
  Time others_next_{};
  Time window_began_{};
  std::size_t spent_ = 0;  ///< records of this window
};

/// The ledger with a thread that writes what is due.
class AuthWatch {
 public:
  AuthWatch(store::Store& store, telemetry::Log& log, AuthWatchLimits limits = {});
  ~AuthWatch() { stop(); }
  AuthWatch(const AuthWatch&) = delete;
  AuthWatch& operator=(const AuthWatch&) = delete;

  /// Cheap; never waits for the store.
  void failed(const ClientAddress& client, AuthFailure reason);
  /// Records what was counted and ends. Idempotent.
  void stop();

 private:
  void run();
  void write(const std::vector<store::AuditEntry>& entries);

  store::Store& store_;
  telemetry::Log& log_;
  std::mutex mutex_;
  AuthLedger ledger_;
  std::condition_variable wake_;
  bool urgent_ = false, stopping_ = false;
  std::thread thread_;
};

}  // namespace detection::http
