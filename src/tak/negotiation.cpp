#include "tak/negotiation.hpp"

#include <algorithm>

#include "cot/negotiation.hpp"

namespace detection::tak {

Negotiation::Step Negotiation::heard(const InboundEvent& event) {
  if (state_ == State::kXml && event.type == "t-x-takp-v") {
    if (!wanted_ || requests_ >= kRequestsMost) return Step::kNothing;
    const auto offer = cot::read_protocol_offer(event.text);
    if (!offer || std::ranges::find(offer->versions, cot::kProtocolVersion) == offer->versions.end())
      return Step::kNothing;
    uid_ = offer->uid;
    ++requests_;
    state_ = State::kRequested;
    return Step::kRequest;
  }
  if (state_ == State::kRequested && event.type == "t-x-takp-r") {
    const auto response = cot::read_protocol_response(event.text);
    // That of another transaction is none.
    if (!response || response->uid != uid_) return Step::kNothing;
    state_ = response->accepted ? State::kFrames : State::kXml;
    return response->accepted ? Step::kSwitch : Step::kRefused;
  }
  return Step::kNothing;
}

}  // namespace detection::tak
