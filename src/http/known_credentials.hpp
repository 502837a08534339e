#pragma once
// Which credentials were good lately, as marks without the credentials: so that a client whose address has spent its
// budget is still served, and whoever guesses there gets no signature checked (rate_limit.hpp, RateGates::reserve).

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace detection::http {

/// Any thread; no locks. A mark may be overwritten by another's: then the credential is looked at as an unknown one.
class KnownCredentials {
 public:
  explicit KnownCredentials(std::uint64_t seed) : seed_(seed) {}

  [[nodiscard]] bool contains(std::string_view credential) const noexcept {
    const auto mark = mark_of(credential);
    return marks_[mark % kMarks].load(std::memory_order_relaxed) == mark;
  }
  void learn(std::string_view credential) noexcept {
    const auto mark = mark_of(credential);
    marks_[mark % kMarks].store(mark, std::memory_order_relaxed);
  }
  void forget(std::string_view credential) noexcept {
    const auto mark = mark_of(credential);
    auto expected = mark;
    marks_[mark % kMarks].compare_exchange_strong(expected, 0, std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t kMarks = 4096, kTail = 24;

  /// Of the end: there is the signature of a token and the secret of a key, which nobody can guess. Who has a good one
  /// and makes bad ones with its end has it forgotten by the first of them.
  [[nodiscard]] std::uint64_t mark_of(std::string_view credential) const noexcept {
    std::array<std::uint64_t, kTail / 8> words{};
    const auto tail = credential.size() > kTail ? credential.substr(credential.size() - kTail) : credential;
    std::memcpy(words.data(), tail.data(), tail.size());
    std::uint64_t mark = seed_ ^ credential.size();
    for (const auto word : words) {
      mark = (mark ^ word) * 0xff51'afd7'ed55'8ccd;
      mark = (mark ^ (mark >> 33)) * 0xc4ce'b9fe'1a85'ec53;
      mark ^= mark >> 33;
    }
    return mark == 0 ? 1 : mark;
  }

  const std::uint64_t seed_;
  std::array<std::atomic<std::uint64_t>, kMarks> marks_{};
};

}  // namespace detection::http
