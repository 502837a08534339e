#pragma once
// What a sink is given to deliver.

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cot/wire_format.hpp"
#include "detection/time.hpp"

namespace detection::tak {

/// Events that are delivered, and confirmed, together. They are encoded when they leave, in the form that the
/// connection then speaks and with the times of that moment; after a lost connection maybe once more.
class EventBatch {
 public:
  virtual ~EventBatch() = default;
  /// At least 1.
  [[nodiscard]] virtual std::size_t size() const noexcept = 0;
  /// Appends one event, whole and nothing else. Called on the sink's thread, in order.
  virtual void append(std::size_t index, cot::WireFormat format, UtcMicros now, std::string& out) const = 0;
  /// After this moment nothing of it may leave: the connection ends instead, for kTooLate. None: no limit.
  [[nodiscard]] virtual std::optional<std::chrono::steady_clock::time_point> good_until() const noexcept {
    return std::nullopt;
  }
};

}  // namespace detection::tak
