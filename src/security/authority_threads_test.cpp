// Many threads authenticate while keys rotate, API keys change and tokens are revoked: nobody with a good credential is
// refused. Also run under the thread sanitizer.

#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "security/authority.hpp"
#include "security/memory_store.hpp"
#include "security/test_keys.hpp"

namespace detection::security {
namespace {

using namespace testing;

TEST(AuthorityThreads, NobodyWithAGoodCredentialIsRefusedWhileEverythingChanges) {
  constexpr int kRotations = 12;
  const UtcMicros now{1'790'000'000'000'000};
  const std::string claims = R"({"sub":"a","exp":1790000600})";
  const TemporaryDirectory directory;
  MountedSecret secret(directory.path());
  std::vector<AsymmetricKey> keys;
  for (int i = 0; i < kRotations + 2; ++i) keys.emplace_back(i % 2 == 0 ? Kind::kEc : Kind::kEd25519);
  const auto name = [](int i) { return "key-" + std::to_string(100 + i); };
  const auto publish = [&](int first) {
    std::vector<std::pair<std::string, std::string>> files{{"hmac", std::string(kHmacText)}};
    for (int i = first; i < first + 2; ++i)
      files.emplace_back(name(i) + ".pem", keys[static_cast<std::size_t>(i)].private_pem());
    secret.publish(files);
  };
  const auto token_of = [&](int i) {
    const auto& key = keys[static_cast<std::size_t>(i)];
    return key.token(R"({"alg":")" + std::string(key.algorithm()) + R"(","kid":")" + name(i) + "\"}", claims);
  };
  publish(0);
  MemoryStore store;
  telemetry::Metrics metrics;
  telemetry::Log log(-1);
  AuthorityOptions options;
  options.key_directory = directory.path();
  options.refresh = std::chrono::milliseconds(20);
  const auto authority = Authority::open(options, store, metrics, log).value();
  authority->start();
  const auto api_key = authority->create_api_key({"steady", {Scope::kDetectionsRead}, {}}, "a", now).value();
  const auto steady = hmac_token(R"({"alg":"HS256","kid":"hmac"})", claims);

  std::mutex mutex;
  std::string current = token_of(1);
  std::atomic<bool> stop{false};
  std::array<std::atomic<int>, 6> checks{};
  std::vector<std::string> failures;
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < checks.size(); ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; !stop; ++i) {
        const auto credential = [&] {
          if ((i + t) % 3 == 0) return api_key.secret_text;
          if ((i + t) % 3 == 1) return steady;
          const std::scoped_lock lock(mutex);
          return current;
        }();
        const auto verdict = authority->authenticate(credential, now);
        const auto granted =
            i % 50 == 0 ? authority->grant(api_key.info.id, api_key.secret_text, "", now).has_value() : true;
        ++checks[t];
        if (verdict && granted) continue;
        const std::scoped_lock lock(mutex);
        failures.push_back(credential.substr(0, 30) + ": " + (verdict ? "no grant" : verdict.error().detail));
      }
    });
  for (int i = 1; i <= kRotations; ++i) {
    publish(i);  // withdraws i - 1, adds i + 1
    {
      const std::scoped_lock lock(mutex);
      current = token_of(i + 1);
    }
    ASSERT_TRUE(authority->revoke_token("jti-" + std::to_string(i), "a", now));
    const auto other = authority->create_api_key({"other", {Scope::kAdmin}, {}}, "a", now).value();
    ASSERT_TRUE(authority->rotate_api_key(other.info.id, "a", now));
    ASSERT_TRUE(authority->revoke_api_key(other.info.id, "a", now));
    EXPECT_FALSE(authority->authenticate(other.secret_text, now));
    // The token before may still be on its way in a thread, and its key goes in the next round.
    for (auto& count : checks)
      for (const int before = count; count < before + 10;) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const auto gone = authority->authenticate(token_of(i - 1), now);
    EXPECT_FALSE(gone) << "a withdrawn key";
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  authority->stop();
  EXPECT_TRUE(failures.empty()) << failures.size() << ", the first: " << failures.front();
}

}  // namespace
}  // namespace detection::security
