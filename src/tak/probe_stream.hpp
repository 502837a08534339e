#pragma once
// A TCP connection with deadlines, over TLS or not (private to this room).

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "detection/error.hpp"
#include "tak/tls_context.hpp"

namespace detection::tak {

using ProbeDeadline = std::chrono::steady_clock::time_point;

/// Numeric addresses as text, in the resolver's order. A name server that does not answer is waited for until then.
[[nodiscard]] Result<std::vector<std::string>> resolve(const std::string& host, ProbeDeadline deadline);

class ProbeStream {
 public:
  /// To a numeric address.
  [[nodiscard]] static Result<std::unique_ptr<ProbeStream>> connect(const std::string& address, std::uint16_t port,
                                                                    ProbeDeadline deadline);
  ~ProbeStream();
  ProbeStream(const ProbeStream&) = delete;
  ProbeStream& operator=(const ProbeStream&) = delete;

  /// The error is TlsContext::explain's.
  [[nodiscard]] Result<void> start_tls(const TlsContext& context, ProbeDeadline deadline);
  [[nodiscard]] const ssl_st* ssl() const { return ssl_; }
  [[nodiscard]] Result<void> write(std::string_view bytes, ProbeDeadline deadline);

  enum class ReadState : std::uint8_t { kBytes, kTimeout, kEnded };
  struct ReadResult {
    ReadState state = ReadState::kEnded;
    std::string text;  ///< the bytes; of an end: why, in words
  };
  [[nodiscard]] ReadResult read(ProbeDeadline deadline);

 private:
  explicit ProbeStream(int descriptor) : descriptor_(descriptor) {}
  [[nodiscard]] bool wait(short events, ProbeDeadline deadline) const;
  [[nodiscard]] bool wait_for_tls(int result, ProbeDeadline deadline, bool& failed) const;

  int descriptor_;
  ssl_st* ssl_ = nullptr;
};

}  // namespace detection::tak
