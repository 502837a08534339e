#pragma once
// The live feed (GET /api/v1/events): one thread reads what happened from the store after each commit, writes each
// event once, and gives the same bytes to every reader through its event thread. Costs nothing while nobody reads.
//
// What a reader gets (server-sent events; the data is one line of JSON):
//   retry: 2000                    first, with a comment
//   id, event, data                event: detection | delivery | verification (feed_text.hpp), id: a cursor of the
//   store id, event: gap                 data: {"reason":"pruned"}: what lay behind its Last-Event-ID is gone;
//   "unknown": that
//                                  is of another store, or of the future of one that was put back to an earlier state.
//                                  Then the live events. Its id is good to resume from.
//   event: end                     data: {"reason":"the token has expired"}: the last one, when its credential has
//   ended : heartbeat                    when there is nothing else to say
// With a Last-Event-ID: everything behind that event, then the live events, without a gap and without an event twice
// (a second time only if it leaves just while it joins the live events and events of two writers crossed there).
// Without one: the live events, maybe from a moment before the request.
// An id that is no cursor: 422 on Last-Event-ID. More than readers_most: 503. A stream ends when the store cannot be
// read for a reader that still catches up; who is cut off or ended comes again with its Last-Event-ID.

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

#include "detection/error.hpp"
#include "http/exchange.hpp"
#include "store/store.hpp"
#include "telemetry/metrics.hpp"

namespace detection::http {

/// Whether who was let in may stay; see Authority. Called on the hub's thread.
struct FeedAccess {
  std::function<std::uint64_t()> epoch{};
  std::function<Result<UtcMicros>(const security::Principal&, UtcMicros now)> good_until{};
};

struct FeedSettings {
  std::chrono::milliseconds heartbeat{15'000};
  std::size_t readers_most = 256;
  std::size_t readers_of_subject_most = 32;  ///< so that one cannot take all places; 429 for further ones
  FeedAccess access{};                       ///< without it nobody's credential is looked at again
};

class FeedHub {
 public:
  FeedHub(store::Store& store, telemetry::Metrics& metrics, FeedSettings settings);
  ~FeedHub();
  FeedHub(const FeedHub&) = delete;
  FeedHub& operator=(const FeedHub&) = delete;

  /// Who subscribes before is served from here on.
  void start();
  /// Ends every stream; no event reaches a reader afterwards. Before the loops go. Idempotent.
  void stop();

  /// On the loop's thread: takes over the exchange, which becomes a stream or a refusal. A Last-Event-ID resumes behind
  /// that event, an unknown one is 422 on Last-Event-ID; none begins with what happens from now on. The stream ends
  /// within a second after FeedAccess knows that the credential has.
  void subscribe(Exchange& exchange, Loop& loop);
  /// From Handler::stream_over, on the same thread.
  void over(Exchange& exchange);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detection::http
