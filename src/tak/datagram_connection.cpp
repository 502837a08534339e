#include <arpa/inet.h>
#include <net/if.h>

#include <algorithm>
#include <boost/asio/basic_datagram_socket.hpp>
#include <boost/asio/ip/multicast.hpp>
#include <boost/asio/post.hpp>
#include <deque>
#include <optional>
#include <utility>

#include "tak/connection.hpp"
#include "tak/network.hpp"

namespace detection::tak {
namespace {

using asio::ip::udp;

/// Of UDP over IPv4; more never leaves.
constexpr std::size_t kDatagramBytesMost = 65'507;

class DatagramConnection final : public Connection, public std::enable_shared_from_this<DatagramConnection> {
 public:
  DatagramConnection(const std::shared_ptr<asio::io_context>& context, const SinkOptions& options, Meter& meter,
                     ConnectionOwner& owner)
      : context_(context), options_(options), meter_(meter), owner_(owner), socket_(*context) {}

  void open() override {
    look_up(context_.lock(), options_.address.host, [weak = weak_from_this()](LookupResult found) {
      if (const auto self = weak.lock(); self && !self->closed_) self->looked_up(found);
    });
  }

  void send(std::optional<BatchNumber> number, std::shared_ptr<const EventBatch> batch) override {
    if (closed_) return;
    queue_.push_back({number, std::move(batch), 0});
    if (queue_.size() == 1) write();
  }

  /// Nothing is in flight longer than a moment.
  void close(std::chrono::milliseconds /*linger*/) override { end("stopped"); }

 private:
  struct Outgoing {
    std::optional<BatchNumber> number;
    std::shared_ptr<const EventBatch> batch;
    std::size_t next;
  };

  void looked_up(const LookupResult& found) {
    if (found.addresses.empty()) return end(found.error);
    std::string why_not;
    for (const auto& address : found.addresses) {
      why_not = connect_to({asio_address(address), options_.address.port});
      if (why_not.empty()) break;
    }
    if (!why_not.empty()) return end("cannot connect: " + why_not);
    meter_.speaks_frames = options_.protocol == ProtocolChoice::kProtobuf;
    owner_.connected();
  }

  /// Connected, so that an unreachable host or port is said by the next send.
  std::string connect_to(const udp::endpoint& peer) {
    SystemError error;
    socket_.close(error);
    socket_.open(peer.protocol(), error);
    if (error) return error.message();
    if (peer.address().is_multicast()) {
      if (auto wrong = choose_interface(peer.address().is_v6()); !wrong.empty()) return wrong;
      socket_.set_option(asio::ip::multicast::hops(options_.multicast_ttl), error);
      if (error) return "multicast TTL: " + error.message();
      // Another program on this machine may listen to the group.
      socket_.set_option(asio::ip::multicast::enable_loopback(true), error);
    } else {
      socket_.set_option(asio::socket_base::broadcast(true), error);
    }
    socket_.connect(peer, error);
    if (error) return error.message();
    socket_.non_blocking(true, error);
    return error ? error.message() : std::string{};
  }

  std::string choose_interface(bool v6) {
    if (options_.interface.empty()) return {};
    SystemError error, is_name;
    const unsigned index = if_nametoindex(options_.interface.c_str());
    if (v6) {
      if (index == 0) return "there is no interface '" + options_.interface + "'";
      socket_.set_option(asio::ip::multicast::outbound_interface(index), error);
    } else if (const auto address = asio::ip::make_address_v4(options_.interface, is_name); !is_name) {
      socket_.set_option(asio::ip::multicast::outbound_interface(address), error);
    } else {
      if (index == 0) return "there is no interface '" + options_.interface + "'";
      ip_mreqn request{};
      request.imr_ifindex = static_cast<int>(index);
      if (::setsockopt(socket_.native_handle(), IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request) != 0)
        error.assign(errno, boost::system::system_category());
    }
    return error ? "interface '" + options_.interface + "': " + error.message() : std::string{};
  }

  void write() {
    while (!queue_.empty() && !closed_) {
      auto& [number, batch, next] = queue_.front();
      const UtcMicros now = system_now();
      const auto format =
          options_.protocol == ProtocolChoice::kProtobuf ? cot::WireFormat::kDatagram : cot::WireFormat::kXml;
      const auto good_until = batch->good_until();
      for (; next < batch->size(); ++next) {
        if (good_until && std::chrono::steady_clock::now() >= *good_until) return end(kTooLate);
        datagram_.clear();
        batch->append(next, format, now, datagram_);
        if (datagram_.empty()) {
          if (number) owner_.refused(*number, next, kNothingMade);
          continue;
        }
        SystemError error;
        if (datagram_.size() <= kDatagramBytesMost) socket_.send(asio::buffer(datagram_), 0, error);
        if (error == asio::error::would_block) return write_later();
        if (datagram_.size() > kDatagramBytesMost || error == asio::error::message_size) {
          if (number) owner_.refused(*number, next, "longer than a datagram may be");
          continue;
        }
        if (error) return end("send failed: " + error.message());
        meter_.bytes_sent += datagram_.size();
      }
      const auto sent = std::exchange(number, std::nullopt);
      queue_.pop_front();
      if (!sent) continue;
      owner_.delivered(*sent, Delivery::kSentUnconfirmed);
      owner_.delivered_all_known();
    }
  }

  void write_later() {
    socket_.async_wait(asio::socket_base::wait_write, [self = shared_from_this()](SystemError error) {
      if (self->closed_) return;
      if (error) return self->end("send failed: " + error.message());
      self->write();
    });
  }

  void end(std::string_view reason) {
    if (std::exchange(closed_, true)) return;
    SystemError ignored;
    socket_.close(ignored);
    const std::string text(reason);
    owner_.ended(text);
  }

  std::weak_ptr<asio::io_context> context_;
  const SinkOptions& options_;
  Meter& meter_;
  ConnectionOwner& owner_;
  asio::basic_datagram_socket<udp, Executor> socket_;
  std::deque<Outgoing> queue_;
  std::string datagram_;
  bool closed_ = false;
};

}  // namespace

std::shared_ptr<Connection> make_datagram_connection(const std::shared_ptr<asio::io_context>& context,
                                                     const SinkOptions& options, Meter& meter, ConnectionOwner& owner) {
  return std::make_shared<DatagramConnection>(context, options, meter, owner);
}

}  // namespace detection::tak
