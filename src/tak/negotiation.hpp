#pragma once
// Which protocol one connection speaks (private to this room; no I/O). TAK Protocol v1: the server offers (t-x-takp-v),
// we request (t-x-takp-q), are then silent until it answers (t-x-takp-r), and speak frames if it says yes. A request is
// never made unasked.

#include <optional>
#include <string>
#include <string_view>

#include "tak/inbound.hpp"

namespace detection::tak {

class Negotiation {
 public:
  enum class State : std::uint8_t {
    kXml,
    kRequested,  ///< nothing may be sent
    kFrames,
  };
  enum class Step : std::uint8_t {
    kNothing,
    kRequest,  ///< send request(), then nothing
    kSwitch,   ///< what is sent and read from here on are frames
    kRefused,  ///< XML goes on
  };

  /// `wanted` false: offers are left alone.
  explicit Negotiation(bool wanted) : wanted_(wanted) {}

  /// To be told of every event while the peer speaks XML.
  [[nodiscard]] Step heard(const InboundEvent& event);
  /// The uid that a request has to carry.
  [[nodiscard]] const std::string& uid() const noexcept { return uid_; }
  [[nodiscard]] State state() const noexcept { return state_; }

 private:
  /// A server that refuses and offers again without an end is left alone.
  static constexpr int kRequestsMost = 3;

  const bool wanted_;
  State state_ = State::kXml;
  int requests_ = 0;
  std::string uid_;
};

}  // namespace detection::tak
