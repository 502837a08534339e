#pragma once
// What waits to be written to the reader of a stream: chunks that others may hold too, with their framing around them.
// For the server's own .cpp files.

#include <boost/asio/buffer.hpp>

#include <array>
#include <cstddef>
#include <deque>
#include <memory>
#include <span>
#include <string>

namespace detection::http {

class StreamQueue {
 public:
  using Text = std::shared_ptr<const std::string>;

  /// `chunked`: the transfer coding of HTTP/1.1; else the bytes as they are.
  explicit StreamQueue(bool chunked) : chunked_(chunked) {}

  /// Bytes outside of the coding: the head.
  void push_raw(Text text) { push(std::move(text), false); }
  void push(Text text) {
    // An empty chunk would say that the stream is over.
    if (!text->empty()) push(std::move(text), chunked_);
  }
  void push_end();

  [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
  /// With the framing.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  /// The front of the queue; good until the next push or consume.
  [[nodiscard]] std::span<const boost::asio::const_buffer> front();
  void consume(std::size_t bytes);

 private:
  static constexpr std::size_t kItemsAtOnce = 20;  ///< three buffers each, at most 64 in one system call

  struct Item {
    Text text;
    std::array<char, 18> prefix;  ///< 16 hexadecimal digits, CR LF
    std::size_t prefix_bytes = 0;
    std::size_t suffix_bytes = 0;
    [[nodiscard]] std::size_t size() const noexcept { return prefix_bytes + text->size() + suffix_bytes; }
  };

  void push(Text text, bool framed);

  const bool chunked_;
  std::deque<Item> items_;
  std::size_t bytes_ = 0;
  std::size_t front_sent_ = 0;  ///< of the first item
  std::array<boost::asio::const_buffer, 3 * kItemsAtOnce> buffers_;
};

}  // namespace detection::http
