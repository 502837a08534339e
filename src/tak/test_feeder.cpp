#include "tak/test_feeder.hpp"

#include <algorithm>

#include "tak/wire_frames.hpp"

namespace detection::tak {

void HandMadeBatch::append(std::size_t index, cot::WireFormat format, UtcMicros now, std::string& out) const {
  if (format == cot::WireFormat::kXml) {
    out += test_event(uids_[index], bytes_);
  } else {
    const std::string frame = hand_made_frame({.uid = uids_[index], .type = "a-u-G-E-V"}, now, bytes_);
    // A datagram's head has the version in place of the length.
    out += format == cot::WireFormat::kFrame ? frame : "\xbf\x01\xbf" + std::string(cut_frame(frame).message);
  }
}

std::string test_event(const std::string& uid, std::size_t bytes) {
  const UtcMicros now = system_now();
  const std::string time = format_rfc3339_ms(now);
  std::string event = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<event version=\"2.0\" uid=\"" +
                      uid + "\" type=\"a-u-G-E-V\" how=\"m-i\" time=\"" + time + "\" start=\"" + time + "\" stale=\"" +
                      format_rfc3339_ms(now + std::chrono::hours{1}) +
                      "\"><point lat=\"40.7128000\" lon=\"-74.0060000\" hae=\"10.0\" ce=\"5.0\" le=\"9999999.0\"/>"
                      "<detail><remarks>";
  constexpr std::string_view kTail = "</remarks></detail></event>";
  if (event.size() + kTail.size() < bytes) event.append(bytes - event.size() - kTail.size(), '.');
  event += kTail;
  return event;
}

void TestFeeder::add(std::size_t batches) {
  {
    const std::lock_guard lock(mutex_);
    const std::size_t first = plan_.batches + numbered_;
    for (std::size_t i = 0; i < batches; ++i) todo_.push_back(first + i);
    numbered_ += batches;
  }
  feed();
}

bool TestFeeder::wait_done(std::chrono::milliseconds most) {
  return wait_for([](const TestFeeder& f) { return f.open() == 0; }, most);
}

bool TestFeeder::wait_for(const std::function<bool(const TestFeeder&)>& what, std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, most, [&] { return what(*this); });
}

void TestFeeder::stopped() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
}

std::vector<std::string> TestFeeder::uids_of(BatchNumber batch) {
  std::vector<std::string> uids;
  for (std::size_t i = 0; i < plan_.events_per_batch; ++i) {
    std::string uid = plan_.uid_prefix + "b" + std::to_string(batch) + "-" + std::to_string(i);
    if (plan_.attempt_in_uid) uid += ".a" + std::to_string(attempts_[batch]);
    uids.push_back(std::move(uid));
  }
  return uids;
}

void TestFeeder::feed() {
  const std::lock_guard lock(mutex_);
  while (connected_ && !todo_.empty()) {
    const BatchNumber batch = todo_.front();
    if (attempts_.size() <= batch) attempts_.resize(batch + 1);
    ++attempts_[batch];
    if (!sink_->send(batch, std::make_shared<HandMadeBatch>(uids_of(batch), plan_.event_bytes))) {
      --attempts_[batch];
      return;
    }
    todo_.pop_front();
    in_flight_.push_back(batch);
    changed_.notify_all();
  }
}

void TestFeeder::check_live() {
  if (stopped_) faults.push_back("called after stop() returned");
}

void TestFeeder::sink_ready() noexcept {
  {
    const std::lock_guard lock(mutex_);
    check_live();
    if (connected_) faults.push_back("sink_ready twice");
    if (!in_flight_.empty()) faults.push_back("sink_ready with batches in flight");
    connected_ = true;
    ++ready;
  }
  changed_.notify_all();
  feed();
}

void TestFeeder::sink_room() noexcept {
  {
    const std::lock_guard lock(mutex_);
    check_live();
    if (!connected_) faults.push_back("sink_room without a connection");
  }
  feed();
}

void TestFeeder::batch_delivered(BatchNumber batch, Delivery how) noexcept {
  std::vector<std::string> uids;
  {
    const std::lock_guard lock(mutex_);
    check_live();
    if (in_flight_.empty() || in_flight_.front() != batch) {
      faults.push_back("batch " + std::to_string(batch) + " delivered out of order or not in flight");
      return;
    }
    in_flight_.pop_front();
    ++(how == Delivery::kConfirmed ? confirmed : unconfirmed);
    uids = uids_of(batch);
  }
  if (on_delivered) on_delivered(batch, uids, how);
  changed_.notify_all();
}

void TestFeeder::event_refused(BatchNumber batch, std::size_t index, std::string_view reason) noexcept {
  const std::lock_guard lock(mutex_);
  check_live();
  if (in_flight_.empty() || in_flight_.front() != batch) faults.push_back("event refused of a batch not in flight");
  refusals.push_back(std::to_string(index) + ": " + std::string(reason));
}

void TestFeeder::sink_lost(std::string_view reason) noexcept {
  {
    const std::lock_guard lock(mutex_);
    check_live();
    if (!connected_) faults.push_back("sink_lost of a connection that was not ready");
    connected_ = false;
    ++lost;
    reasons.emplace_back(reason);
    todo_.insert(todo_.begin(), in_flight_.begin(), in_flight_.end());
    in_flight_.clear();
  }
  changed_.notify_all();
}

void TestFeeder::peer_never_answers(bool never) noexcept {
  {
    const std::lock_guard lock(mutex_);
    check_live();
    if (!never_answers.empty() && never_answers.back() == never) faults.push_back("peer_never_answers said twice");
    if (never_answers.empty() && !never) faults.push_back("peer_never_answers(false) without true before");
    never_answers.push_back(never);
  }
  changed_.notify_all();
}

}  // namespace detection::tak
