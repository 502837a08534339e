// The audit: search, and the check of its chains.

#include "http/api.hpp"
#include "http/body_fields.hpp"
#include "http/resource_json.hpp"

namespace detection::http {
namespace {

std::string page_json(const store::AuditPage& page) {
  std::string body;
  json::Writer w(body);
  w.begin_object();
  w.key("items");
  w.begin_array();
  for (const auto& item : page.items) append_audit_item(w, item);
  w.end_array();
  w.key("next_cursor");
  if (page.next)
    w.string(*page.next);
  else
    w.null();
  w.end_object();
  return body;
}

std::string page_lines(const store::AuditPage& page) {
  std::string body;
  for (const auto& item : page.items) {
    json::Writer w(body);
    append_audit_item(w, item);
    body.push_back('\n');
  }
  return body;
}

}  // namespace

void Api::get_audit_search(Exchange& x) {
  auto query = parse_audit_query(x.head.query);
  if (!query) return refuse(x, std::move(query.error()));
  read(x, state_.workers, [this, query = std::move(*query), lines = x.notes.other_form]() -> Result<Rendered> {
    const auto page = state_.rooms.store.search_audit(query.filter, query.cursor, query.limit);
    if (!page) return std::unexpected(page.error());
    Rendered rendered;
    rendered.headers = "Vary: Accept\r\n";
    rendered.body = lines ? page_lines(*page) : page_json(*page);
    if (!lines) return rendered;
    rendered.content_type = "application/x-ndjson";
    // Lines have no place for it.
    if (page->next) rendered.headers.append("X-Next-Cursor: ").append(*page->next).append("\r\n");
    return rendered;
  });
}

void Api::get_audit_verify(Exchange& x) {
  defer(x);
  state_.audit_check.ask([this, &x](const AuditCheck::Outcome& outcome) {
    loop_.post([this, &x, outcome] {
      if (!*outcome) return refuse(x, outcome->error());
      x.answer_large({}, **outcome);
    });
  });
}

}  // namespace detection::http
