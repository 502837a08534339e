#include "security/authority.hpp"

#include <algorithm>

#include "security/authority_impl.hpp"

namespace detection::security {
namespace {

constexpr std::chrono::seconds kUsedEach{30};

}  // namespace

Authority::Authority(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Authority::~Authority() {
  stop();
}

Result<std::unique_ptr<Authority>> Authority::open(const AuthorityOptions& options, store::Store& store,
                                                   telemetry::Metrics& metrics, telemetry::Log& log) {
  auto impl = std::make_unique<Impl>(options, store, metrics, log);
  auto ring = KeyRing::open(options, impl->epoch, metrics, log);
  if (!ring) return std::unexpected(std::move(ring.error()));
  impl->ring = std::move(*ring);
  impl->tokens.emplace(*impl->ring, TokenRules{options.issuers, options.audiences});
  impl->renew();
  return std::unique_ptr<Authority>(new Authority(std::move(impl)));
}

void Authority::start() {
  if (impl_->thread.joinable()) return;
  impl_->stopping = false;
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

void Authority::stop() {
  if (!impl_->thread.joinable()) return;
  {
    const std::scoped_lock lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  impl_->thread.join();
  impl_->write_used();
}

void Authority::Impl::run() {
  auto used_written = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex);
  while (!wake.wait_for(lock, options.refresh, [this] { return stopping; })) {
    lock.unlock();
    ring->refresh();
    renew();
    if (std::chrono::steady_clock::now() - used_written >= kUsedEach) {
      write_used();
      used_written = std::chrono::steady_clock::now();
    }
    lock.lock();
  }
}

void Authority::Impl::renew() {
  const std::scoped_lock lock(changing);
  auto keys = store.api_keys();
  auto tokens_revoked = store.revoked_tokens();
  if (keys) api_keys.replace(std::move(*keys));
  if (tokens_revoked) {
    auto next = std::make_shared<RevokedTokens>();
    for (auto& token : *tokens_revoked) next->emplace(std::move(token.jti), token.until);
    if (*next != *revoked.get()) {
      revoked.set(std::move(next));
      epoch.fetch_add(1, std::memory_order_acq_rel);
    }
  }
  const bool failed = !keys || !tokens_revoked;
  if (failed && !store_failed)
    log.warning("credentials_not_renewed",
                "the store does not say which keys and tokens are good; the last state holds",
                {{"reason", keys ? tokens_revoked.error().detail : keys.error().detail}});
  if (!failed && store_failed) log.info("credentials_renewed", "the store says again which keys and tokens are good");
  store_failed = failed;
}

void Authority::Impl::write_used() {
  const auto used = api_keys.take_used();
  if (used.empty()) return;
  if (auto written = store.touch_api_keys(used); !written) {
    api_keys.give_back_used(used);
    log.warning("last_used_not_written", "when the API keys were last used is not on disk yet",
                {{"reason", written.error().detail}});
  }
}

Result<std::shared_ptr<const Principal>> Authority::authenticate(std::string_view credential, UtcMicros now) {
  if (credential.starts_with(kApiKeyPrefix)) {
    const auto text = parse_api_key(credential);
    if (!text) return refused("the API key is not known, or its secret is wrong");
    auto checked = impl_->api_keys.check(text->id, text->secret, now);
    if (!checked) return std::unexpected(std::move(checked.error()));
    return std::move(checked->principal);
  }
  if (credential.size() > kTokenBytesMost) return refused("the token is too long");
  const auto digest = sha256(credential);
  // Before any look at keys and revocations: what changes after this makes what is remembered worthless.
  const auto epoch = impl_->epoch.load(std::memory_order_acquire);
  if (auto known = impl_->cache.find(digest, epoch, now)) {
    impl_->hits.increment();
    return known;
  }
  impl_->misses.increment();
  auto principal = impl_->check_token(credential, now);
  if (principal) impl_->cache.insert(digest, epoch, now, *principal);
  return principal;
}

Result<std::shared_ptr<const Principal>> Authority::Impl::check_token(std::string_view token, UtcMicros now) {
  auto claims = tokens->verify(token, now);
  if (!claims) return std::unexpected(std::move(claims.error()));
  auto& principal = claims->principal;
  if (!principal.jti.empty() && revoked.get()->contains(principal.jti)) return refused("the token has been revoked");
  if (!principal.api_key_id.empty()) {
    const auto key = api_keys.find(principal.api_key_id);
    if (!key) return refused("the API key that the token was granted to is not known");
    if (auto fine = key->usable(now); !fine) return std::unexpected(std::move(fine.error()));
    principal.expires = std::min(principal.expires, key->record.expires.value_or(kNever));
  }
  return std::make_shared<const Principal>(std::move(principal));
}

std::uint64_t Authority::epoch() const noexcept {
  return impl_->epoch.load(std::memory_order_acquire);
}

Result<UtcMicros> Authority::good_until(const Principal& principal, UtcMicros now) const {
  auto until = principal.expires;
  if (!principal.api_key_id.empty()) {
    const auto key = impl_->api_keys.find(principal.api_key_id);
    if (!key) return refused("the API key is not known");
    if (auto fine = key->usable(now); !fine) return std::unexpected(std::move(fine.error()));
    until = std::min(until, key->record.expires.value_or(kNever));
    if (principal.secret_sha256) {
      const auto secret_until = key->secret_until(*principal.secret_sha256);
      if (now >= secret_until) return refused("the API key has another secret now");
      until = std::min(until, secret_until);
    }
  }
  if (!principal.secret_sha256) {
    const auto key = principal.signed_by.lock();
    if (!key || !impl_->ring->keys()->has(key.get())) return refused("the token's key has been withdrawn");
    if (!principal.jti.empty() && impl_->revoked.get()->contains(principal.jti))
      return refused("the token has been revoked");
  }
  if (now >= until) return refused("the token has expired");
  return until;
}

std::shared_ptr<const std::string> Authority::jwks() const {
  return impl_->ring->keys()->jwks;
}

Result<std::string> Authority::sign(std::string_view text) const {
  const auto keys = impl_->ring->keys();
  const auto& [kid, key] = keys->signing_texts;
  if (!key) return fail(ErrorCode::kInternal, "there is no key that can sign, only public ones");
  const auto signature = key->sign_text(text);
  if (!signature) return signature;
  return kid + ":" + *signature;
}

bool Authority::verify(std::string_view text, std::string_view signature) const {
  const auto colon = signature.find(':');
  if (colon == std::string_view::npos || !is_kid(signature.substr(0, colon))) return false;
  const auto key = impl_->ring->keys()->find(std::string(signature.substr(0, colon)));
  return key && key->verify_text(text, signature.substr(colon + 1));
}

}  // namespace detection::security
