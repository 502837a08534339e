#include "tak/lookup.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

namespace detection::tak {
namespace {

LookupResult ask(const std::string& host, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  LookupResult result;
  if (const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); code != 0) {
    result.error = "cannot resolve '" + host + "': " + ::gai_strerror(code);
    return result;
  }
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    Address address;
    if (each->ai_family == AF_INET) {
      sockaddr_in v4{};
      std::memcpy(&v4, each->ai_addr, sizeof v4);
      std::memcpy(address.bytes, &v4.sin_addr, 4);
    } else if (each->ai_family == AF_INET6) {
      sockaddr_in6 v6{};
      std::memcpy(&v6, each->ai_addr, sizeof v6);
      std::memcpy(address.bytes, &v6.sin6_addr, 16);
      address.v6 = true;
      address.scope = v6.sin6_scope_id;
    } else {
      continue;
    }
    result.addresses.push_back(address);
  }
  ::freeaddrinfo(found);
  if (result.addresses.empty()) result.error = "'" + host + "' has no address";
  return result;
}

}  // namespace

void look_up(const std::shared_ptr<boost::asio::io_context>& context, const std::string& host,
             std::function<void(LookupResult)> done) {
  LookupResult numeric = ask(host, AI_NUMERICHOST);
  if (!numeric.addresses.empty()) {
    boost::asio::post(*context, [done = std::move(done), numeric = std::move(numeric)] { done(numeric); });
    return;
  }
  const auto give = [context](const std::function<void(LookupResult)>& to, LookupResult result) {
    boost::asio::post(*context, [to, result = std::move(result)] { to(result); });
  };
  try {
    // The thread keeps the context alive, so a late answer finds a queue that nobody runs, not freed memory.
    std::thread([host, done, give] { give(done, ask(host, 0)); }).detach();
  } catch (const std::system_error& e) {
    give(done, {.addresses = {}, .error = std::string("cannot resolve '") + host + "': no thread: " + e.what()});
  }
}

}  // namespace detection::tak
