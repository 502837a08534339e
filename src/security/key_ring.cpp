#include "security/key_ring.hpp"

#include <algorithm>
#include <system_error>
#include <vector>

#include "security/claims.hpp"

namespace detection::security {
namespace {

constexpr std::size_t kFileNamesMost = 1024;
constexpr std::int64_t kFileClockTick_us = 20'000;
constexpr double kLooksMost = 4;
constexpr double kLooksPerSecond = 4;
constexpr std::size_t kKidsShownMost = 256;

/// File names of the directory, hidden ones (also Kubernetes' ..data) and folders left out, in order.
std::vector<std::string> file_names(const std::filesystem::path& directory, std::error_code& error) {
  std::vector<std::string> names;
  auto entry = std::filesystem::directory_iterator(directory, error);
  for (; !error && entry != std::filesystem::directory_iterator() && names.size() < kFileNamesMost;
       entry.increment(error)) {
    auto name = entry->path().filename().string();
    std::error_code ignored;
    if (name.starts_with('.') || entry->is_directory(ignored)) continue;
    names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string public_keys(const std::map<std::string, KeyPointer>& keys) {
  std::string text;
  json::Writer w(text);
  w.begin_object();
  w.key("keys");
  w.begin_array();
  for (const auto& [kid, key] : keys) key->write_public_jwk(w, kid);
  w.end_array();
  w.end_object();
  return text;
}

}  // namespace

KeyPointer KeySet::find(const std::optional<std::string>& kid) const {
  if (!kid) return without_kid;
  const auto found = by_kid.find(*kid);
  return found == by_kid.end() ? nullptr : found->second;
}

bool KeySet::has(const void* key) const noexcept {
  return without_kid.get() == key ||
         std::any_of(by_kid.begin(), by_kid.end(), [&](const auto& named) { return named.second.get() == key; });
}

KeyRing::KeyRing(const AuthorityOptions& options, std::atomic<std::uint64_t>& epoch, telemetry::Metrics& metrics,
                 telemetry::Log& log, SteadyClock clock)
    : directory_(options.only_api_keys ? std::filesystem::path() : options.key_directory),
      signing_key_(options.signing_key),
      epoch_(epoch),
      metrics_(metrics),
      log_(log),
      clock_(clock),
      looks_since_(clock()) {
  if (!options.key_file.empty() && !options.only_api_keys)
    key_file_ = Member{{}, KeyFile(options.key_file, true), true};
}

Result<std::unique_ptr<KeyRing>> KeyRing::open(const AuthorityOptions& options, std::atomic<std::uint64_t>& epoch,
                                               telemetry::Metrics& metrics, telemetry::Log& log, SteadyClock clock) {
  std::unique_ptr<KeyRing> ring(new KeyRing(options, epoch, metrics, log, clock));
  const std::scoped_lock lock(ring->scanning_);
  ring->scan(true);
  if (options.only_api_keys) return ring;
  if (auto fine = ring->check_start(); !fine) return std::unexpected(std::move(fine.error()));
  return ring;
}

Result<void> KeyRing::check_start() {
  const auto how = std::string(kHowToMakeHmac) + ", or for the key directory" +
                   std::string(kHowToMakePem.substr(kHowToMakePem.find(' ')));
  if (key_file_ && key_file_->file.gone())
    return fail(ErrorCode::kConfiguration, "the signing key file " + key_file_->file.path().string() +
                                               " does not exist" + std::string(kHowToMakeHmac));
  if (!problems_.empty()) return fail(ErrorCode::kConfiguration, problems_.begin()->second);
  const auto set = keys();
  if (set->by_kid.empty())
    return fail(ErrorCode::kConfiguration,
                (directory_.empty() ? "there is no key, neither a key file nor a key directory"
                                    : "the key directory " + directory_.string() + " holds no key") +
                    how);
  if (!signing_key_.empty() && (!set->by_kid.contains(signing_key_) || !set->by_kid.at(signing_key_)->can_sign()))
    return fail(ErrorCode::kConfiguration,
                "the signing key '" + signing_key_ + "' is not there, or only its public part is" + how);
  if (!set->signing.key)
    log_.warning("no_signing_key",
                 "there are public keys only: the token endpoint grants nothing, audits are not pruned");
  const auto warn_of = [this](const std::filesystem::path& path) {
    if (writable_by_others(path))
      log_.warning("key_file_writable", "others may write this key file, and so mint tokens",
                   {{"file", path.string()}});
  };
  if (key_file_) warn_of(key_file_->file.path());
  for (const auto& [name, member] : members_) warn_of(member.file.path());
  return {};
}

std::string KeyRing::kid_of(const std::string& file_name) {
  return file_name.substr(0, file_name.rfind('.'));
}

void KeyRing::refresh() {
  const std::scoped_lock lock(scanning_);
  scan(false);
}

bool KeyRing::look_for_others_than(const KeySet& keys) {
  const std::scoped_lock lock(scanning_);
  if (published_.get().get() != &keys) return true;  // somebody else has looked meanwhile
  if (!seems_changed() && !may_look_anyway()) return false;
  scan(false);
  return published_.get().get() != &keys;
}

bool KeyRing::seems_changed() const {
  const auto directory = directory_.empty() ? FileMark{} : FileMark::of(directory_);
  const auto key_file = key_file_ ? FileMark::of(key_file_->file.path()) : FileMark{};
  // A change within a tick of the file system's clock after the last look shows no other mark.
  const auto just_before = [this](std::int64_t changed_ns) {
    const auto age_us = looked_.count - changed_ns / 1000;
    return age_us > -kFileClockTick_us && age_us < kFileClockTick_us;
  };
  return directory != directory_mark_ || key_file != key_file_mark_ || just_before(directory.changed_ns) ||
         just_before(key_file.changed_ns);
}

bool KeyRing::may_look_anyway() {
  const auto now = clock_();
  looks_ = std::min(kLooksMost, looks_ + kLooksPerSecond * std::chrono::duration<double>(now - looks_since_).count());
  looks_since_ = now;
  if (looks_ < 1) return false;
  looks_ -= 1;
  return true;
}

void KeyRing::scan(bool at_start) {
  const auto now = clock_();
  if (!directory_.empty()) directory_mark_ = FileMark::of(directory_);
  if (key_file_) key_file_mark_ = FileMark::of(key_file_->file.path());
  looked_ = system_now();
  problems_.clear();
  const bool changed = collect(now);
  const auto before = members_.size();
  if (!directory_.empty()) admit_new_files(now, at_start);
  complain(now, at_start);
  publish(now, changed || members_.size() != before || at_start);
}

bool KeyRing::collect(SteadyTime now) {
  bool changed = false;
  if (key_file_) {
    changed = key_file_->file.look(now);
    key_file_->kid = key_file_->file.key() ? key_file_->file.key()->id() : "";
  }
  // Each by its own name, not by the listing: that may miss a file while others come and go.
  for (auto member = members_.begin(); member != members_.end();) {
    changed = member->second.file.look(now) || changed;
    member = member->second.file.gone() ? members_.erase(member) : std::next(member);
  }
  return changed;
}

void KeyRing::admit_new_files(SteadyTime now, bool at_start) {
  std::error_code error;
  const auto names = file_names(directory_, error);
  if (error)
    problems_[directory_.string()] = "the key directory " + directory_.string() + " cannot be read: " + error.message();
  std::set<std::string> kids;
  for (const auto& [name, member] : members_) kids.insert(member.kid);
  for (const auto& name : names) {
    if (members_.contains(name)) continue;
    const auto path = directory_ / name;
    const auto kid = kid_of(name);
    const auto refuse = [&](std::string_view why) {
      problems_[path.string()] = path.string() + ": " + std::string(why);
    };
    if (!is_kid(kid)) {
      refuse("the file's name without its extension is the key's id (kid): 1 to 64 of A-Z a-z 0-9 _ . -");
    } else if (kids.contains(kid)) {
      refuse("another file of the directory is called the same but for its extension");
    } else if (members_.size() + (key_file_ ? 1 : 0) >= kKeysMost) {
      refuse("there are already " + std::to_string(kKeysMost) + " keys, which is the most");
    } else {
      Member member{kid, KeyFile(path, false), at_start};
      member.file.look(now);
      if (member.file.gone()) continue;
      kids.insert(kid);
      members_.emplace(name, std::move(member));
    }
  }
}

void KeyRing::complain(SteadyTime now, bool at_start) {
  const auto ask = [&](const Member& member) {
    const auto problem = at_start ? member.file.problem() : member.file.problem(now);
    if (problem) problems_[member.file.path().string()] = problem->detail;
  };
  if (key_file_) ask(*key_file_);
  for (const auto& [name, member] : members_) ask(member);
  std::set<std::string> now_said;
  for (const auto& [path, detail] : problems_) {
    now_said.insert(detail);
    if (!at_start && !said_.contains(detail))
      log_.warning("key_file_unusable", "a key file cannot be used; a good version of it from before stays in use",
                   {{"file", path}, {"reason", detail}});
  }
  said_ = std::move(now_said);
  metrics_.gauge(telemetry::kKeyFilesUnusable).set(static_cast<double>(problems_.size()));
}

NamedKey KeyRing::choose_signing(const KeySet& set, SteadyTime now) const {
  if (const auto named = set.by_kid.find(signing_key_); named != set.by_kid.end() && named->second->can_sign())
    return {named->first, named->second};
  if (key_file_ && key_file_->file.key()) return {key_file_->kid, key_file_->file.key()};
  NamedKey last, last_known_everywhere;
  std::map<std::string_view, const Member*> by_kid;
  for (const auto& [name, member] : members_) by_kid.emplace(member.kid, &member);
  for (const auto& [kid, member] : by_kid) {
    const auto& key = member->file.key();
    if (!key || !key->can_sign()) continue;
    last = {member->kid, key};
    if (member->from_start || now - member->file.taken() >= kSignsAfter) last_known_everywhere = last;
  }
  return last_known_everywhere.key ? last_known_everywhere : last;
}

void KeyRing::publish(SteadyTime now, bool changed) {
  auto set = std::make_shared<KeySet>();
  std::map<std::string, KeyPointer> named;
  for (auto& [name, member] : members_) {
    const auto& key = member.file.key();
    if (key != member.known && member.known) member.from_start = false;  // another key under the same name is a new one
    member.known = key;
    if (key) named[member.kid] = key;
  }
  set->by_kid.insert(named.begin(), named.end());
  // An HMAC key is also known by its own id, which is what mint_token() writes.
  for (const auto& [kid, key] : named)
    if (key->symmetric()) set->by_kid.try_emplace(key->id(), key);
  if (key_file_ && key_file_->file.key()) {
    set->without_kid = key_file_->file.key();
    set->by_kid.try_emplace(key_file_->kid, set->without_kid);
  } else if (!key_file_ && named.size() == 1) {
    set->without_kid = named.begin()->second;
  }
  set->signing = choose_signing(*set, now);
  set->signing_texts = set->signing;
  if (set->signing.key && !set->signing.key->symmetric()) {
    for (const auto& [kid, key] : named)
      if (key->symmetric()) set->signing_texts = {key->id(), key};
    if (key_file_ && key_file_->file.key()) set->signing_texts = {key_file_->kid, key_file_->file.key()};
  } else if (set->signing.key) {
    set->signing_texts.kid = set->signing.key->id();
  }
  const auto before = published_.get();
  if (!changed && before->signing.key == set->signing.key && before->signing.kid == set->signing.kid) return;

  set->jwks = std::make_shared<const std::string>(public_keys(named));
  for (const auto& [kid, key] : set->by_kid)
    if (!before->by_kid.contains(kid))
      log_.info("key_added", "a key can be used", {{"kid", kid}, {"algorithm", algorithm_name(key->algorithm())}});
  for (const auto& [kid, key] : before->by_kid)
    if (!set->by_kid.contains(kid)) log_.info("key_withdrawn", "a key is no longer good", {{"kid", kid}});
  if (before->signing.kid != set->signing.kid)
    log_.info("key_signs", "tokens are signed with another key", {{"kid", set->signing.kid}});
  published_.set(set);
  if (changed) epoch_.fetch_add(1, std::memory_order_acq_rel);

  std::map<std::string, double> created;
  // The key file's key may stand in the directory too (one Secret for both): it has one age, under its own id.
  for (const auto& [name, member] : members_)
    if (member.file.key() && !is_key_of_file(*member.file.key())) created[member.kid] = member.file.modified_s();
  if (key_file_ && key_file_->file.key()) created.try_emplace(key_file_->kid, key_file_->file.modified_s());
  for (const auto& kid : shown_)
    if (!created.contains(kid)) metrics_.gauge(telemetry::kKeyCreatedTimestampSeconds, {kid}).set(0);
  for (const auto& [kid, created_s] : created) show_in_metrics(kid, created_s);
}

bool KeyRing::is_key_of_file(const Key& key) const {
  return key_file_ && key_file_->file.key() && key.symmetric() && key.id() == key_file_->kid;
}

void KeyRing::show_in_metrics(const std::string& kid, double created_s) {
  // A series once made stays: so many rotations later no more are made.
  if (!shown_.contains(kid) && shown_.size() >= kKidsShownMost) return;
  shown_.insert(kid);
  metrics_.gauge(telemetry::kKeyCreatedTimestampSeconds, {kid}).set(created_s);
}

}  // namespace detection::security
