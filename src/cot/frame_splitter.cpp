#include <algorithm>

#include "cot/frame.hpp"
#include "cot/frame_reader.hpp"
#include "cot/wire.hpp"

namespace detection::cot {

std::string_view FrameSplitter::fault_words() const noexcept {
  switch (fault_) {
    case Fault::kNone: return "";
    case Fault::kMagic: return "a frame does not start with the byte 0xbf";
    case Fault::kVarint: return "the length of a frame is no varint of at most 10 bytes";
    case Fault::kTooLong: return "a frame is longer than the limit";
  }
  return "";
}

bool FrameSplitter::stop(Fault fault) noexcept {
  fault_ = fault;
  return false;
}

/// False from a fault on.
bool FrameSplitter::take_head(unsigned char byte) noexcept {
  if (state_ == State::kLength) return take_length(byte);
  const bool space = byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
  if (state_ == State::kStart && space) return true;
  if (static_cast<char>(byte) != kFrameMagic) return stop(Fault::kMagic);
  state_ = State::kLength;
  length_ = 0;
  shift_ = 0;
  return true;
}

bool FrameSplitter::take_length(unsigned char byte) noexcept {
  constexpr unsigned int kLastShift = 7 * (kVarintBytesMost - 1);
  if (shift_ == kLastShift && byte > 1) return stop(Fault::kVarint);
  length_ |= std::uint64_t{byte & 0x7fU} << shift_;
  shift_ += 7;
  if (byte >= 0x80) return true;
  if (length_ > most_) return stop(Fault::kTooLong);
  state_ = State::kPayload;
  return true;
}

std::optional<std::string_view> FrameSplitter::next(std::string_view& bytes) {
  if (emitted_) held_.clear();
  emitted_ = false;
  while (fault_ == Fault::kNone) {
    if (state_ != State::kPayload) {
      if (bytes.empty() || !take_head(static_cast<unsigned char>(bytes.front()))) return std::nullopt;
      bytes.remove_prefix(1);
      continue;
    }
    const std::size_t wanted = length_ - held_.size();
    const auto part = bytes.substr(0, wanted);
    bytes.remove_prefix(part.size());
    if (part.size() < wanted) {
      held_.append(part);
      return std::nullopt;
    }
    state_ = State::kMagic;
    if (held_.empty()) return part;
    held_.append(part);
    emitted_ = true;
    return held_;
  }
  return std::nullopt;
}

}  // namespace detection::cot
