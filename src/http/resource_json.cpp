#include "http/resource_json.hpp"

namespace detection::http {
namespace {

void audit_members(json::Writer& w, const store::AuditEvent& event) {
  w.key("time");
  w.string(format_rfc3339_us(event.at));
  w.key("type");
  w.string(event.type);
  w.key("severity");
  w.string(event.severity);
  w.key("actor");
  w.string(event.actor);
  w.key("chain");
  w.string(event.chain);
  w.key("record");
  w.integer(event.record);
  w.key("detail");
  w.raw(event.detail_json.empty() ? std::string_view("{}") : std::string_view(event.detail_json));
}

void api_key_members(json::Writer& w, const security::ApiKeyInfo& key) {
  w.key("id");
  w.string(key.id);
  w.key("name");
  w.string(key.name);
  w.key("scopes");
  w.begin_array();
  for (const auto scope : security::kAllScopes)
    if (key.scopes.has(scope)) w.string(security::scope_name(scope));
  w.end_array();
  w.key("created_by");
  w.string(key.created_by);
  append_time(w, "created", key.created);
  append_time(w, "rotated", key.rotated);
  append_time(w, "previous_until", key.previous_until);
  append_time(w, "expires", key.expires);
  append_time(w, "revoked", key.revoked);
  append_time(w, "last_used", key.last_used);
}

}  // namespace

void append_time(json::Writer& w, std::string_view key, const std::optional<UtcMicros>& time) {
  w.key(key);
  if (time)
    w.string(format_rfc3339_us(*time));
  else
    w.null();
}

void append_audit_event(json::Writer& w, const store::AuditEvent& event) {
  w.begin_object();
  audit_members(w, event);
  w.end_object();
}

void append_audit_item(json::Writer& w, const store::AuditPage::Item& item) {
  w.begin_object();
  audit_members(w, item.event);
  w.key("subject");
  if (item.subject)
    w.string(to_string(*item.subject));
  else
    w.null();
  w.end_object();
}

void append_verdict(std::string& out, const store::AuditVerdict& verdict) {
  json::Writer w(out);
  w.begin_object();
  w.key("valid");
  w.boolean(verdict.valid);
  w.key("records");
  w.integer(verdict.records);
  w.key("chains");
  w.begin_array();
  for (const auto& chain : verdict.chains) {
    w.begin_object();
    w.key("name");
    w.string(chain.name);
    w.key("records");
    w.integer(chain.records);
    w.key("head_sha256");
    w.string(chain.head_sha256);
    w.key("pruned_up_to");
    w.integer(chain.pruned_up_to);
    w.end_object();
  }
  w.end_array();
  w.key("first_bad");
  if (verdict.first_bad)
    w.string(*verdict.first_bad);
  else
    w.null();
  w.end_object();
}

void append_api_key(json::Writer& w, const security::ApiKeyInfo& key) {
  w.begin_object();
  api_key_members(w, key);
  w.end_object();
}

void append_new_api_key(json::Writer& w, const security::NewApiKey& key) {
  w.begin_object();
  api_key_members(w, key.info);
  w.key("key");
  w.string(key.secret_text);
  w.end_object();
}

}  // namespace detection::http
