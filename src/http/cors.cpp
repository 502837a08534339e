#include "http/cors.hpp"

#include <algorithm>

namespace detection::http {

bool Cors::allows(std::string_view origin) const noexcept {
  return !origin.empty() && std::ranges::find(origins_, origin) != origins_.end();
}

void Cors::append_headers(std::string& out, std::string_view origin) const {
  if (origins_.empty()) return;
  // Also without an Origin: what a cache keeps must not be given to another one.
  out.append("Vary: Origin\r\n");
  if (!allows(origin)) return;
  out.append("Access-Control-Allow-Origin: ").append(origin);
  out.append(
      "\r\nAccess-Control-Expose-Headers: Location, X-Detection-ID, X-Confidence-Flag, RateLimit, RateLimit-Policy, "
      "Retry-After, ETag, X-Request-ID, X-Next-Cursor\r\n");
}

bool Cors::is_preflight(const RequestHead& head) const noexcept {
  return head.method == Method::kOptions && !head.requested_method.empty() && allows(head.origin);
}

void Cors::append_preflight(std::string& out, std::string_view methods) {
  out.append("Access-Control-Allow-Methods: ").append(methods);
  out.append(
      "\r\nAccess-Control-Allow-Headers: Authorization, Content-Type, Idempotency-Key, X-API-Key, Last-Event-ID, "
      "If-None-Match\r\nAccess-Control-Max-Age: 600\r\n");
}

}  // namespace detection::http
