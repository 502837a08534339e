#include "store/postgres/link.hpp"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace detection::store::postgres {
namespace {

constexpr std::size_t kCopyPiece = 64 * 1024;

/// <0: the time is over.
int wait_for(int socket, short events, const Limit& limit) {
  pollfd one{socket, events, 0};
  while (true) {
    const int ready = ::poll(&one, 1, limit.poll_time());
    if (ready > 0) return one.revents;
    if (ready == 0 && limit.over()) return -1;
    if (ready < 0 && errno != EINTR && errno != EAGAIN) return POLLERR;
  }
}

bool is_success(ExecStatusType status) {
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

}  // namespace

void EndResult::operator()(pg_result* result) const noexcept {
  PQclear(result);
}
void Link::Close::operator()(pg_conn* connection) const noexcept {
  PQfinish(connection);
}

Limit::Limit(std::chrono::milliseconds time, std::optional<Clock::time_point> deadline)
    : start_(Clock::now()), end_(start_ + time) {
  if (deadline) end_ = std::min(end_, *deadline);
}

int Limit::poll_time() const {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(end_ - Clock::now()).count();
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left, 0, 3'600'000));
}

Failure Limit::failure() const {
  return no_answer(std::chrono::round<std::chrono::milliseconds>(std::max(end_ - start_, Clock::duration::zero())));
}

std::unexpected<Failure> Link::lose(Failure failure) {
  close();
  failure.lost = true;
  return std::unexpected(std::move(failure));
}

Outcome<Link> Link::open(const std::map<std::string, std::string>& parameters, const Limit& limit) {
  std::vector<const char*> keys, values;
  for (const auto& [key, value] : parameters) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  keys.push_back(nullptr);
  values.push_back(nullptr);
  Link link;
  link.connection_.reset(PQconnectStartParams(keys.data(), values.data(), 0));
  PGconn* connection = link.get();
  if (connection == nullptr) return std::unexpected(connection_lost());
  // Codes instead of words: the words' language is the server's choice.
  PQsetErrorVerbosity(connection, PQERRORS_SQLSTATE);
  PQsetNoticeReceiver(connection, [](void*, const PGresult*) {}, nullptr);
  auto state = PQstatus(connection) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (state != PGRES_POLLING_OK) {
    if (state == PGRES_POLLING_FAILED) return std::unexpected(connect_failure(PQerrorMessage(connection)));
    const short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (wait_for(PQsocket(connection), events, limit) < 0) return std::unexpected(limit.failure());
    state = PQconnectPoll(connection);
  }
  if (PQsetnonblocking(connection, 1) != 0) return std::unexpected(connection_lost());
  return link;
}

Outcome<void> Link::wait(short events, const Limit& limit) {
  const int ready = wait_for(PQsocket(get()), events, limit);
  if (ready < 0) return lose(limit.failure());
  // A lost connection may have left the reason why before its end: PQgetResult has it.
  if ((ready & ~POLLOUT) != 0 && PQconsumeInput(get()) == 0 && PQisBusy(get()) != 0) return lose(connection_lost());
  return {};
}

Outcome<void> Link::flush(const Limit& limit) {
  while (true) {
    const int left = PQflush(get());
    if (left == 0) return {};
    if (left < 0) return lose(connection_lost());
    if (auto ready = wait(POLLIN | POLLOUT, limit); !ready) return ready;
  }
}

Outcome<ResultPtr> Link::next(const Limit& limit) {
  while (PQisBusy(get()) != 0)
    if (auto ready = wait(POLLIN, limit); !ready) return std::unexpected(std::move(ready.error()));
  return ResultPtr(PQgetResult(get()));
}

Outcome<ResultPtr> Link::simple(const std::string& sql, const Limit& limit) {
  if (PQsendQuery(get(), sql.c_str()) == 0) return lose(connection_lost());
  if (auto sent = flush(limit); !sent) return std::unexpected(std::move(sent.error()));
  ResultPtr last;
  std::optional<Failure> first;
  while (true) {
    auto result = next(limit);
    if (!result) return result;
    if (!*result) break;
    const auto status = PQresultStatus(result->get());
    // Data may be on its way now: this connection cannot be used for anything else.
    if (status == PGRES_COPY_IN) return result;
    if (status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) return lose(connection_lost());
    if (!is_success(status) && !first) first = failure_of(result->get());
    if (first && first->lost) return lose(std::move(*first));
    last = std::move(*result);
  }
  if (first) return std::unexpected(std::move(*first));
  return last;
}

Outcome<void> Link::put_copy(const char* data, std::size_t size, const Limit& limit) {
  while (size > 0) {
    const auto piece = std::min(size, kCopyPiece);
    const int put = PQputCopyData(get(), data, static_cast<int>(piece));
    if (put < 0) return lose(connection_lost());
    if (put > 0) {
      data += piece;
      size -= piece;
    }
    // Kept short: what libpq has no room for it would keep in memory.
    if (auto sent = flush(limit); !sent) return sent;
  }
  while (true) {
    const int ended = PQputCopyEnd(get(), nullptr);
    if (ended < 0) return lose(connection_lost());
    if (auto sent = flush(limit); !sent) return sent;
    if (ended > 0) return {};
  }
}

}  // namespace detection::store::postgres
