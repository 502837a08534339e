#pragma once
// One HTTP/1.1 connection on one event thread: Asio moves the bytes, Beast's parser knows the grammar. Private to http/.

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <unordered_set>

#include "http/routes.hpp"

namespace detection::http {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using Socket = asio::basic_stream_socket<Tcp, asio::io_context::executor_type>;
using Acceptor = asio::basic_socket_acceptor<Tcp, asio::io_context::executor_type>;
using SteadyTime = std::chrono::steady_clock::time_point;

/// Counters of this thread by what they count, looked up in the registry once.
class RequestMetrics {
 public:
  explicit RequestMetrics(telemetry::Metrics& metrics) : metrics_(metrics) {}
  void count(Method method, Route route, unsigned status, double seconds);

 private:
  telemetry::Metrics& metrics_;
  std::unordered_map<std::uint32_t, telemetry::Counter> totals_;
  std::array<std::optional<telemetry::Histogram>, kRouteCount * kMethodCount> durations_;
};

class Connection;

/// What the connections of one event thread share.
struct EventThread {
  EventThread(const ServiceOptions& service_options, Routes& service_routes, const Rooms& rooms, std::uint64_t seed);

  const ServiceOptions& options;
  Routes& routes;
  telemetry::Log& log;
  asio::io_context io{1};
  RouteContext context;
  RequestMetrics request_metrics;
  telemetry::Gauge in_progress, connections_open;
  std::atomic<std::size_t>* connections_count = nullptr;  ///< of all threads
  std::unordered_set<Connection*> connections;
  UuidMint request_ids;
  bool stopping = false;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(EventThread& thread, Socket socket, bool metrics_port);
  ~Connection();

  void start();
  /// Answers 503 and closes: over the limit of connections.
  void refuse();
  /// Looked at once a sweep.
  void check_deadline(SteadyTime now);
  /// No further requests: closed now when idle, else after the answer.
  void wind_down();
  void kill();

 private:
  enum class State { kIdle, kHeader, kBody, kHandling, kWriting, kClosing };
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  void next_request();
  void read_more();
  void feed();
  bool header_complete();
  void dispatch();
  void answer(Response response);
  void fail_request(const Error& error);
  void write(Response response);
  void send_continue();
  void close_gently();
  void drain_input();

  EventThread& thread_;
  Socket socket_;
  bool metrics_port_;
  State state_ = State::kIdle;
  SteadyTime deadline_{};
  boost::beast::flat_buffer input_;
  std::optional<Parser> parser_;
  Request request_;
  std::string output_;
  SteadyTime handled_at_{};
  bool keep_alive_ = true;
  bool head_ = false;
  bool counted_ = false;
  bool too_large_ = false;
  std::size_t drained_ = 0;
};

}  // namespace detection::http
