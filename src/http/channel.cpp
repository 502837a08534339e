#include "http/channel.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace detection::http {
namespace {

/// What one TLS record holds.
constexpr std::size_t kRecordBytes = 16u << 10;

/// The bytes from `offset` on that go into one record: a piece of one buffer, or several small ones put together.
std::span<const char> next_record(std::span<const asio::const_buffer> buffers, std::size_t offset,
                                  std::array<char, kRecordBytes>& record) {
  std::size_t filled = 0;
  for (const auto& buffer : buffers) {
    if (offset >= buffer.size()) {
      offset -= buffer.size();
      continue;
    }
    const auto rest = buffer + std::exchange(offset, 0);
    if (filled == 0 && rest.size() >= kRecordBytes) return {static_cast<const char*>(rest.data()), kRecordBytes};
    const auto more = std::min(rest.size(), kRecordBytes - filled);
    std::memcpy(record.data() + filled, rest.data(), more);
    filled += more;
    if (filled == kRecordBytes) break;
  }
  return {record.data(), filled};
}

}  // namespace

std::size_t Channel::write_encrypted(std::span<const asio::const_buffer> buffers, ErrorCodeOf& error) {
  // OpenSSL copies what it takes, so that one array does for all connections of the thread.
  static thread_local std::array<char, kRecordBytes> record;
  error = {};
  const auto whole = asio::buffer_size(buffers);
  std::size_t total = 0;
  while (total < whole) {
    const auto piece = next_record(buffers, total, record);
    std::size_t sent = 0;
    const auto outcome = tls_->write(piece.data(), piece.size(), sent);
    total += sent;
    if (outcome == TlsSession::Outcome::kDone) continue;
    if (outcome != TlsSession::Outcome::kWantsWrite)
      error = asio::error::connection_reset;
    else if (total == 0)
      error = asio::error::would_block;
    break;
  }
  return total;
}

}  // namespace detection::http
