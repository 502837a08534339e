#include "store/postgres/failures.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

namespace detection::store::postgres {
namespace {

struct Kind {
  std::string_view sqlstate;  ///< or its class, two characters
  Trouble trouble;
  ErrorCode code;
  bool lost;
  std::string_view text;
};

constexpr auto kAway = ErrorCode::kStoreUnavailable;
// The first that fits.
constexpr std::array kKinds{
    Kind{"08", Trouble::kUnreachable, kAway, true, "the connection to the database was lost"},
    Kind{"22", Trouble::kRefused, ErrorCode::kInternal, false, "the store refused a record: a value does not fit"},
    Kind{"23502", Trouble::kRefused, ErrorCode::kInternal, false, "the store refused a record: a value is missing"},
    // Never a record's fault either: which rows there are is ours to know.
    Kind{"23503", Trouble::kRefused, kAway, false, "the database lacks a row that it should have"},
    Kind{"23505", Trouble::kRefused, kAway, false, "the database has a row that it should not have"},
    Kind{"23", Trouble::kRefused, ErrorCode::kInternal, false, "the store refused a record: a constraint failed"},
    Kind{"25006", Trouble::kReadOnly, kAway, false, "the database is read-only"},
    Kind{"25P02", Trouble::kRefused, kAway, false, "the store: an earlier statement of the transaction failed"},
    Kind{"25P03", Trouble::kTooSlow, kAway, true, "the database ended a transaction that stood still for too long"},
    Kind{"28", Trouble::kCredentials, kAway, true, "the database refused the credentials"},
    Kind{"3D000", Trouble::kConfiguration, kAway, true, "the server has no database of that name"},
    Kind{"40", Trouble::kBusy, kAway, false, "another transaction of the database was in the way; try again"},
    Kind{"42501", Trouble::kRefused, kAway, false, "the database's role has no right to do this"},
    // Never a record's fault: the statements are ours, and the tables are not what they were made for.
    Kind{"42", Trouble::kRefused, kAway, false, "the database has not the tables that this program needs"},
    Kind{"53100", Trouble::kFull, ErrorCode::kCapacityExceeded, false, "no room is left on the disk of the database"},
    Kind{"53200", Trouble::kFull, kAway, false, "the database has no memory left"},
    Kind{"53300", Trouble::kFull, kAway, true, "the database takes no more connections"},
    Kind{"53", Trouble::kFull, kAway, false, "the database has no more resources"},
    Kind{"54", Trouble::kRefused, ErrorCode::kInternal, false, "the store refused a record: it is too large"},
    Kind{"55P03", Trouble::kTooSlow, kAway, false, "the database did not give a lock in time"},
    Kind{"57014", Trouble::kTooSlow, kAway, false, "the store took too long to answer; narrow the request"},
    Kind{"57P01", Trouble::kUnreachable, kAway, true, "the database ended the connection"},
    Kind{"57P02", Trouble::kUnreachable, kAway, true, "the database ended the connection after a crash"},
    Kind{"57P03", Trouble::kUnreachable, kAway, true, "the database is starting or stopping"},
    Kind{"57P", Trouble::kUnreachable, kAway, true, "the database ended the connection"},
    Kind{"P0001", Trouble::kRefused, kAway, false, "a rule of the database forbids it"},
    Kind{"XX001", Trouble::kDamaged, kAway, false, "the database is damaged; restore it from a backup"},
    Kind{"XX002", Trouble::kDamaged, kAway, false, "the database is damaged; restore it from a backup"},
    Kind{"", Trouble::kUnreachable, kAway, false, "the database failed"},
};

struct Words {
  std::string_view libpq;
  Trouble trouble;
  std::string_view ours;
};

// libpq's own words (or the system's) for what happens before the server speaks. The first that is found.
constexpr std::array kWords{
    Words{"certificate verify failed", Trouble::kCertificate, "the database's certificate is of no trusted authority"},
    Words{"does not match host name", Trouble::kCertificate, "the database's certificate is for another name"},
    Words{"root certificate file", Trouble::kCertificate, "the file of the database's authority cannot be read"},
    Words{"server does not support SSL", Trouble::kCertificate, "the database does not speak TLS"},
    Words{"certificate", Trouble::kCertificate, "the certificate of the connection to the database was not accepted"},
    Words{"private key", Trouble::kCertificate, "the key of the connection to the database cannot be used"},
    Words{"no password supplied", Trouble::kCredentials, "the database wants a password, and none is given"},
    Words{"SCRAM", Trouble::kCredentials, "the database refused the credentials"},
    Words{"authentication", Trouble::kCredentials, "the database refused the credentials"},
    Words{"read-only", Trouble::kReadOnly, "the database is read-only"},
    Words{"hot standby", Trouble::kReadOnly, "the database is read-only"},
    Words{"Connection refused", Trouble::kUnreachable, "the database cannot be reached: connection refused"},
    Words{"could not translate host name", Trouble::kUnreachable, "the database's host name cannot be resolved"},
    Words{"timed out", Trouble::kUnreachable, "the database cannot be reached: timed out"},
    Words{"unreachable", Trouble::kUnreachable, "the database cannot be reached: no way to its network"},
    Words{"No route", Trouble::kUnreachable, "the database cannot be reached: no route to host"},
    Words{"No such file", Trouble::kUnreachable, "the database cannot be reached: no such socket"},
    Words{"SSL", Trouble::kCertificate, "TLS with the database failed"},
};

bool is_sqlstate(std::string_view text) {
  return text.size() == 5 &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
}

/// The last word of a line after a colon, as "FATAL:  28P01".
std::optional<std::string_view> last_sqlstate(std::string_view text) {
  std::optional<std::string_view> found;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto colon = line.rfind(": ");
    if (colon == std::string_view::npos) continue;
    auto word = line.substr(colon + 2);
    word.remove_prefix(std::min(word.find_first_not_of(' '), word.size()));
    if (is_sqlstate(word)) found = word;
  }
  return found;
}

}  // namespace

