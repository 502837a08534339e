#pragma once
// What PostgreSQL or libpq say when something fails, in the room's words. Texts of the server are never passed on: they
// name tables and values, and those of a connection name hosts.

#include <array>
#include <chrono>
#include <cstdint>
#include <expected>
#include <string_view>

#include "detection/error.hpp"

struct pg_result;

namespace detection::store::postgres {

/// What kind of trouble it is, for metrics and for the one who decides what to do.
enum class Trouble : std::uint8_t {
  kNone,
  kUnreachable,  ///< no connection, or it was lost; the server stops or starts
  kTooSlow,      ///< no answer, or no lock, in time
  kCredentials,
  kCertificate,  ///< TLS: the server's certificate, or no TLS at all
  kReadOnly,
  kFull,     ///< its disk, its memory, or its connections
  kBusy,     ///< another transaction was in the way (deadlock, serialisation): again
  kRefused,  ///< this record or statement: a constraint, a right, the SQL
  kDamaged,  ///< the database's own files
  kConfiguration,
};

/// A stable lower-case word for metrics and the log: "unreachable", "too_slow", ...
[[nodiscard]] std::string_view trouble_name(Trouble trouble) noexcept;

struct Failure {
  Error error;
  Trouble trouble = Trouble::kNone;
  bool lost = false;                  ///< the connection is of no more use
  std::array<char, 6> sqlstate = {};  ///< empty: not from the server
};

template <class T>
using Outcome = std::expected<T, Failure>;

/// Of a statement's result that is an error.
[[nodiscard]] Failure failure_of(const pg_result* result);
/// The same by its code alone; empty: the connection was lost.
[[nodiscard]] Failure failure_of_sqlstate(std::string_view sqlstate);
/// Of a connection that did not come about; `text` is libpq's, with SQLSTATEs instead of the server's words.
[[nodiscard]] Failure connect_failure(std::string_view text);
[[nodiscard]] Failure no_answer(std::chrono::milliseconds waited);
[[nodiscard]] Failure connection_lost();

}  // namespace detection::store::postgres
