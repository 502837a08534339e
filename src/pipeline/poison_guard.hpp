#pragma once
// Finds the event that a server cannot bear: one that ends the connection each time it comes. Pure: it is told what
// became of connections and says how to go on.
//
// A server that restarts, or a line that is cut, ends connections too, and must cost no event. So nothing is concluded
// from a lost batch but to be careful: one event at a time, and on each connection none before the server has answered
// a ping on it (or is one that never answers), which shows that it serves. An event that alone ended kStrikes such
// connections in a row is set aside, and others are tried. When one of these arrives, the server takes events: what was
// set aside has one more try, and only what then ends the connection again is given up. When kAsideMost are set aside
// and none arrived, it is the server: all are due again, and it begins anew. Only where there is no other event to try
// a single one is given up without that.

#include <cstddef>
#include <cstdint>
#include <set>

namespace detection::pipeline {

class PoisonGuard {
 public:
  static constexpr int kLossesUntilCareful = 3;
  static constexpr int kStrikes = 5;
  static constexpr std::size_t kAsideMost = 4;

  enum class Verdict : std::uint8_t {
    kGoOn,
    kSetAside,  ///< the event that was alone in flight
    kGiveUp,    ///< that event, or (nothing_else) the one that is set aside: it is dead
    kTryAgain,  ///< all that is set aside is due again
  };
  /// A connection that had come up ended.
  struct Loss {
    std::int64_t head = 0;       ///< sequence of the first event of the oldest batch in flight
    std::size_t events = 0;      ///< in flight in all; 0: none, which says nothing
    bool server_served = false;  ///< it answered a ping on that connection before the event went out, or never does
  };
  [[nodiscard]] Verdict lost(const Loss& loss);

  /// So many events arrived together: kGoOn or kTryAgain.
  [[nodiscard]] Verdict arrived(std::size_t events);
  /// Nothing else is due to try the server with: kGoOn where nothing is set aside, kGiveUp of a single one, kTryAgain.
  [[nodiscard]] Verdict nothing_else();

  /// One batch at a time, and none before the server has shown that it serves.
  [[nodiscard]] bool careful() const noexcept { return at_once_ != 0; }
  /// How many events a batch may have; `full` when not careful.
  [[nodiscard]] std::size_t at_once(std::size_t full) const noexcept;

 private:
  std::int64_t head_ = 0;    ///< of the last loss
  int losses_ = 0;           ///< of batches with that head, one after the other
  std::size_t at_once_ = 0;  ///< 0: not careful
  std::int64_t suspect_ = 0;
  int strikes_ = 0;
  std::size_t aside_ = 0;
  std::set<std::int64_t> struck_out_;  ///< since careful
  bool trial_ = false;                 ///< something arrived since: the next of these that fails is given up
};

}  // namespace detection::pipeline
