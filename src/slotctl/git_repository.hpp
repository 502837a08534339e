#pragma once
// The branch that Argo CD follows, through a clone of slotctl's own: the operator's working tree is never touched, and
// a killed run leaves nothing behind that the next one would look at.

#include <filesystem>
#include <map>
#include <memory>

#include "slotctl/child.hpp"
#include "slotctl/ports.hpp"

namespace detection::slotctl {

struct GitOptions {
  std::string url{};  ///< as git takes it
  std::string branch = "main";
  std::string environment{};
  std::filesystem::path reference{};  ///< a clone whose objects may be used (the operator's own); empty: none
  std::filesystem::path tools{};      ///< a folder to look for helm in first; empty: PATH alone
};

class GitRepository final : public Repository {
 public:
  /// Clones. `folder` must be empty and outlive it.
  [[nodiscard]] static Result<std::unique_ptr<GitRepository>> open(GitOptions options, std::filesystem::path folder);

  [[nodiscard]] Result<GitState> read() override;
  [[nodiscard]] Result<Thresholds> thresholds() override;
  [[nodiscard]] Result<bool> push(const std::string& base, const Slots& slots, const std::string& message) override;
  [[nodiscard]] Result<std::string> preview(const std::string& base, const Slots& slots) override;
  [[nodiscard]] bool contains(const std::string& revision, const std::string& ancestor) override;
  [[nodiscard]] Result<Image> live_image(const std::string& environment) override;

 private:
  GitRepository(GitOptions options, std::filesystem::path folder)
      : options_(std::move(options)), folder_(std::move(folder)) {}
  [[nodiscard]] Result<ChildOutput> git(std::vector<std::string> arguments) const;
  /// Its standard output without the last line's end; an exit code other than 0 is an error.
  [[nodiscard]] Result<std::string> ask(std::vector<std::string> arguments) const;
  [[nodiscard]] Result<std::string> fetch() const;
  [[nodiscard]] Result<GitState> state_of(const std::string& head) const;
  /// The tree of `base` with the slots and what is rendered of them.
  [[nodiscard]] Result<void> write(const std::string& base, const Slots& slots) const;
  [[nodiscard]] std::string slots_path() const {
    return "kubernetes/environments/" + options_.environment + "/slots.yaml";
  }

  GitOptions options_;
  std::filesystem::path folder_;
  std::optional<GitState> last_{};
  std::map<std::pair<std::string, std::string>, bool> contained_{};
};

}  // namespace detection::slotctl
