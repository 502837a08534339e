// How a connection comes about: the URL, the credentials in files, and what every session is told.

#include <libpq-fe.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <system_error>

#include "store/postgres/postgres_connection.hpp"

namespace detection::store::postgres {
namespace {

constexpr int kOldestServer = 140'000;  // client_connection_check_interval
constexpr std::size_t kCredentialMost = 4'096;
constexpr std::chrono::milliseconds kAfterOurs{500};  // our own end comes first, the server's is the second net

struct EndOptions {
  void operator()(PQconninfoOption* options) const noexcept { PQconninfoFree(options); }
};
struct EndText {
  void operator()(char* text) const noexcept { PQfreemem(text); }
};

/// None: there is no such file.
Result<std::optional<std::string>> read_credential(const std::filesystem::path& file) {
  constexpr auto kSpace = " \t\r\n";
  std::error_code error;
  if (!std::filesystem::exists(file, error) && !error) return std::nullopt;
  std::ifstream in(file, std::ios::binary);
  std::string text(kCredentialMost + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || !in.eof())
    return fail(ErrorCode::kStoreUnavailable, "the file " + file.filename().string() +
                                                  " of the database's credentials cannot be read, or is too long");
  text.resize(static_cast<std::size_t>(in.gcount()));
  text.erase(0, text.find_first_not_of(kSpace));
  text.erase(text.find_last_not_of(kSpace) + 1);
  if (text.contains('\0'))
    return fail(ErrorCode::kStoreUnavailable,
                "the file " + file.filename().string() + " of the database's credentials has a NUL");
  return text;
}

std::string set(std::string_view name, std::chrono::milliseconds value) {
  return "SET " + std::string(name) + " = " + std::to_string(value.count()) + ";";
}

std::string session_settings(const ConnectOptions& options) {
  std::string sql = set("statement_timeout",
                        options.statement_time + kAfterOurs) +  // Before our own end, which would close the connection.
                    set("lock_timeout", options.statement_time * 3 / 4) +
                    set("idle_in_transaction_session_timeout", options.idle_in_transaction) +
                    // Ours are kept: one that an administrator's limit ended would show at the next detection.
                    "SET idle_session_timeout = 0;" +
                    // A statement whose client has gone holds its locks no longer than this.
                    set("client_connection_check_interval", kAfterOurs) +
                    set("tcp_user_timeout", options.statement_time) +
                    "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3;"
                    "SET TimeZone = 'UTC'; SET search_path = public, pg_temp; SET standard_conforming_strings = on;"
                    // A plan that is made while a table is small is kept when it is large (until it is analysed): then
                    // one that reads the whole table. Every statement that is asked often has its index.
                    "SET jit = off; SET enable_seqscan = off;";
  if (options.read_only) sql += "SET default_transaction_read_only = on;";
  return sql +
         "SELECT set_config('synchronous_commit', 'on', false)"
         " WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');"
         "SELECT current_setting('synchronous_commit') IN ('on', 'remote_apply'),"
         " current_setting('transaction_read_only') = 'on' OR pg_is_in_recovery()";
}

Outcome<void> begin_session(Link& link, const ConnectOptions& options, const Limit& limit) {
  if (PQserverVersion(link.get()) < kOldestServer)
    return std::unexpected(Failure{{ErrorCode::kConfiguration, "the database's server is older than PostgreSQL 14"},
                                   Trouble::kConfiguration,
                                   true,
                                   {}});
  auto state = link.simple(session_settings(options), limit);
  if (!state) return std::unexpected(std::move(state.error()));
  const auto is_true = [&](int column) { return std::string_view(PQgetvalue(state->get(), 0, column)) == "t"; };
  if (!is_true(0))
    return std::unexpected(Failure{
        {ErrorCode::kStoreUnavailable, "the database does not commit to its disk"}, Trouble::kConfiguration, true, {}});
  if (is_true(1) && !options.read_only) return std::unexpected(failure_of_sqlstate("25006"));
  return {};
}

}  // namespace

Result<std::map<std::string, std::string>> connection_parameters(const ConnectOptions& options) {
  char* why = nullptr;
  const std::unique_ptr<PQconninfoOption, EndOptions> parsed(PQconninfoParse(options.url.c_str(), &why));
  // Not passed on: it cites the URL, and there may be a password in it.
  const std::unique_ptr<char, EndText> cited(why);
  if (options.url.empty() || options.url.contains('\0') || !parsed)
    return fail(ErrorCode::kConfiguration,
                "the database's URL is none: postgresql://user@host:port/database?sslmode=verify-full");
  std::map<std::string, std::string> parameters{
      {"gssencmode", "disable"},
      {"keepalives_idle", "5"},
      {"keepalives_interval", "1"},
      {"keepalives_count", "3"},
      {"tcp_user_timeout", std::to_string(std::max(options.connect_time, options.statement_time).count())}};
  for (const auto* one = parsed.get(); one->keyword != nullptr; ++one)
    if (one->val != nullptr) parameters[one->keyword] = one->val;
  if (!options.credentials.empty())
    for (const auto& [file, keyword] : {std::pair("username", "user"), std::pair("password", "password")}) {
      auto text = read_credential(options.credentials / file);
      if (!text) return std::unexpected(std::move(text.error()));
      if (*text) parameters[keyword] = **text;
    }
  parameters["application_name"] = options.application_name;
  parameters["client_encoding"] = "UTF8";
  return parameters;
}

Result<std::unique_ptr<PostgresConnection>> PostgresConnection::connect(const ConnectOptions& options, Trouble* why) {
  const auto refuse = [&](Failure failure) {
    if (why != nullptr) *why = failure.trouble;
    return std::unexpected(std::move(failure.error));
  };
  if (why != nullptr) *why = Trouble::kNone;
  const auto parameters = connection_parameters(options);
  if (!parameters)
    return refuse(
        {parameters.error(),
         parameters.error().code == ErrorCode::kConfiguration ? Trouble::kConfiguration : Trouble::kCredentials,
         true,
         {}});
  const Limit limit(options.connect_time);
  auto link = Link::open(*parameters, limit);
  if (!link) return refuse(std::move(link.error()));
  if (auto begun = begin_session(*link, options, limit); !begun) return refuse(std::move(begun.error()));
  return std::unique_ptr<PostgresConnection>(new PostgresConnection(std::move(*link), options));
}

}  // namespace detection::store::postgres
