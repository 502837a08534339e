#include "http/rate_limit.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <random>

#include "pipeline/normalise.hpp"

namespace detection::http {
namespace {

using std::chrono::duration_cast;
using std::chrono::nanoseconds;

constexpr double kNanoseconds = 1e9;
constexpr double kRateMost_per_s = 1e6, kRateLeast_per_s = 1.0 / 3600, kBurstMost = 1e6;
constexpr std::size_t kSubjects = 16'384, kAddresses = 65'536;
/// 100 signatures a second are half a percent of one core.
constexpr Rate kReserve{100, 100};

std::int64_t nanoseconds_of(RateLimiter::Time time) noexcept {
  return duration_cast<nanoseconds>(time.time_since_epoch()).count();
}

std::int64_t whole_seconds(std::int64_t ns) noexcept {
  constexpr std::int64_t kSecond = 1'000'000'000;
  return ns <= 0 ? 0 : (ns + kSecond - 1) / kSecond;
}

/// The finaliser of MurmurHash3: every bit of the input reaches every bit of the result.
std::uint64_t mixed(std::uint64_t value) noexcept {
  value = (value ^ (value >> 33)) * 0xff51'afd7'ed55'8ccd;
  value = (value ^ (value >> 33)) * 0xc4ce'b9fe'1a85'ec53;
  return value ^ (value >> 33);
}

void append_decimal(std::string& out, std::int64_t value) {
  char text[20];
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

std::string policy_text(std::string_view name, std::int64_t burst, std::int64_t window_s) {
  std::string quoted;
  quoted.append("\"").append(name).append("\"");
  return "RateLimit-Policy: " + quoted + ";q=" + std::to_string(burst) + ";w=" + std::to_string(window_s) +
         "\r\nRateLimit: " + quoted + ";r=";
}

std::uint64_t random_seed() {
  std::random_device random;
  return (std::uint64_t{random()} << 32) | random();
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

}  // namespace

RateLimiter::RateLimiter(std::string_view name, Rate rate, std::size_t buckets_most, std::uint64_t seed, bool shared)
    : name_(name),
      seed_(seed),
      shared_(shared),
      interval_ns_(std::max<std::int64_t>(1, std::llround(kNanoseconds / rate.per_s))),
      depth_ns_(interval_ns_ * std::max<std::int64_t>(1, std::llround(rate.burst))),
      policy_(policy_text(name, depth_ns_ / interval_ns_, std::max<std::int64_t>(1, whole_seconds(depth_ns_)))),
      groups_(std::bit_ceil(std::max<std::size_t>(1, (buckets_most + kWays - 1) / kWays))) {}

RateKey RateLimiter::key(std::string_view name) const {
  const auto quick = quick_hash(name);
  if (!shared_) return {quick, {}};
  // SHA-256 costs more than all the rest, and the same callers come again and again.
  struct Known {
    std::uint64_t quick = 0;  // with a random seed for each limiter, so that it also tells limiters apart
    std::string name;
    RateKey key;
  };
  constexpr std::size_t kKnown = 256;
  thread_local std::array<Known, kKnown> all_known;
  auto& known = all_known[quick % kKnown];
  if (known.quick != quick || known.name != name) {
    std::string text = "rate limit\n" + name_ + "\n";
    text.append(name);
    const auto digest = pipeline::sha256(text);
    RateKey::Id id;
    std::memcpy(id.data(), digest.data(), sizeof id);
    known = {quick, std::string(name), {place_of(id), id}};
  }
  return known.key;
}

std::uint64_t RateLimiter::place_of(const RateKey::Id& id) const noexcept {
  const auto place = mixed(mixed(seed_ ^ id[0]) ^ id[1]);
  return place == 0 ? 1 : place;
}

std::uint64_t RateLimiter::quick_hash(std::string_view name) const noexcept {
  std::uint64_t hash = mixed(seed_ ^ name.size());
  while (name.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, name.data(), 8);
    hash = mixed(hash ^ word);
    name.remove_prefix(8);
  }
  std::uint64_t word = 0;
  if (!name.empty()) std::memcpy(&word, name.data(), name.size());
  hash = mixed(hash ^ word);
  return hash == 0 ? 1 : hash;  // 0 is a place that nobody has
}

RateLimiter::Bucket& RateLimiter::find(Group& group, std::uint64_t key, std::int64_t now_ns) {
  Bucket* fullest = group.data();
  for (auto& bucket : group) {
    if (bucket.key == key) return bucket;
    if (bucket.full_ns < fullest->full_ns) fullest = &bucket;
  }
  // What it owes stays with the place: see the head of the header.
  fullest->key = key;
  fullest->full_ns = std::max(fullest->full_ns, now_ns);
  return *fullest;
}

RateVerdict RateLimiter::verdict(std::int64_t full_ns, std::int64_t now_ns, bool allowed) const noexcept {
  const auto missing_ns = std::max<std::int64_t>(0, full_ns - now_ns);
  RateVerdict said;
  said.allowed = allowed;
  said.remaining = std::max<std::int64_t>(0, (depth_ns_ - missing_ns) / interval_ns_);
  said.full_in_s = whole_seconds(missing_ns);
  said.wait_s = whole_seconds(missing_ns + interval_ns_ - depth_ns_);
  return said;
}

RateVerdict RateLimiter::take(const RateKey& key, Time now) {
  const auto now_ns = nanoseconds_of(now);
  auto& place = lock_of(key.place);
  const std::scoped_lock lock(place.mutex);
  auto& bucket = find(group_of(key.place), key.place, now_ns);
  const auto after = std::max(bucket.full_ns, now_ns) + interval_ns_;
  const bool allowed = after - now_ns <= depth_ns_;
  if (allowed) {
    bucket.full_ns = after;
    count(place, key, 1);
  }
  return verdict(bucket.full_ns, now_ns, allowed);
}

RateVerdict RateLimiter::peek(const RateKey& key, Time now) {
  const auto now_ns = nanoseconds_of(now);
  const std::scoped_lock lock(lock_of(key.place).mutex);
  const auto& bucket = find(group_of(key.place), key.place, now_ns);
  return verdict(bucket.full_ns, now_ns, std::max(bucket.full_ns, now_ns) + interval_ns_ - now_ns <= depth_ns_);
}

void RateLimiter::charge(const RateKey& key, std::int64_t requests, Time now) {
  const auto now_ns = nanoseconds_of(now);
  auto& place = lock_of(key.place);
  const std::scoped_lock lock(place.mutex);
  auto& bucket = find(group_of(key.place), key.place, now_ns);
  bucket.full_ns = std::max(bucket.full_ns, now_ns) + requests * interval_ns_;
  count(place, key, requests);
}

void RateLimiter::count(Lock& lock, const RateKey& key, std::int64_t requests) const {
  if (!shared_) return;
  const auto found = lock.used.find(key.id);
  if (found != lock.used.end())
    found->second += requests;
  else if (lock.used.size() < kUsedMost / kLocks)
    lock.used.emplace(key.id, requests);
}

std::vector<RateLimiter::Used> RateLimiter::take_used() {
  std::vector<Used> all;
  for (auto& place : locks_) {
    decltype(place.used) used;
    {
      const std::scoped_lock lock(place.mutex);
      used.swap(place.used);
    }
    for (const auto& [id, requests] : used) all.push_back({id, requests});
  }
  return all;
}

void RateLimiter::used_elsewhere(const RateKey::Id& id, std::int64_t requests, Time now) {
  const auto now_ns = nanoseconds_of(now);
  const auto key = place_of(id);
  const std::scoped_lock lock(lock_of(key).mutex);
  auto& bucket = find(group_of(key), key, now_ns);
  const auto most = now_ns + depth_ns_ * (1 + kForeignDebtMost);
  const auto left = std::max<std::int64_t>(0, most - std::max(bucket.full_ns, now_ns));
  bucket.full_ns = std::max(bucket.full_ns, now_ns) + (requests < left / interval_ns_ ? requests * interval_ns_ : left);
}

void RateLimiter::append_headers(std::string& out, const RateVerdict& verdict) const {
  out.append(policy_);
  append_decimal(out, verdict.remaining);
  out.append(";t=");
  append_decimal(out, verdict.full_in_s);
  out.append("\r\n");
}

RateGates::RateGates(const RateLimits& limits, bool shared)
    : enabled(limits.enabled),
      subject("subject", limits.subject, limits.enabled ? kSubjects : 1, random_seed(), shared),
      address("address", limits.address, limits.enabled ? kAddresses : 1, random_seed(), shared),
      token("token", limits.token, limits.enabled ? kAddresses : 1, random_seed(), shared),
      reserve("reserve", kReserve, 1, random_seed()) {}

Result<Rate> parse_rate(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return fail(ErrorCode::kConfiguration,
                "'" + std::string(text) + "' is no rate (" + std::string(why) +
                    "); write RATE:BURST such as 2000:4000 (a second), 10/m:10 (a minute) or 100/h:50 (an hour)");
  };
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return wrong("the burst is missing");
  auto rate_text = text.substr(0, colon);
  double seconds = 1;
  if (const auto slash = rate_text.find('/'); slash != std::string_view::npos) {
    const auto unit = rate_text.substr(slash + 1);
    if (unit != "s" && unit != "m" && unit != "h") return wrong("the unit must be s, m or h");
    seconds = unit == "s" ? 1 : unit == "m" ? 60 : 3600;
    rate_text = rate_text.substr(0, slash);
  }
  const auto rate = number(rate_text);
  const auto burst = number(text.substr(colon + 1));
  if (!rate || !burst) return wrong("both must be numbers");
  const double per_s = *rate / seconds;
  if (!(per_s >= kRateLeast_per_s * 0.999 && per_s <= kRateMost_per_s))
    return wrong("the rate must be from 1 an hour to 1000000 a second");
  if (!(*burst >= 1 && *burst <= kBurstMost && *burst == std::floor(*burst)))
    return wrong("the burst must be a whole number from 1 to 1000000");
  return Rate{per_s, *burst};
}

}  // namespace detection::http
