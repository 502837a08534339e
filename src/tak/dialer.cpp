#include "tak/dialer.hpp"

#include <algorithm>
#include <utility>

namespace detection::tak {

asio::ip::address asio_address(const Address& address) {
  if (address.v6) {
    asio::ip::address_v6::bytes_type bytes{};
    std::copy_n(address.bytes, 16, bytes.begin());
    return asio::ip::address_v6(bytes, address.scope);
  }
  asio::ip::address_v4::bytes_type bytes{};
  std::copy_n(address.bytes, 4, bytes.begin());
  return asio::ip::address_v4(bytes);
}

Dialer::Dialer(const std::shared_ptr<asio::io_context>& context)
    : context_(context), socket_(*context), timer_(*context) {}

void Dialer::dial(const std::string& host, std::uint16_t port, std::chrono::milliseconds timeout, Done done) {
  port_ = port;
  timeout_ = timeout;
  done_ = std::move(done);
  look_up(context_.lock(), host, [weak = weak_from_this()](LookupResult found) {
    if (const auto self = weak.lock()) self->looked_up(std::move(found));
  });
}

void Dialer::cancel() {
  done_ = nullptr;
  timer_.cancel();
  SystemError ignored;
  socket_.close(ignored);
}

void Dialer::looked_up(LookupResult found) {
  if (!done_) return;
  if (found.addresses.empty()) return finish(std::nullopt, found.error);
  addresses_ = std::move(found.addresses);
  try_next_address("no address");
}

void Dialer::try_next_address(const std::string& why_not) {
  if (next_address_ == addresses_.size()) return finish(std::nullopt, "cannot connect: " + why_not);
  const asio::ip::tcp::endpoint peer(asio_address(addresses_[next_address_++]), port_);
  SystemError error;
  socket_.close(error);
  socket_.open(peer.protocol(), error);
  if (error) return try_next_address(error.message());
  const std::size_t attempt = next_address_;
  timer_.expires_after(timeout_);
  timer_.async_wait([self = shared_from_this(), attempt](SystemError cancelled) {
    if (cancelled || !self->done_ || self->next_address_ != attempt) return;
    SystemError ignored;
    self->socket_.close(ignored);
    self->try_next_address("no answer within the connect time-out");
  });
  socket_.async_connect(peer, [self = shared_from_this(), attempt](SystemError failed) {
    if (!self->done_ || self->next_address_ != attempt || !self->socket_.is_open()) return;
    self->timer_.cancel();
    if (failed) return self->try_next_address(failed.message());
    // With nobody listening on a port of the ephemeral range a socket can meet itself (simultaneous open), and would
    // confirm everything to itself.
    SystemError gone;
    if (self->socket_.local_endpoint(gone) == self->socket_.remote_endpoint(gone) || gone) {
      return self->try_next_address(gone ? gone.message() : "Connection refused");
    }
    self->finish(std::move(self->socket_), {});
  });
}

void Dialer::finish(std::optional<Socket> socket, const std::string& why_not) {
  const auto done = std::exchange(done_, nullptr);
  done(std::move(socket), why_not);
}

}  // namespace detection::tak
