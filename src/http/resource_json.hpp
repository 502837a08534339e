#pragma once
// The JSON of what is no detection: audit events, the verdict on the audit, API keys.

#include <optional>
#include <string>
#include <string_view>

#include "detection/json_writer.hpp"
#include "detection/time.hpp"
#include "security/authority.hpp"
#include "store/store.hpp"

namespace detection::http {

/// The time, or null.
void append_time(json::Writer& w, std::string_view key, const std::optional<UtcMicros>& time);

void append_audit_event(json::Writer& w, const store::AuditEvent& event);
/// With its `subject`, the detection that it is about, or null.
void append_audit_item(json::Writer& w, const store::AuditPage::Item& item);
void append_verdict(std::string& out, const store::AuditVerdict& verdict);

void append_api_key(json::Writer& w, const security::ApiKeyInfo& key);
/// With the secret, as `key`.
void append_new_api_key(json::Writer& w, const security::NewApiKey& key);

}  // namespace detection::http
