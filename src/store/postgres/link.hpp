#pragma once
// A libpq connection whose every wait has an end by our own clock: a stopped server, or a network that swallows all,
// never answers and so never keeps its own time limits. When the end comes the connection is closed, not only the
// statement cancelled: nobody knows what the other side still does. One thread at a time.
//
// What can wait longer: the system's resolver, when the address is a name (libpq asks it in place).

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "store/postgres/failures.hpp"

struct pg_conn;
struct pg_result;

namespace detection::store::postgres {

struct EndResult {
  void operator()(pg_result* result) const noexcept;
};
using ResultPtr = std::unique_ptr<pg_result, EndResult>;

/// A span of time with an end.
class Limit {
 public:
  using Clock = std::chrono::steady_clock;
  /// From now; `deadline` if that is earlier.
  explicit Limit(std::chrono::milliseconds time, std::optional<Clock::time_point> deadline = {});
  [[nodiscard]] bool over() const { return Clock::now() >= end_; }
  [[nodiscard]] int poll_time() const;  ///< ms, rounded up
  [[nodiscard]] Failure failure() const;

 private:
  Clock::time_point start_, end_;
};

class Link {
 public:
  /// By libpq's parameter keywords. The server's errors come as codes alone.
  [[nodiscard]] static Outcome<Link> open(const std::map<std::string, std::string>& parameters, const Limit& limit);

  [[nodiscard]] bool is_open() const noexcept { return connection_ != nullptr; }
  /// Only while it is open.
  [[nodiscard]] pg_conn* get() const noexcept { return connection_.get(); }
  void close() noexcept { connection_.reset(); }

  /// All that was queued is with the system. Takes in what comes meanwhile, so that neither side waits for the other.
  [[nodiscard]] Outcome<void> flush(const Limit& limit);
  /// The next result; none: the end of this statement's.
  [[nodiscard]] Outcome<ResultPtr> next(const Limit& limit);
  /// Sends one text of one or more statements; the last result, or the first failure.
  [[nodiscard]] Outcome<ResultPtr> simple(const std::string& sql, const Limit& limit);
  /// After a COPY ... FROM STDIN: its data, and the end of it.
  [[nodiscard]] Outcome<void> put_copy(const char* data, std::size_t size, const Limit& limit);

 private:
  struct Close {
    void operator()(pg_conn* connection) const noexcept;
  };
  [[nodiscard]] Outcome<void> wait(short events, const Limit& limit);
  [[nodiscard]] std::unexpected<Failure> lose(Failure failure);
  std::unique_ptr<pg_conn, Close> connection_;
};

}  // namespace detection::store::postgres
