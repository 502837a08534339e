#pragma once
// The bytes of one connected socket, plain or through TLS (private to this room). Everything runs on the thread of the
// io_context. One write and one read at a time; what is called back keeps its owner alive by itself. After close()
// a callback in wait may be called once more, with a failure, or be dropped.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tak/network.hpp"

namespace detection::tak {

class TlsContext;

/// Whole events on their way out.
struct Outgoing {
  std::string bytes;
  std::vector<std::size_t> ends;  ///< where each event ends in `bytes`, ascending; the last is bytes.size()
};

class Stream {
 public:
  /// What went wrong in words; empty: nothing.
  using Opened = std::function<void(const std::string& failure)>;
  using Wrote = std::function<void(const std::string& failure, std::size_t bytes)>;
  using Read = std::function<void(const std::string& failure, std::string_view bytes)>;

  virtual ~Stream() = default;
  /// First of all; data may flow after it.
  virtual void open(Opened done) = 0;
  /// Writes some of the queue, from byte `skip` of its front on, and says how many bytes of it the kernel took. A write
  /// (of TLS: a record) begins and ends between events, unless the kernel took only a part or an event is too long for
  /// a record. `queue` stays until done; what is behind its end then may have been added.
  virtual void write(const std::deque<Outgoing>& queue, std::size_t skip, Wrote done) = 0;
  /// The next bytes from the peer; "closed by the peer" at its end. Valid until the next read.
  virtual void read(Read done) = 0;
  /// Nothing more will be written.
  virtual void say_goodbye() = 0;
  virtual void close() = 0;
  [[nodiscard]] virtual int descriptor() = 0;
};

inline constexpr std::size_t kReadBytes = 64u << 10;
inline constexpr std::string_view kClosedByPeer = "closed by the peer";

[[nodiscard]] std::shared_ptr<Stream> make_plain_stream(Socket socket);
[[nodiscard]] std::shared_ptr<Stream> make_tls_stream(Socket socket, std::shared_ptr<const TlsContext> context);

}  // namespace detection::tak