std::string_view trouble_name(Trouble trouble) noexcept {
  switch (trouble) {
    case Trouble::kNone: return "none";
    case Trouble::kUnreachable: return "unreachable";
    case Trouble::kTooSlow: return "too_slow";
    case Trouble::kCredentials: return "credentials";
    case Trouble::kCertificate: return "certificate";
    case Trouble::kReadOnly: return "read_only";
    case Trouble::kFull: return "full";
    case Trouble::kBusy: return "busy";
    case Trouble::kRefused: return "refused";
    case Trouble::kDamaged: return "damaged";
    case Trouble::kConfiguration: return "configuration";
  }
  return "none";
}

Failure failure_of_sqlstate(std::string_view sqlstate) {
  if (!is_sqlstate(sqlstate)) return connection_lost();
  const auto& kind = *std::ranges::find_if(kKinds, [&](const Kind& k) { return sqlstate.starts_with(k.sqlstate); });
  Failure failure{
      {kind.code, std::string(kind.text) + " (" + std::string(sqlstate) + ")"}, kind.trouble, kind.lost, {}};
  std::ranges::copy(sqlstate, failure.sqlstate.begin());
  return failure;
}

Failure failure_of(const pg_result* result) {
  const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  auto failure = failure_of_sqlstate(sqlstate != nullptr ? sqlstate : "");
  const char* severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity != nullptr && std::string_view(severity) != "ERROR") failure.lost = true;  // FATAL, PANIC
  return failure;
}

Failure connect_failure(std::string_view text) {
  if (const auto sqlstate = last_sqlstate(text)) {
    auto failure = failure_of_sqlstate(*sqlstate);
    failure.lost = true;
    return failure;
  }
  if (text.starts_with("invalid "))
    return {
        {ErrorCode::kConfiguration, "a value in the database's URL is not valid"}, Trouble::kConfiguration, true, {}};
  // Before that stands the host, whose name may be any word.
  if (const auto end = text.rfind(" failed: "); end != std::string_view::npos) text.remove_prefix(end);
  const auto known = std::ranges::find_if(kWords, [&](const Words& w) { return text.contains(w.libpq); });
  if (known == kWords.end()) return {{kAway, "the database cannot be reached"}, Trouble::kUnreachable, true, {}};
  return {{kAway, std::string(known->ours)}, known->trouble, true, {}};
}

Failure no_answer(std::chrono::milliseconds waited) {
  return {
      {kAway, "the database did not answer in " + std::to_string(waited.count()) + " ms"}, Trouble::kTooSlow, true, {}};
}

Failure connection_lost() {
  return {{kAway, "the connection to the database was lost"}, Trouble::kUnreachable, true, {}};
}

}  // namespace detection::store::postgres
