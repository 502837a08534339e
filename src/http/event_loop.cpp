#include "http/event_loop.hpp"

#include <sys/socket.h>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <ctime>

#include "http/connection.hpp"
#include "http/tls_credentials.hpp"

namespace detection::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kSweepMost{1'000}, kSweepLeast{20};
constexpr milliseconds kStopSweep{10};
/// After an accept that failed for want of descriptors: trying at once would only spin.
constexpr milliseconds kAcceptAgain{100};
/// Connections beyond the cap that are told so at once; more are closed without a word.
constexpr std::size_t kTurnedAwayMost = 256;

milliseconds sweep_period(const ServerLimits& limits) {
  const auto shortest =
      std::min({limits.header_timeout, limits.body_timeout, limits.idle_timeout, limits.write_timeout});
  return std::clamp(shortest / 4, kSweepLeast, kSweepMost);
}

ClientAddress address_of(const asio::ip::tcp::endpoint& peer) {
  const auto address = peer.address();
  return address.is_v4() ? asio::ip::make_address_v6(asio::ip::v4_mapped, address.to_v4()).to_bytes()
                         : address.to_v6().to_bytes();
}

}  // namespace

ServerState::ServerState() = default;
ServerState::~ServerState() = default;

EventLoop::EventLoop(ServerState& state, std::uint64_t seed)
    : state_(state),
      sweep_every_(sweep_period(state.limits)),
      last_turn_(steady_clock::now().time_since_epoch().count()),
      mint_(seed) {}

EventLoop::~EventLoop() {
  if (thread_.joinable()) {
    stop(steady_clock::now());
    join();
  }
  // What an answer was still owed to, and what the loop's queue still holds, dies with the io_context.
  while (!connections_.empty()) {
    const boost::intrusive_ptr<Connection> connection(&connections_.front());
    connection->close();
    connection->abandon();
    connection->unlink();
  }
}

void EventLoop::add_handler(Port port, std::unique_ptr<Handler> handler) {
  handlers_[static_cast<std::size_t>(port)] = std::move(handler);
}

void EventLoop::listen(int descriptor, bool ipv6, Port port) {
  auto listener = std::make_unique<Listener>(Listener{Acceptor(io_), port});
  listener->acceptor.assign(ipv6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(), descriptor);
  listener->acceptor.non_blocking(true);
  listeners_.push_back(std::move(listener));
}

void EventLoop::start() {
  for (const auto& listener : listeners_) accept(*listener);
  schedule_sweep();
  thread_ = std::thread([this] { io_.run(); });
}

void EventLoop::post(std::move_only_function<void()> task) {
  asio::post(io_, [task = std::move(task)]() mutable { task(); });
}

void EventLoop::stop(SteadyTime by) {
  post([this, by] { begin_stop(by); });
}

void EventLoop::join() {
  if (thread_.joinable()) thread_.join();
}

void EventLoop::accept(Listener& listener) {
  const auto done = [this, &listener](const boost::system::error_code& error, Socket socket) {
    if (!listener.acceptor.is_open()) return;
    if (error && error != asio::error::connection_aborted) {
      state_.refused("accept");
      auto again = std::make_shared<Timer>(io_, kAcceptAgain);
      again->async_wait([this, &listener, again](const boost::system::error_code&) {
        if (listener.acceptor.is_open()) accept(listener);
      });
      return;
    }
    if (!error) accepted(std::move(socket), listener);
    accept(listener);
  };
  listener.acceptor.async_accept(listener.peer, done);
}

void EventLoop::accepted(Socket socket, const Listener& listener) {
  const auto port = listener.port;
  boost::system::error_code error;
  socket.non_blocking(true, error);
  socket.set_option(asio::ip::tcp::no_delay(true), error);
  const auto open = state_.connections[static_cast<std::size_t>(port)].load(std::memory_order_relaxed);
  const auto most = port == Port::kApi ? state_.limits.connections_most : state_.limits.metrics_connections_most;
  const bool room = open < most;
  if (!room && static_cast<std::size_t>(std::ranges::distance(connections_)) > most + kTurnedAwayMost) {
    state_.refused("connections");
    return;
  }
  std::unique_ptr<TlsSession> tls;
  if (state_.tls && port == Port::kApi) {
    tls = state_.tls->open_session(socket.native_handle());
    if (!tls) return state_.refused("tls");
  }
  const boost::intrusive_ptr<Connection> connection(new Connection(
      *this, {std::move(socket), std::move(tls)}, *handlers_[static_cast<std::size_t>(port)], port, room));
  connection->peer = address_of(listener.peer);
  connections_.push_back(*connection);
  connection->start();
}

void EventLoop::end_streams() {
  post([this] {
    for (auto at = connections_.begin(); at != connections_.end();) (at++)->end();
  });
}

void EventLoop::begin_stop(SteadyTime by) {
  if (stopping_) {
    stop_by_ = std::min(stop_by_, by);
    return;
  }
  stopping_ = true;
  stop_by_ = by;
  // Who connected before we stopped listening is served.
  for (const auto& listener : listeners_) {
    boost::system::error_code error;
    while (true) {
      Socket socket(io_);
      listener->acceptor.accept(socket, listener->peer, error);
      if (error) break;
      accepted(std::move(socket), *listener);
    }
    listener->acceptor.close(error);
  }
  for (auto at = connections_.begin(); at != connections_.end();) (at++)->hurry(steady_clock::now());
  sweep_every_ = kStopSweep;
  timer_.cancel();
}

void EventLoop::schedule_sweep() {
  timer_.expires_after(sweep_every_);
  timer_.async_wait([this](const boost::system::error_code&) {
    sweep();
    if (!io_.stopped()) schedule_sweep();
  });
}

void EventLoop::sweep() {
  const auto now = steady_clock::now();
  last_turn_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  for (auto at = connections_.begin(); at != connections_.end();) (at++)->sweep(now);
  if (stopping_ && (connections_.empty() || now >= stop_by_)) io_.stop();
}

std::string_view EventLoop::date(std::int64_t unix_s) {
  if (unix_s == date_second_) return date_;
  date_second_ = unix_s;
  const std::time_t time = unix_s;
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  char text[64];
  const int length =
      std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[utc.tm_wday], utc.tm_mday,
                    kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
  date_.assign(text, static_cast<std::size_t>(length));
  return date_;
}

std::string EventLoop::mint_request_id() {
  return to_string(mint_.mint(system_now()));
}

}  // namespace detection::http
