#pragma once
// A claim as the sink sends it: encoded when it leaves.

#include <cstdint>
#include <utility>
#include <vector>

#include "cot/event.hpp"
#include "pipeline/selection.hpp"
#include "store/store.hpp"
#include "tak/batch.hpp"

namespace detection::pipeline {

/// The one place where an event of the outbox becomes bytes. Its stale time counts from `now`, so that what waited long
/// shows on the map all the same; its start says when the thing was seen.
void append_event(const store::OutboxItem& item, cot::WireFormat format, UtcMicros now,
                  const cot::EventOptions& options, std::string& out);

/// Immutable; any thread.
class ClaimedEvents final : public tak::EventBatch {
 public:
  ClaimedEvents(store::Claim claim, Selection selection, const cot::EventOptions& options)
      : claim_(std::move(claim)), selection_(std::move(selection)), options_(options) {}

  [[nodiscard]] std::size_t size() const noexcept override { return selection_.sent.size(); }
  void append(std::size_t index, cot::WireFormat format, UtcMicros now, std::string& out) const override {
    append_event(item(index), format, now, options_, out);
  }

  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> good_until() const noexcept override {
    return claim_.good_until;
  }

  [[nodiscard]] const store::OutboxItem& item(std::size_t index) const { return claim_.items[selection_.sent[index]]; }
  [[nodiscard]] const store::Claim& claim() const noexcept { return claim_; }
  [[nodiscard]] const std::vector<store::Omission>& omitted() const noexcept { return selection_.omitted; }

 private:
  const store::Claim claim_;
  const Selection selection_;
  const cot::EventOptions options_;
};

}  // namespace detection::pipeline
