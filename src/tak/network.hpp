#pragma once
// The Asio types of this room (private to it): concrete ones, for one thread and no type erasure.

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <chrono>

#include "tak/lookup.hpp"

namespace detection::tak {

namespace asio = boost::asio;
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;
using SystemError = boost::system::error_code;

[[nodiscard]] asio::ip::address asio_address(const Address& address);

}  // namespace detection::tak
