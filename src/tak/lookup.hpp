#pragma once
// Host name to addresses without holding up the sink (private to this room).

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace detection::tak {

struct Address {
  bool v6 = false;
  std::uint8_t bytes[16] = {};  ///< network order; the first 4 of v4
  std::uint32_t scope = 0;
};

struct LookupResult {
  std::vector<Address> addresses;  ///< in the resolver's order; empty: see error
  std::string error;
};

/// Calls done() on the context's thread, at once (posted) for a numeric address. getaddrinfo cannot be cancelled and
/// may take tens of seconds without a name server, so it runs on a thread of its own, which may outlive the caller:
/// then done() is never called. Capture only what may be destroyed on any thread.
void look_up(const std::shared_ptr<boost::asio::io_context>& context, const std::string& host,
             std::function<void(LookupResult)> done);

}  // namespace detection::tak
