#include "http/service.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/steady_timer.hpp>
#include <charconv>
#include <random>
#include <thread>

#include "http/connection.hpp"

namespace detection::http {
namespace {

using boost::system::error_code;

constexpr std::chrono::milliseconds kSweepMost{1000};
constexpr int kBacklog = 1024;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                                         asio::io_context::executor_type>;

Error cannot_listen(const Endpoint& endpoint, const error_code& problem) {
  return {ErrorCode::kConfiguration,
          "cannot listen on " + endpoint.address + ":" + std::to_string(endpoint.port) + ": " + problem.message(), {}};
}

Result<Acceptor> open_acceptor(asio::io_context& io, const Endpoint& endpoint, bool shared) {
  error_code problem;
  const auto address = asio::ip::make_address(endpoint.address, problem);
  if (problem) return std::unexpected(cannot_listen(endpoint, problem));
  Acceptor acceptor(io);
  const Tcp::endpoint at(address, endpoint.port);
  if (acceptor.open(at.protocol(), problem); problem) return std::unexpected(cannot_listen(endpoint, problem));
  acceptor.set_option(Tcp::acceptor::reuse_address(true), problem);
  if (shared) {
    const asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT> reuse_port(true);
    acceptor.set_option(reuse_port, problem);
  }
  if (acceptor.bind(at, problem); problem) return std::unexpected(cannot_listen(endpoint, problem));
  if (acceptor.listen(kBacklog, problem); problem) return std::unexpected(cannot_listen(endpoint, problem));
  acceptor.non_blocking(true, problem);
  return acceptor;
}

class AsioService final : public Service {
 public:
  AsioService(ServiceOptions options, Rooms rooms)
      : options_(std::move(options)), rooms_(std::move(rooms)), routes_(options_, rooms_) {}
  ~AsioService() override { stop(std::chrono::milliseconds{0}); }

  Result<void> start() override {
    std::random_device random;
    for (unsigned i = 0; i < options_.threads; ++i) {
      auto worker = std::make_unique<Worker>(options_, routes_, rooms_, std::uint64_t{random()} << 32 | random());
      worker->thread.connections_count = &connections_;
      workers_.push_back(std::move(worker));
    }
    api_ = options_.api;
    metrics_ = options_.metrics;
    {
      // SO_REUSEPORT would silently share the port with another process of ours: ask alone first.
      auto alone = open_acceptor(workers_.front()->thread.io, api_, false);
      if (!alone) return std::unexpected(alone.error());
      api_.port = alone->local_endpoint().port();
    }
    for (auto& worker : workers_) {
      auto acceptor = open_acceptor(worker->thread.io, api_, true);
      if (!acceptor) return std::unexpected(acceptor.error());
      worker->acceptors.push_back(std::move(*acceptor));
    }
    auto acceptor = open_acceptor(workers_.front()->thread.io, metrics_, false);
    if (!acceptor) return std::unexpected(acceptor.error());
    metrics_.port = acceptor->local_endpoint().port();
    workers_.front()->acceptors.push_back(std::move(*acceptor));
    for (auto& worker : workers_) worker->run(options_.connections_most);
    return {};
  }

  Endpoint api_endpoint() const override { return api_; }
  Endpoint metrics_endpoint() const override { return metrics_; }
  void begin_drain() override { routes_.begin_drain(); }

  void stop(std::chrono::milliseconds grace) override {
    const auto by = std::chrono::steady_clock::now() + grace;
    for (auto& worker : workers_) worker->wind_down(by);
    for (auto& worker : workers_) worker->join();
    routes_.stop();
    workers_.clear();
  }

 private:
  struct Worker {
    Worker(const ServiceOptions& options, Routes& routes, const Rooms& rooms, std::uint64_t seed)
        : thread(options, routes, rooms, seed), sweep(thread.io) {}

    void run(std::size_t connections_most) {
      most = connections_most;
      sweep_every = std::min({kSweepMost, thread.options.header_timeout / 2, thread.options.body_timeout / 2,
                              thread.options.idle_timeout / 2, thread.options.write_timeout / 2});
      for (std::size_t i = 0; i < acceptors.size(); ++i) accept(i);
      arm_sweep();
      runner = std::thread([this] { thread.io.run(); });
    }

    void accept(std::size_t index) {
      acceptors[index].async_accept(thread.io, [this, index](error_code problem, Socket socket) {
        if (problem == asio::error::operation_aborted) return;
        if (!problem) begin(std::move(socket), index);
        accept(index);
      });
    }

    void begin(Socket socket, std::size_t index) {
      auto connection = std::make_shared<Connection>(thread, std::move(socket), index > 0);
      if (thread.connections_count->load() > most)
        connection->refuse();
      else
        connection->start();
    }

    void arm_sweep() {
      sweep.expires_after(sweep_every);
      sweep.async_wait([this](error_code problem) {
        if (problem) return;
        const auto now = std::chrono::steady_clock::now();
        const std::vector<Connection*> all(thread.connections.begin(), thread.connections.end());
        for (auto* connection : all)
          if (thread.connections.contains(connection)) connection->check_deadline(now);
        if (thread.stopping && (thread.connections.empty() || now >= stop_by)) return thread.io.stop();
        arm_sweep();
      });
    }

    void wind_down(SteadyTime by) {
      if (!runner.joinable()) return;
      asio::post(thread.io, [this, by] {
        stop_by = by;
        for (std::size_t i = 0; i < acceptors.size(); ++i) {
          // Who is in the backlog was promised an answer by the kernel's handshake.
          error_code problem;
          while (true) {
            Socket socket(thread.io);
            acceptors[i].accept(socket, problem);
            if (problem) break;
            begin(std::move(socket), i);
          }
          acceptors[i].close(problem);
        }
        thread.stopping = true;
        const std::vector<Connection*> all(thread.connections.begin(), thread.connections.end());
        for (auto* connection : all)
          if (thread.connections.contains(connection)) connection->wind_down();
        sweep_every = std::chrono::milliseconds{20};
        sweep.cancel();
        arm_sweep();
      });
    }

    void join() {
      if (runner.joinable()) runner.join();
    }

    EventThread thread;
    std::vector<Acceptor> acceptors;
    Timer sweep;
    std::chrono::milliseconds sweep_every{1000};
    SteadyTime stop_by{};
    std::size_t most = 0;
    std::thread runner;
  };

  const ServiceOptions options_;
  const Rooms rooms_;
  Routes routes_;
  std::atomic<std::size_t> connections_{0};
  std::vector<std::unique_ptr<Worker>> workers_;
  Endpoint api_, metrics_;
};

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return fail(ErrorCode::kConfiguration, "must be ADDRESS:PORT, as 127.0.0.1:8000 or [::1]:8000: " + std::string(why));
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong("the port is missing");
  Endpoint endpoint;
  auto address = text.substr(0, colon);
  if (address.starts_with('[') && address.ends_with(']'))
    address = address.substr(1, address.size() - 2);
  else if (address.find(':') != std::string_view::npos)
    return wrong("an IPv6 address stands in brackets");
  endpoint.address = address.empty() ? "0.0.0.0" : std::string(address);
  const auto digits = text.substr(colon + 1);
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
  if (problem != std::errc{} || end != digits.data() + digits.size()) return wrong("the port is a number from 0 to 65535");
  error_code unreadable;
  (void)asio::ip::make_address(endpoint.address, unreadable);
  if (unreadable) return wrong("the address is not an IP address");
  return endpoint;
}

std::unique_ptr<Service> make_service(const ServiceOptions& options, const Rooms& rooms) {
  return std::make_unique<AsioService>(options, rooms);
}

}  // namespace detection::http
