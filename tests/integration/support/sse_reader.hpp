#pragma once
// A reader of server-sent events over loopback (WHATWG HTML, section 9.2), on the calling thread.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace detection::integration {

struct SseEvent {
  std::string id, event, data;
};

class SseReader {
 public:
  /// Connects and asks; status() is 0 when nothing answered.
  SseReader(std::uint16_t port, std::string_view token, std::string_view last_event_id = {});
  ~SseReader();
  SseReader(const SseReader&) = delete;
  SseReader& operator=(const SseReader&) = delete;

  [[nodiscard]] int status() const noexcept { return status_; }
  /// The next event; comments are counted and passed over. Nothing after `most`, or at the end.
  [[nodiscard]] std::optional<SseEvent> next(std::chrono::milliseconds most);
  [[nodiscard]] std::size_t comments() const noexcept { return comments_; }
  [[nodiscard]] bool ended() const noexcept { return ended_; }

 private:
  [[nodiscard]] bool receive(std::chrono::milliseconds most);
  void take_chunks();

  int fd_ = -1;
  int status_ = 0;
  std::size_t comments_ = 0;
  bool ended_ = false;
  std::string raw_;   ///< as it came, behind the head
  std::string text_;  ///< without the chunks' frames
};

}  // namespace detection::integration
