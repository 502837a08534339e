#include "http/request_parser.hpp"

#include <boost/beast/core/string.hpp>

namespace detection::http {

std::string_view method_name(Method method) noexcept {
  switch (method) {
    case Method::kGet: return "GET";
    case Method::kHead: return "HEAD";
    case Method::kPost: return "POST";
    case Method::kPut: return "PUT";
    case Method::kDelete: return "DELETE";
    case Method::kPatch: return "PATCH";
    case Method::kOptions: return "OPTIONS";
    case Method::kOther: return "other";
  }
  return "other";
}

void RequestParser::on_request_impl(verb method, string_view, string_view target, int version, error_code& ec) {
  ec = {};
  version_ = version;
  // Not a switch: most of Beast's methods and fields are nothing to us.
  static constexpr std::pair<verb, Method> kMethodOf[] = {
      {verb::get, Method::kGet},         {verb::head, Method::kHead},      {verb::post, Method::kPost},
      {verb::put, Method::kPut},         {verb::delete_, Method::kDelete}, {verb::patch, Method::kPatch},
      {verb::options, Method::kOptions},
  };
  for (const auto& [theirs, ours] : kMethodOf)
    if (theirs == method) method_ = ours;
  target_ = {text_.size(), target.size(), 1};
  text_.append(target.data(), target.size());
}

void RequestParser::keep(Kept which, string_view value) {
  auto& piece = kept_[which];
  // Accept is a list and may come in parts; the others may come once, which head() sees to.
  if (which == kAccept && piece.times > 0) {
    std::string joined(text(piece));
    joined.append(", ").append(value.data(), value.size());
    piece = {text_.size(), joined.size(), 1};
    text_.append(joined);
    return;
  }
  piece = {text_.size(), value.size(), piece.times + 1};
  text_.append(value.data(), value.size());
}

void RequestParser::on_field_impl(field name, string_view name_text, string_view value, error_code& ec) {
  ec = {};
  if (is_header_done()) return;  // a trailer: nothing of ours is taken from there
  static constexpr std::pair<field, Kept> kKeptFields[] = {{field::authorization, kAuthorization},
                                                           {field::content_type, kContentType},
                                                           {field::content_encoding, kContentEncoding},
                                                           {field::accept, kAccept},
                                                           {field::accept_encoding, kAcceptEncoding},
                                                           {field::if_none_match, kIfNoneMatch},
                                                           {field::origin, kOrigin},
                                                           {field::access_control_request_method, kRequestedMethod}};
  for (const auto& [known, which] : kKeptFields)
    if (known == name) return keep(which, value);
  if (name == field::host) {
    ++hosts_;
  } else if (name == field::transfer_encoding) {
    ++codings_;
    coding_is_chunked_ = coding_is_chunked_ && boost::beast::iequals(value, "chunked");
  } else if (name == field::expect) {
    (boost::beast::iequals(value, "100-continue") ? expect_continue_ : expect_other_) = true;
  } else if (name == field::unknown) {
    keep_unknown(name_text, value);
  }
}

/// Those that Beast has no name for.
void RequestParser::keep_unknown(string_view name, string_view value) {
  static constexpr std::pair<string_view, Kept> kNames[] = {{"idempotency-key", kIdempotencyKey},
                                                            {"x-request-id", kRequestId},
                                                            {"traceparent", kTraceParent},
                                                            {"x-api-key", kApiKey},
                                                            {"last-event-id", kLastEventId}};
  for (const auto& [known, which] : kNames)
    if (boost::beast::iequals(name, known)) return keep(which, value);
  if (!boost::beast::iequals(name, "x-forwarded-for")) return;
  if (!forwarded_for_.empty()) forwarded_for_.append(", ");
  forwarded_for_.append(value.data(), value.size());
}

std::size_t RequestParser::on_body_impl(string_view bytes, error_code& ec) {
  ec = {};
  body_bytes_ += bytes.size();
  if (!discard_ && !body_too_large()) body_.append(bytes.data(), bytes.size());
  return bytes.size();
}

void RequestParser::on_chunk_header_impl(std::uint64_t, string_view, error_code& ec) {
  ec = {};
}

std::size_t RequestParser::on_chunk_body_impl(std::uint64_t, string_view bytes, error_code& ec) {
  return on_body_impl(bytes, ec);
}

std::string_view RequestParser::head(RequestHead& to) const {
  to.method = method_;
  to.target = text(target_);
  to.authorization = text(kept_[kAuthorization]);
  to.content_type = text(kept_[kContentType]);
  to.has_content_type = kept_[kContentType].times > 0;
  to.content_encoding = text(kept_[kContentEncoding]);
  to.accept = text(kept_[kAccept]);
  to.has_accept = kept_[kAccept].times > 0;
  to.idempotency_key = text(kept_[kIdempotencyKey]);
  to.has_idempotency_key = kept_[kIdempotencyKey].times > 0;
  to.request_id = single(kRequestId);
  to.traceparent = single(kTraceParent);
  to.api_key = text(kept_[kApiKey]);
  to.if_none_match = single(kIfNoneMatch);
  to.last_event_id = single(kLastEventId);
  to.accept_encoding = single(kAcceptEncoding);
  to.origin = single(kOrigin);
  to.requested_method = single(kRequestedMethod);
  to.forwarded_for = forwarded_for_;
  to.chunked = chunked();
  if (const auto length = content_length()) to.content_length = *length;

  auto path = to.target;
  // The absolute form (RFC 9112 section 3.2.2) names the host again.
  if (const auto scheme = path.find("://"); scheme != std::string_view::npos && path.substr(0, 4) == "http") {
    const auto slash = path.find('/', scheme + 3);
    path = slash == std::string_view::npos ? std::string_view("/") : path.substr(slash);
  }
  const auto mark = path.find('?');
  to.path = path.substr(0, mark);
  to.query = mark == std::string_view::npos ? std::string_view{} : path.substr(mark + 1);

  if (version_ >= 11 && hosts_ != 1) return "there must be exactly one Host";
  if (hosts_ > 1) return "there must be at most one Host";
  if (codings_ > 0 && version_ < 11) return "Transfer-Encoding is not for HTTP/1.0";
  if (codings_ > 1 || !coding_is_chunked_) return "the only Transfer-Encoding is chunked";
  for (const auto which : {kAuthorization, kContentType, kContentEncoding, kIdempotencyKey, kApiKey})
    if (kept_[which].times > 1) return "a header field is given twice that may be given once";
  if (expect_other_) return "the only expectation that can be met is 100-continue";
  if (to.path.empty() || (to.path.front() != '/' && !(to.path == "*" && method_ == Method::kOptions)))
    return "the target must be a path";
  return {};
}

}  // namespace detection::http
