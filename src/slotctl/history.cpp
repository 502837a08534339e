#include "slotctl/observed.hpp"

namespace detection::slotctl {
namespace {

std::string step_of(const std::string& message) {
  const auto at = message.rfind(kStepTrailer);
  if (at == std::string::npos || (at > 0 && message[at - 1] != '\n')) return {};
  const auto begin = at + kStepTrailer.size();
  return message.substr(begin, message.find('\n', begin) - begin);
}

/// A switch back: by us, or by `git revert` of a switch (not of a rollback, which goes forward again).
bool is_rollback(const std::string& message) {
  if (!message.starts_with("Revert ")) return step_of(message) == "rollback";
  const auto subject = message.substr(0, message.find('\n'));
  return subject.find("roll back") == std::string::npos && !subject.starts_with("Revert \"Revert ");
}

}  // namespace

History history_of(std::span<const Version> versions) {
  History history;
  const auto active = versions.front().slots.active;
  history.last_step = step_of(versions.front().message);
  bool idle_since = false;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    const auto& version = versions[i];
    if (version.slots.active != active) {
      history.switched_s = versions[i - 1].time_s;
      history.rolled_back = is_rollback(versions[i - 1].message);
      break;
    }
    const auto& values = version.slots.of(other(active));
    if (values.running) continue;
    idle_since = true;
    if (!history.other_at_rest) history.other_at_rest = values;
  }
  history.standby = history.switched_s && !idle_since;
  return history;
}

}  // namespace detection::slotctl
