#include "http/rate_sharing.hpp"

#include <charconv>
#include <cmath>
#include <optional>

namespace detection::http {
namespace {

constexpr std::size_t kDigits = 16;  // of one half
constexpr double kRequestsMost = 1e9;

void append_hex(std::string& out, std::uint64_t value) {
  static constexpr char kHex[] = "0123456789abcdef";
  for (int shift = 60; shift >= 0; shift -= 4) out.push_back(kHex[(value >> shift) & 0xf]);
}

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (problem != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<RateKey::Id> parse_id(std::string_view text) {
  if (text.size() != 2 * kDigits) return std::nullopt;
  const auto high = parse_hex(text.substr(0, kDigits)), low = parse_hex(text.substr(kDigits));
  if (!high || !low) return std::nullopt;
  return RateKey::Id{*high, *low};
}

}  // namespace

std::string shared_key(const RateLimiter& limiter, const RateKey::Id& id) {
  std::string text = limiter.name() + ":";
  append_hex(text, id[0]);
  append_hex(text, id[1]);
  return text;
}

void RateSharing::start(std::chrono::milliseconds every) {
  thread_ = std::thread([this, every] {
    exchange();  // what is spent from now on is told of, also to this one
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, every, [this] { return stopping_; })) {
      lock.unlock();
      exchange();
      lock.lock();
    }
  });
}

void RateSharing::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void RateSharing::exchange(RateLimiter::Time (*now)() noexcept) {
  RateLimiter* const limiters[] = {&gates_.subject, &gates_.address, &gates_.token};
  std::vector<store::SharedUsage> used;
  for (auto* limiter : limiters)
    for (const auto& [id, requests] : limiter->take_used())
      used.push_back({shared_key(*limiter, id), static_cast<double>(requests)});
  const auto elsewhere = store_.share_usage(used);
  if (away_ == elsewhere.has_value()) {
    away_ = !away_;
    if (away_)
      log_.warning("limits_not_shared", "rate limits hold for this process alone while the store is away",
                   {{"reason", elsewhere.error().detail}});
    else
      log_.info("limits_shared", "rate limits hold over all processes again");
  }
  if (!elsewhere) return;
  const auto at = now();
  for (const auto& [key, tokens] : *elsewhere) {
    const auto colon = key.find(':');
    if (colon == std::string::npos || !(tokens > 0)) continue;
    const auto id = parse_id(std::string_view(key).substr(colon + 1));
    for (auto* limiter : limiters)
      if (id && limiter->name() == std::string_view(key).substr(0, colon))
        limiter->used_elsewhere(*id, std::llround(std::min(tokens, kRequestsMost)), at);
  }
}

}  // namespace detection::http
