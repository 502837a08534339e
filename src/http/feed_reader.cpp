#include "http/feed_reader.hpp"

#include <algorithm>

namespace detection::http {

Answer feed_answer() {
  Answer answer;
  answer.content_type = "text/event-stream";
  // The last line keeps nginx from collecting the events.
  answer.headers = "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n";
  return answer;
}

template <typename Task>
void FeedLane::post(Task task) {
  loop_.post([self = shared_from_this(), task = std::move(task)]() mutable {
    if (!self->shut_.load(std::memory_order_acquire)) task();
  });
}

void FeedLane::begin(FeedReaderPtr reader, FeedText greeting) {
  post([this, reader = std::move(reader), greeting = std::move(greeting)]() mutable {
    reader->stream = &reader->exchange.begin_stream(feed_answer());
    metrics_.readers.add(1);
    reader->stream->send(std::move(greeting));
  });
}

void FeedLane::refuse(FeedReaderPtr reader, Refusal refusal) {
  // Also when the lane is shut: somebody waits for an answer.
  loop_.post([reader = std::move(reader), refusal = std::move(refusal)] { reader->exchange.refuse(refusal); });
}

void FeedLane::send(FeedReaderPtr reader, FeedText text, std::size_t events, std::function<void()> drained) {
  post([this, reader = std::move(reader), text = std::move(text), events, drained = std::move(drained)]() mutable {
    if (reader->over || reader->stream == nullptr || !reader->stream->send(std::move(text))) return;
    metrics_.events.increment(static_cast<double>(events));
    if (drained) reader->stream->when_drained(std::move(drained));
  });
}

void FeedLane::follow(FeedReaderPtr reader) {
  post([this, reader = std::move(reader)]() mutable {
    if (reader->over) return;
    reader->follows = true;
    following_.push_back(std::move(reader));
  });
}

void FeedLane::end(FeedReaderPtr reader, Refusal refusal) {
  loop_.post([reader = std::move(reader), refusal = std::move(refusal)] {
    if (reader->over) return;
    if (reader->stream != nullptr)
      reader->stream->end();
    else
      reader->exchange.refuse(refusal);
  });
}

void FeedLane::broadcast(FeedText text, std::size_t events) {
  waiting_.fetch_add(1, std::memory_order_relaxed);
  post([this, text = std::move(text), events] {
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    std::size_t given = 0;
    // Nobody leaves the list meanwhile: over() comes by a post of its own.
    for (const auto& reader : following_)
      if (reader->stream->send(text)) given += events;
    metrics_.events.increment(static_cast<double>(given));
  });
}

void FeedLane::over(FeedReader& reader) {
  reader.over = true;
  if (reader.stream == nullptr) return;
  metrics_.readers.add(-1);
  if (reader.stream->cut_off()) metrics_.cut.increment();
  reader.stream = nullptr;
  if (reader.follows) std::erase_if(following_, [&](const FeedReaderPtr& other) { return other.get() == &reader; });
}

}  // namespace detection::http
