#include "slotctl/slots.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>

#include "detection/json_writer.hpp"

namespace detection::slotctl {
namespace {

constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-";

/// A wrong file, inside this file only: the borders of the room give a Result.
struct Wrong {
  std::string text;
};

[[noreturn]] void wrong(const YAML::Node& node, std::string text) {
  if (const auto mark = node.Mark(); !mark.is_null()) text = "line " + std::to_string(mark.line + 1) + ": " + text;
  throw Wrong{std::move(text)};
}

/// A value on one line, of the same type when it is read again: what was quoted, or could be read as more than one
/// word in a list, is quoted.
void append_flow(std::string& out, const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null: out += "null"; return;
    case YAML::NodeType::Scalar: {
      const auto& text = node.Scalar();
      const bool quoted = node.Tag() == "!" || text.empty() || text.find_first_not_of(kPlain) != std::string::npos;
      if (quoted)
        json::append_string(out, text);
      else
        out += text;
      return;
    }
    case YAML::NodeType::Sequence: {
      out.push_back('[');
      bool first = true;
      for (const auto& item : node) {
        if (!std::exchange(first, false)) out += ", ";
        append_flow(out, item);
      }
      out.push_back(']');
      return;
    }
    case YAML::NodeType::Map: {
      out.push_back('{');
      bool first = true;
      for (const auto& entry : node) {
        if (!std::exchange(first, false)) out += ", ";
        append_flow(out, entry.first);
        out += ": ";
        append_flow(out, entry.second);
      }
      out.push_back('}');
      return;
    }
  }
}

template <std::size_t N>
void only(const YAML::Node& node, const std::string& path, const std::array<std::string_view, N>& known) {
  if (!node.IsMap()) wrong(node, path + " must be a mapping");
  for (const auto& entry : node) {
    const auto key = entry.first.Scalar();
    if (std::ranges::find(known, key) == known.end())
      wrong(entry.first, path + "." + key + " is not known to slotctl, which would lose it");
  }
}

std::string text_at(const YAML::Node& parent, const char* key, const std::string& path) {
  const auto node = parent[key];
  if (!node || node.IsNull()) return {};
  if (!node.IsScalar()) wrong(node, path + "." + key + " must be a text");
  return node.Scalar();
}

std::map<std::string, std::string> config_of(const YAML::Node& node, const std::string& path) {
  std::map<std::string, std::string> config;
  if (!node || node.IsNull()) return config;
  if (!node.IsMap()) wrong(node, path + " must be a mapping");
  for (const auto& entry : node) append_flow(config[entry.first.Scalar()], entry.second);
  return config;
}

SlotValues slot_of(const YAML::Node& node, const std::string& path) {
  if (!node) throw Wrong{path + " is missing"};
  only(node, path, std::array<std::string_view, 4>{"state", "minReplicas", "image", "config"});
  SlotValues slot;
  const auto state = text_at(node, "state", path);
  if (state != "running" && state != "idle") wrong(node, path + ".state must be running or idle");
  slot.running = state == "running";
  if (const auto least = node["minReplicas"]; least && !least.IsNull()) {
    int number = 0;
    if (!YAML::convert<int>::decode(least, number) || number < 1)
      wrong(least, path + ".minReplicas must be null or a number of at least 1");
    slot.min_replicas = number;
  }
  if (const auto image = node["image"]; image && !image.IsNull()) {
    only(image, path + ".image", std::array<std::string_view, 3>{"repository", "tag", "digest"});
    slot.image = {text_at(image, "repository", path + ".image"), text_at(image, "tag", path + ".image"),
                  text_at(image, "digest", path + ".image")};
  }
  slot.config = config_of(node["config"], path + ".config");
  return slot;
}

Slots slots_of(const YAML::Node& root) {
  if (!root.IsMap() || !root["slots"]) throw Wrong{"it has no `slots`: an environment without slots has no releases"};
  only(root, "the file", std::array<std::string_view, 2>{"slots", "hooks"});
  const auto node = root["slots"];
  only(node, "slots", std::array<std::string_view, 3>{"active", "blue", "green"});
  Slots slots;
  const auto active = slot_named(text_at(node, "active", "slots"));
  if (!active) wrong(node, "slots.active must be blue or green");
  slots.active = *active;
  slots.blue = slot_of(node["blue"], "slots.blue");
  slots.green = slot_of(node["green"], "slots.green");
  if (!slots.of(slots.active).running) throw Wrong{"the active slot is idle"};
  if (const auto hooks = root["hooks"]) {
    only(hooks, "hooks", std::array<std::string_view, 1>{"migrate"});
    if (const auto migrate = hooks["migrate"]) {
      only(migrate, "hooks.migrate", std::array<std::string_view, 1>{"enabled"});
      if (const auto enabled = migrate["enabled"]; enabled && !YAML::convert<bool>::decode(enabled, slots.migrate))
        wrong(enabled, "hooks.migrate.enabled must be true or false");
    }
  }
  return slots;
}

/// Runs what may throw: yaml-cpp's errors and ours become one.
template <class Read>
auto guarded(std::string_view yaml, Read read) -> Result<decltype(read(YAML::Node{}))> {
  try {
    return read(YAML::Load(std::string(yaml)));
  } catch (const Wrong& e) {
    return fail(ErrorCode::kConfiguration, e.text);
  } catch (const YAML::Exception& e) {
    return fail(ErrorCode::kConfiguration, e.what());
  }
}

void append_slot(std::string& out, std::string_view name, const SlotValues& slot) {
  out += "  " + std::string(name) + ":\n    state: " + (slot.running ? "running" : "idle") +
         "\n    minReplicas: " + (slot.min_replicas ? std::to_string(*slot.min_replicas) : "null") +
         "\n    image: {repository: ";
  json::append_string(out, slot.image.repository);
  out += ", tag: ";
  json::append_string(out, slot.image.tag);
  out += ", digest: ";
  json::append_string(out, slot.image.digest);
  out += "}\n    config:";
  if (slot.config.empty()) {
    out += " {}\n";
    return;
  }
  out.push_back('\n');
  for (const auto& [option, value] : slot.config) out += "      " + option + ": " + value + "\n";
}

}  // namespace

std::string_view slot_name(Slot slot) noexcept {
  return slot == Slot::kBlue ? "blue" : "green";
}

std::optional<Slot> slot_named(std::string_view name) noexcept {
  if (name == "blue") return Slot::kBlue;
  if (name == "green") return Slot::kGreen;
  return std::nullopt;
}

std::string Image::text() const {
  if (!tag.empty()) return tag;
  return digest.empty() ? "the chart's image" : digest;
}

Result<Slots> parse_slots(std::string_view yaml) {
  return guarded(yaml, slots_of);
}

Result<std::map<std::string, std::string>> parse_config(std::string_view yaml) {
  return guarded(yaml, [](const YAML::Node& root) { return config_of(root, "config"); });
}

std::string format_slots(const Slots& slots, std::string_view environment) {
  const std::string name(environment);
  std::string out = "# The state of the release in " + name +
                    "; written by the release driver, then kubernetes/render " + name +
                    ". Over kubernetes/chart/values-" + name + ".yaml.\nslots:\n  active: ";
  out += std::string(slot_name(slots.active)) + "\n";
  append_slot(out, "blue", slots.blue);
  append_slot(out, "green", slots.green);
  out += "hooks:\n  migrate:\n    enabled: ";
  out += slots.migrate ? "true" : "false";
  out += " # false in a commit that only moves the active slot\n";
  return out;
}

}  // namespace detection::slotctl
