#pragma once
// The keys of the key file and the key directory, by kid; re-read when the files change. A key that is there and good
// is never missing from the ring, whatever happens to other files or to a new version of its own; a removed file
// withdraws its key. Private to security/.

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>

#include "security/authority.hpp"
#include "security/key_file.hpp"
#include "security/published.hpp"

namespace detection::security {

struct NamedKey {
  std::string kid;
  KeyPointer key;
};

/// A state of the ring.
struct KeySet {
  std::unordered_map<std::string, KeyPointer, TextHash, std::equal_to<>> by_kid;
  KeyPointer without_kid;  ///< for tokens that name no key: the key file's, or the only one
  NamedKey signing;        ///< null when no key has a private part
  NamedKey signing_texts;  ///< an HMAC key where there is one
  std::shared_ptr<const std::string> jwks;

  [[nodiscard]] KeyPointer find(const std::optional<std::string>& kid) const;
  /// That very key is still one of them.
  [[nodiscard]] bool has(const void* key) const noexcept;
};

class KeyRing {
 public:
  static constexpr std::size_t kKeysMost = 64;
  /// So long after a key appeared the other replicas have it too.
  static constexpr std::chrono::seconds kSignsAfter{90};
  using SteadyClock = SteadyTime (*)();

  /// `epoch` moves on after each change of what verifies. kConfiguration with the file, the reason, and how to make a
  /// key.
  [[nodiscard]] static Result<std::unique_ptr<KeyRing>> open(const AuthorityOptions& options,
                                                             std::atomic<std::uint64_t>& epoch,
                                                             telemetry::Metrics& metrics, telemetry::Log& log,
                                                             SteadyClock clock = std::chrono::steady_clock::now);

  [[nodiscard]] std::shared_ptr<const KeySet> keys() const { return published_.get(); }
  /// Looks at the files.
  void refresh();
  /// A token did not fit these keys: looks at once whether there are others, so that a token of a key that has just
  /// come is not refused. Two file marks where nothing has come, gone or been renamed; at every file for no more than
  /// four such tokens a second. True when keys() is another state now.
  [[nodiscard]] bool look_for_others_than(const KeySet& keys);

  /// kid of a file of the directory: its name without the extension.
  [[nodiscard]] static std::string kid_of(const std::string& file_name);

 private:
  struct Member {
    std::string kid;  ///< of the key file: its key's own
    KeyFile file;
    bool from_start = false;
    KeyPointer known{};  ///< as last published
  };
  KeyRing(const AuthorityOptions& options, std::atomic<std::uint64_t>& epoch, telemetry::Metrics& metrics,
          telemetry::Log& log, SteadyClock clock);
  Result<void> check_start();
  [[nodiscard]] bool seems_changed() const;
  [[nodiscard]] bool may_look_anyway();
  void scan(bool at_start);
  void admit_new_files(SteadyTime now, bool at_start);
  bool collect(SteadyTime now);
  void complain(SteadyTime now, bool at_start);
  void publish(SteadyTime now, bool changed);
  [[nodiscard]] NamedKey choose_signing(const KeySet& set, SteadyTime now) const;
  [[nodiscard]] bool is_key_of_file(const Key& key) const;
  void show_in_metrics(const std::string& kid, double created_s);

  const std::filesystem::path directory_;
  const std::string signing_key_;
  std::atomic<std::uint64_t>& epoch_;
  telemetry::Metrics& metrics_;
  telemetry::Log& log_;
  const SteadyClock clock_;
  Published<KeySet> published_;

  std::mutex scanning_;  // for all below
  std::optional<Member> key_file_;
  std::map<std::string, Member> members_;        ///< by file name
  std::map<std::string, std::string> problems_;  ///< path -> why; those that hold now
  std::set<std::string> said_;                   ///< of problems_, those that were logged
  std::set<std::string> shown_;                  ///< kids that the metrics have
  FileMark directory_mark_{}, key_file_mark_{};  ///< as before the last look
  UtcMicros looked_{};
  double looks_ = 4;  ///< left in the bucket of may_look_anyway()
  SteadyTime looks_since_{};
};

}  // namespace detection::security
