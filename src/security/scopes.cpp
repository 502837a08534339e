#include "security/token.hpp"

#include <algorithm>

#include "detection/text.hpp"

namespace detection::security {

std::string_view scope_name(Scope scope) noexcept {
  switch (scope) {
    case Scope::kDetectionsRead: return "detections:read";
    case Scope::kDetectionsWrite: return "detections:write";
    case Scope::kDetectionsVerify: return "detections:verify";
    case Scope::kAuditRead: return "audit:read";
    case Scope::kAdmin: return "admin";
  }
  return "admin";
}

std::optional<Scope> parse_scope(std::string_view name) noexcept {
  for (const Scope scope : kAllScopes)
    if (scope_name(scope) == name) return scope;
  return std::nullopt;
}

std::string scope_list(ScopeSet scopes) {
  std::string text;
  for (const Scope scope : kAllScopes) {
    if (!scopes.has(scope)) continue;
    if (!text.empty()) text.push_back(' ');
    text.append(scope_name(scope));
  }
  return text;
}

Result<ScopeSet> parse_scope_list(std::string_view text) {
  ScopeSet scopes;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (const auto word = text.substr(0, end); !word.empty()) {
      const auto known = parse_scope(word);
      if (!known) {
        auto there_are = "unknown scope '" + as_utf8(clipped(word, 64)) + "'; there are:";
        for (const Scope scope : kAllScopes) there_are.append(" ").append(scope_name(scope));
        return fail(ErrorCode::kValidationFailed, there_are, {{"scope", there_are}});
      }
      scopes.add(*known);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return scopes;
}

}  // namespace detection::security
