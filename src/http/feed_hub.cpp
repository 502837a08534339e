#include "http/feed_hub.hpp"

#include <algorithm>

#include "http/feed_hub_impl.hpp"

namespace detection::http {
namespace {

using std::chrono::milliseconds;
using Clock = FeedClock;

/// Commits come by the hundred a second; what they brought is read together.
constexpr milliseconds kTailEvery{100};
/// When the last look did not get to the end.
constexpr milliseconds kTailAgain{20};
/// Without being told: other processes write into the store too.
constexpr milliseconds kTailAnyway{500};
constexpr milliseconds kAfterFailure{1'000};
/// How often credentials are looked at again; two comparisons a reader where nothing has changed.
constexpr milliseconds kAccessEvery{500};
constexpr std::size_t kTailEvents = 500;
/// Of one loop. While it does not turn, there is no use in more.
constexpr int kWaitingMost = 4;

}  // namespace

void FeedHub::Impl::start() {
  store_.on_commit([bell = bell_] { bell->on_commit(); });
  thread_ = std::thread([this] { run(); });
}

void FeedHub::Impl::stop() {
  {
    const std::scoped_lock lock(mutex_);
    if (std::exchange(stopped_, true)) return;
  }
  {
    const std::scoped_lock lock(bell_->mutex);
    bell_->stopping = true;
  }
  bell_->listening.store(false);
  bell_->rings.notify_one();
  if (thread_.joinable()) thread_.join();
  const std::scoped_lock lock(mutex_);
  for (const auto& [loop, lane] : lanes_) lane->shut();
  for (const auto& [x, reader] : readers_) reader->lane->end(reader, feed_unavailable("the service is stopping"));
}

void FeedHub::Impl::subscribe(Exchange& x, Loop& loop) {
  if (x.head.method == Method::kHead) {
    static_cast<void>(x.begin_stream(feed_answer()));
    return;
  }
  auto reader = admit(x, loop);
  if (!reader) return x.refuse(reader.error());
  x.defer();
  tell({Note::Kind::kNew, std::move(*reader)});
}

std::expected<FeedReaderPtr, Refusal> FeedHub::Impl::admit(Exchange& x, Loop& loop) {
  const std::scoped_lock lock(mutex_);
  if (stopped_ || readers_.size() >= settings_.readers_most)
    return std::unexpected(feed_unavailable("the live feed has as many readers as it takes"));
  const auto* principal = x.notes.principal.get();
  const auto of_subject = std::ranges::count_if(readers_, [&](const auto& other) {
    return principal != nullptr && other.second->principal && other.second->principal->subject == principal->subject;
  });
  if (static_cast<std::size_t>(of_subject) >= settings_.readers_of_subject_most)
    return std::unexpected(
        Refusal{{ErrorCode::kRateLimited,
                 "this subject reads the live feed " + std::to_string(of_subject) + " times already, the most"},
                "Retry-After: 2\r\n"});
  auto& lane = lanes_[&loop];
  if (!lane) lane = std::make_shared<FeedLane>(loop, metrics_);
  return readers_.emplace(&x, std::make_shared<FeedReader>(x, lane)).first->second;
}

void FeedHub::Impl::over(Exchange& x) {
  FeedReaderPtr reader;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = readers_.find(&x);
    if (found == readers_.end()) return;
    reader = std::move(found->second);
    readers_.erase(found);
  }
  reader->lane->over(*reader);
  tell({Note::Kind::kGone, std::move(reader)});
}

void FeedHub::Impl::tell(Note note) {
  {
    const std::scoped_lock lock(mutex_);
    notes_.push_back(std::move(note));
  }
  {
    const std::scoped_lock lock(bell_->mutex);
    bell_->called = true;
  }
  bell_->rings.notify_one();
}

void FeedHub::Impl::run() {
  while (wait()) {
    std::vector<Note> notes;
    {
      const std::scoped_lock lock(mutex_);
      notes.swap(notes_);
    }
    for (auto& note : notes) take(note);
    turn();
  }
}

/// Until there is something to do; false at the end.
bool FeedHub::Impl::wait() {
  std::unique_lock lock(bell_->mutex);
  const auto due = [this] {
    return bell_->stopping || bell_->called || (bell_->committed && Clock::now() >= next_tail_);
  };
  if (ready_.empty()) {
    if (!tailing_) {
      bell_->rings.wait(lock, [this] { return bell_->stopping || bell_->called; });
    } else {
      auto until = std::min({next_heartbeat_, next_access_, std::max(next_anyway_, next_tail_)});
      if (bell_->committed || behind_ || !parked_.empty()) until = std::min(until, next_tail_);
      // A commit before that only makes the wait shorter.
      while (!due() && Clock::now() < until) {
        bell_->rings.wait_until(lock, until);
        if (bell_->committed) until = std::min(until, std::max(next_tail_, Clock::now()));
      }
    }
  }
  bell_->called = false;
  return !bell_->stopping;
}

void FeedHub::Impl::take(Note& note) {
  auto& reader = note.reader;
  switch (note.kind) {
    case Note::Kind::kNew:
      ++readers_here_;
      reader->here = true;
      if (begin_tail())
        ready_.push_back(std::move(reader));
      else
        give_up(reader, {ErrorCode::kStoreUnavailable, "the store cannot be read"});
      break;
    case Note::Kind::kDrained:
      if (!reader->gone) ready_.push_back(std::move(reader));
      break;
    case Note::Kind::kGone:
      reader->gone = true;
      if (reader->live) --reader->lane->followers;
      --readers_here_;
      break;
  }
  if (readers_here_ == 0) end_tail();
}

/// One piece of everything that is to be done.
void FeedHub::Impl::turn() {
  if (!tailing_) return;
  const auto now = Clock::now();
  check_access(now);  // before anything more is given
  if (!tailing_) return;
  bool look = behind_ || !parked_.empty() || now >= next_anyway_;
  {
    const std::scoped_lock lock(bell_->mutex);
    look = (look || bell_->committed) && now >= next_tail_;
    if (look) bell_->committed = false;
  }
  if (look && at_end())
    for (auto& reader : std::exchange(parked_, {})) ready_.push_back(std::move(reader));
  heartbeat(now);
  if (ready_.empty()) return;
  const auto reader = std::move(ready_.front());
  ready_.pop_front();
  if (!reader->gone) step(reader);
}

bool FeedHub::Impl::begin_tail() {
  if (tailing_) return true;
  // First the ear, then the head: no commit falls between.
  bell_->listening.store(true);
  auto head = store_.feed_head();
  if (!head) return false;
  ring_.clear(std::move(*head));
  tailing_ = true;
  behind_ = false;
  const auto now = Clock::now();
  next_tail_ = now;
  next_anyway_ = now + kTailAnyway;
  next_heartbeat_ = now + settings_.heartbeat;
  next_access_ = now + kAccessEvery;
  return true;
}

void FeedHub::Impl::end_tail() {
  bell_->listening.store(false);
  tailing_ = false;
  ready_.clear();
  parked_.clear();
  ring_.clear({});
}

/// Whether the loops and the readers have had time for what they were given last.
bool FeedHub::Impl::may_look(Clock::time_point now) {
  if (behind_ && now < next_tail_) return false;
  const std::scoped_lock lock(mutex_);
  return std::ranges::none_of(lanes_, [](const auto& lane) { return lane.second->waiting() > kWaitingMost; });
}

/// Has all who follow given what is new, as far as they bear it. True: that was all there is.
bool FeedHub::Impl::at_end() {
  const auto now = Clock::now();
  if (may_look(now)) return tail(kFeedTailBytes);
  if (!behind_ || now >= next_tail_) next_tail_ = now + kTailAgain;
  behind_ = true;
  return false;
}

bool FeedHub::Impl::tail(std::size_t bytes_most) {
  behind_ = true;
  next_tail_ = Clock::now() + kTailAgain;
  std::size_t given = 0;
  while (true) {
    auto page = store_.feed(ring_.cursor(), kTailEvents);
    if (!page) {
      if (page.error().code == ErrorCode::kNotFound) restart_after_gap();
      next_tail_ = Clock::now() + kAfterFailure;
      return false;
    }
    const auto all = std::span<const store::FeedEvent>(page->events);
    std::size_t taken = 0;
    while (taken < all.size() && given < bytes_most) {
      const auto before = ring_.end();
      taken += publish(all.subspan(taken), kFeedSheetBytes);
      given += ring_.at(before).text->size();
    }
    if (taken < all.size()) return false;
    ring_.advance(std::move(page->cursor));
    if (!page->more) break;
    if (given >= bytes_most) return false;
  }
  behind_ = false;
  next_tail_ = Clock::now() + kTailEvery;
  next_anyway_ = Clock::now() + kTailAnyway;
  return true;
}

/// How many it took.
std::size_t FeedHub::Impl::publish(std::span<const store::FeedEvent> events, std::size_t bytes_most) {
  auto sheet = write_sheet(events, bytes_most);
  const auto count = sheet.marks.size();
  broadcast(sheet.text, count);
  ring_.push(std::move(sheet));
  return count;
}

/// Pruned while it was being followed: only when nothing was read for months.
void FeedHub::Impl::restart_after_gap() {
  auto head = store_.feed_head();
  if (!head) return;
  ring_.clear(std::move(*head));
  broadcast(feed_gap(ring_.cursor(), "pruned"), 0);
}

void FeedHub::Impl::broadcast(const FeedText& text, std::size_t events) {
  const std::scoped_lock lock(mutex_);
  for (const auto& [loop, lane] : lanes_)
    if (lane->followers > 0) lane->broadcast(text, events);
}

void FeedHub::Impl::heartbeat(Clock::time_point now) {
  if (now < next_heartbeat_) return;
  next_heartbeat_ = now + settings_.heartbeat;
  broadcast(feed_heartbeat(), 0);
}

void FeedHub::Impl::check_access(Clock::time_point now) {
  if (now < next_access_) return;
  next_access_ = now + kAccessEvery;
  const auto& access = settings_.access;
  if (!access.epoch) return;
  const auto epoch = access.epoch();
  const auto utc = system_now();
  std::vector<FeedReaderPtr> due;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [x, reader] : readers_)
      if (reader->here && !reader->gone && reader->principal &&
          (reader->good_epoch != epoch || utc >= reader->good_until))
        due.push_back(reader);
  }
  for (const auto& reader : due) {
    auto until = access.good_until(*reader->principal, utc);
    if (!until) {
      shut_out(reader, std::move(until.error()));
      continue;
    }
    reader->good_epoch = epoch;
    reader->good_until = *until;
  }
}

FeedHub::FeedHub(store::Store& store, telemetry::Metrics& metrics, FeedSettings settings)
    : impl_(std::make_unique<Impl>(store, metrics, settings)) {}
FeedHub::~FeedHub() {
  impl_->stop();
}
void FeedHub::start() {
  impl_->start();
}
void FeedHub::stop() {
  impl_->stop();
}
void FeedHub::subscribe(Exchange& exchange, Loop& loop) {
  impl_->subscribe(exchange, loop);
}
void FeedHub::over(Exchange& exchange) {
  impl_->over(exchange);
}

}  // namespace detection::http
