#include "http/commit_log.hpp"

#include <algorithm>
#include <vector>

namespace detection::http {
namespace {

using telemetry::Level;

struct Outcome {
  Level level = Level::kInfo;
  std::string_view event, message;
  std::string_view state{};  ///< of what was accepted
  bool exercise = false;
  bool operator==(const Outcome&) const = default;
};

std::string_view state_of(const store::Acceptance& item, bool spooled) {
  if (spooled) return "spooled";
  switch (item.disposition) {
    case store::Disposition::kQueue: return "queued";
    case store::Disposition::kHold: return "held";
    case store::Disposition::kDiscard: return "discarded";
  }
  return "queued";
}

Outcome outcome_of(const store::Acceptance& item, store::CommitOutcome outcome, bool spooled) {
  const bool exercise = item.located.exercise;
  switch (outcome) {
    case store::CommitOutcome::kCreated:
      return {Level::kInfo, "detection_accepted",
              exercise ? "accepted as an exercise: it goes to no TAK server" : "accepted and durable",
              state_of(item, spooled), exercise};
    case store::CommitOutcome::kRepeated:
      return {Level::kInfo, "detection_repeated", "was accepted before; nothing was done", {}, exercise};
    case store::CommitOutcome::kConflict:
      return {Level::kWarning, "detection_conflict", "was accepted before with other content: refused", {}, exercise};
  }
  return {};
}

struct Group {
  Outcome outcome;
  const LocatedDetection* first;
  std::vector<Uuid> ids;
};

void write(telemetry::Log& log, const Exchange& x, const Group& group) {
  const auto& [outcome, first, ids] = group;
  const bool alone = ids.size() == 1;
  using telemetry::Field, telemetry::where_given;
  log.about(ids, outcome.level, outcome.event, outcome.message,
            {where_given("state", outcome.state), where_given("source", alone ? first->source : std::string_view{}),
             where_given("confidence_flag", alone ? flag_name(first->verdict.flag) : std::string_view{}),
             outcome.exercise ? Field("exercise", true) : Field("", false), Field("request_id", x.request_id),
             where_given("trace_id", x.trace_id)});
}

}  // namespace

void log_commit(telemetry::Log& log, const Exchange& x, const store::CommitJob& job) {
  std::vector<Group> groups;
  for (std::size_t i = 0; i < job.items.size(); ++i) {
    const auto& item = job.items[i];
    const auto outcome = outcome_of(item, job.results[i].outcome, job.spooled);
    if (!log.enabled(outcome.level)) continue;
    auto group = std::ranges::find(groups, outcome, &Group::outcome);
    if (group == groups.end()) group = groups.insert(group, {outcome, &item.located, {}});
    group->ids.push_back(item.located.id);
  }
  for (const auto& group : groups) write(log, x, group);
}

}  // namespace detection::http
