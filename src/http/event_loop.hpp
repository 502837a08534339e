#pragma once
// One event thread: its io_context, listeners and connections. For the server's own .cpp files.

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/intrusive/list.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "detection/uuid.hpp"
#include "http/channel.hpp"
#include "http/server.hpp"

namespace detection::http {

class TlsCredentials;

using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, Executor>;
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;
using SteadyTime = std::chrono::steady_clock::time_point;

class Connection;
using ConnectionHook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// What the threads of one server share.
struct ServerState {
  ServerLimits limits{};
  CountRefused refused{};
  telemetry::Gauge connections_gauge{};
  std::array<std::atomic<std::size_t>, 2> connections{};  ///< by Port
  std::atomic<std::size_t> large_body_bytes{0};
  std::atomic<bool> draining{false};
  std::atomic<bool> keeps_connections{true};  ///< of the API port
  std::unique_ptr<TlsCredentials> tls{};      ///< of the API port, or none

  ServerState();
  ~ServerState();
};

class EventLoop final : public Loop {
 public:
  EventLoop(ServerState& state, std::uint64_t seed);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void add_handler(Port port, std::unique_ptr<Handler> handler);
  /// Takes a bound and listening socket.
  void listen(int descriptor, bool ipv6, Port port);
  void start();
  /// Ends the streams. Any thread.
  void end_streams();
  /// Asks the thread to end by `by`.
  void stop(SteadyTime by);
  void join();

  void post(std::move_only_function<void()> task) override;

  /// When its sweep last ran.
  [[nodiscard]] SteadyTime last_turn() const noexcept {
    return SteadyTime{std::chrono::steady_clock::duration{last_turn_.load(std::memory_order_relaxed)}};
  }

  // For connections, on this thread.
  [[nodiscard]] ServerState& state() noexcept { return state_; }
  [[nodiscard]] bool stopping() const noexcept { return stopping_; }
  [[nodiscard]] std::string_view date(std::int64_t unix_s);
  [[nodiscard]] std::string mint_request_id();

 private:
  struct Listener {
    Acceptor acceptor;
    Port port;
    asio::ip::tcp::endpoint peer{};  ///< of the connection that is being accepted
  };
  using Connections = boost::intrusive::list<Connection, boost::intrusive::constant_time_size<false>,
                                             boost::intrusive::base_hook<ConnectionHook>>;

  void accept(Listener& listener);
  void accepted(Socket socket, const Listener& listener);
  void begin_stop(SteadyTime by);
  void schedule_sweep();
  void sweep();

  ServerState& state_;
  asio::io_context io_{1};
  asio::executor_work_guard<Executor> work_{io_.get_executor()};
  Timer timer_{io_};
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::array<std::unique_ptr<Handler>, 2> handlers_;  ///< by Port
  Connections connections_;
  std::chrono::milliseconds sweep_every_;
  std::atomic<std::int64_t> last_turn_;
  bool stopping_ = false;
  SteadyTime stop_by_{};
  std::int64_t date_second_ = -1;
  std::string date_;
  UuidMint mint_;
  std::thread thread_;
};

}  // namespace detection::http
