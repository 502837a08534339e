#include "http/stream_queue.hpp"

#include <algorithm>
#include <charconv>

namespace detection::http {
namespace {

constexpr char kLineEnd[] = {'\r', '\n'};

}  // namespace

void StreamQueue::push(Text text, bool framed) {
  auto& item = items_.emplace_back();
  if (framed) {
    char* const begin = item.prefix.data();
    char* end = std::to_chars(begin, begin + 16, text->size(), 16).ptr;
    end = std::copy(std::begin(kLineEnd), std::end(kLineEnd), end);
    item.prefix_bytes = static_cast<std::size_t>(end - begin);
    item.suffix_bytes = sizeof kLineEnd;
  }
  item.text = std::move(text);
  bytes_ += item.size();
}

void StreamQueue::push_end() {
  static const Text kLastChunk = std::make_shared<const std::string>("0\r\n\r\n");
  if (chunked_) push(kLastChunk, false);
}

std::span<const boost::asio::const_buffer> StreamQueue::front() {
  std::size_t count = 0;
  auto skip = front_sent_;
  const auto add = [&](const char* data, std::size_t size) {
    const auto skipped = std::min(skip, size);
    skip -= skipped;
    if (size > skipped) buffers_[count++] = {data + skipped, size - skipped};
  };
  const auto items = std::min(items_.size(), kItemsAtOnce);
  for (std::size_t i = 0; i < items; ++i) {
    const auto& item = items_[i];
    add(item.prefix.data(), item.prefix_bytes);
    add(item.text->data(), item.text->size());
    add(kLineEnd, item.suffix_bytes);
  }
  return {buffers_.data(), count};
}

void StreamQueue::consume(std::size_t bytes) {
  bytes_ -= bytes;
  front_sent_ += bytes;
  while (!items_.empty() && front_sent_ >= items_.front().size()) {
    front_sent_ -= items_.front().size();
    items_.pop_front();
  }
}

}  // namespace detection::http
