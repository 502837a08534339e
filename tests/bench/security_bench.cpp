// What it costs to know who asks: build/bench/bin/security_bench [--benchmark_filter=...]
// "cached" is what a request with a known token pays; the others are the first request with a token, and keys.

#include <benchmark/benchmark.h>

#include <map>

#include "security/authority.hpp"
#include "security/memory_store.hpp"
#include "security/test_keys.hpp"

namespace {

using namespace detection;
using namespace detection::security;
using namespace detection::security::testing;

const UtcMicros kNow{1'790'000'000'000'000};

class Bed {
 public:
  Bed() {
    for (const auto* key : {&ec_, &rsa_, &ed_})
      write_file(directory_.path() / (std::string(key->algorithm()) + ".pem"), key->public_pem());
    write_file(directory_.path() / "HS256", kHmacText);
    AuthorityOptions options;
    options.key_directory = directory_.path();
    authority_ = std::move(*Authority::open(options, store_, metrics_, log_));
    api_key_ = authority_->create_api_key({"bench", {Scope::kDetectionsWrite}, {}}, "bench", kNow)->secret_text;
  }
  Authority& authority() { return *authority_; }
  const std::string& api_key() { return api_key_; }
  std::string token(const std::string& algorithm, std::uint64_t number) {
    const auto header = R"({"alg":")" + algorithm + R"(","kid":")" + algorithm + R"(","typ":"JWT"})";
    const auto claims =
        R"({"iss":"detection-api","sub":"camera-1","scope":"detections:write detections:read","iat":1790000000,)"
        R"("exp":1790003600,"jti":"0123456789abcdef0123456789abcdef","number":)" +
        std::to_string(number) + "}";
    if (algorithm == "HS256") return hmac_token(header, claims);
    return (algorithm == "ES256" ? ec_ : algorithm == "RS256" ? rsa_ : ed_).token(header, claims);
  }

 private:
  TemporaryDirectory directory_;
  AsymmetricKey ec_{Kind::kEc}, rsa_{Kind::kRsa}, ed_{Kind::kEd25519};
  MemoryStore store_;
  telemetry::Metrics metrics_;
  telemetry::Log log_{-1};
  std::unique_ptr<Authority> authority_;
  std::string api_key_;
};

Bed& bed() {
  static Bed one;
  return one;
}

void cached(benchmark::State& state) {
  const auto token = bed().token("HS256", 0);
  for (auto _ : state)
    if (!bed().authority().authenticate(token, kNow)) state.SkipWithError("refused");
  state.SetLabel("a token of " + std::to_string(token.size()) + " bytes");
}
BENCHMARK(cached)->Threads(1)->Threads(2)->Threads(8);

/// More tokens, in turn, than the cache holds.
void uncached(benchmark::State& state, const std::string& algorithm) {
  static std::map<std::string, std::vector<std::string>> made;  // signing takes longer than what is measured
  auto& tokens = made[algorithm];
  for (std::uint64_t i = tokens.size(); i < 6'000; ++i) tokens.push_back(bed().token(algorithm, i));
  std::size_t next = 0;
  for (auto _ : state) {
    if (!bed().authority().authenticate(tokens[next], kNow)) state.SkipWithError("refused");
    next = (next + 1) % tokens.size();
  }
}
BENCHMARK_CAPTURE(uncached, HS256, "HS256");
BENCHMARK_CAPTURE(uncached, RS256, "RS256");
BENCHMARK_CAPTURE(uncached, ES256, "ES256");
BENCHMARK_CAPTURE(uncached, EdDSA, "EdDSA");

void api_key(benchmark::State& state) {
  for (auto _ : state)
    if (!bed().authority().authenticate(bed().api_key(), kNow)) state.SkipWithError("refused");
}
BENCHMARK(api_key)->Threads(1)->Threads(2);

void forged_hs256(benchmark::State& state) {
  auto token = bed().token("HS256", 0);
  token[token.size() - 10] = token[token.size() - 10] == 'A' ? 'B' : 'A';
  for (auto _ : state)
    if (bed().authority().authenticate(token, kNow)) state.SkipWithError("taken");
}
BENCHMARK(forged_hs256);

void garbage(benchmark::State& state) {
  const std::string token(400, 'A');
  for (auto _ : state)
    if (bed().authority().authenticate(token, kNow)) state.SkipWithError("taken");
}
BENCHMARK(garbage);

}  // namespace

BENCHMARK_MAIN();
