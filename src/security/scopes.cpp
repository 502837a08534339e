#include "security/token.hpp"

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

}  // namespace detection::security
