#pragma once
// Reaches a host over TCP: its name looked up, then each of its addresses tried (private to this room). Everything runs
// on the thread of the io_context.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tak/network.hpp"

namespace detection::tak {

class Dialer : public std::enable_shared_from_this<Dialer> {
 public:
  /// A connected socket, or why there is none.
  using Done = std::function<void(std::optional<Socket> socket, const std::string& why_not)>;

  explicit Dialer(const std::shared_ptr<asio::io_context>& context);
  /// `timeout` is for each address. `done` is called once, unless cancelled.
  void dial(const std::string& host, std::uint16_t port, std::chrono::milliseconds timeout, Done done);
  void cancel();

 private:
  void looked_up(LookupResult found);
  void try_next_address(const std::string& why_not);
  void finish(std::optional<Socket> socket, const std::string& why_not);

  std::weak_ptr<asio::io_context> context_;
  Socket socket_;
  Timer timer_;
  std::uint16_t port_ = 0;
  std::chrono::milliseconds timeout_{};
  Done done_;
  std::vector<Address> addresses_;
  std::size_t next_address_ = 0;
};

}  // namespace detection::tak
