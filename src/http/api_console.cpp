// / and /assets/{name}: the operator's map, as it was built in. No credential is asked for: whoever gets the page still
// needs one for everything that it shows.

#include "http/api.hpp"
#include "http/etag.hpp"

namespace detection::http {
namespace {

constexpr std::string_view kIndex = "index.html";
// No inline code or style, nothing from elsewhere, no HTML made of text (Trusted Types). Pictures are made in the page
// (data:, blob:), or are map tiles of this origin.
constexpr std::string_view kPolicyLine =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Resource-Policy: same-origin\r\n";
constexpr std::string_view kAskAgain = "Cache-Control: no-cache\r\n";
/// Its name holds the hash of what is in it.
constexpr std::string_view kForGood = "Cache-Control: public, max-age=31536000, immutable\r\n";

constexpr std::string_view kNoConsole =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>No console in this build</title>\n"
    "</head>\n<body>\n<h1>This build has no console</h1>\n"
    "<p>It was compiled without the operator's map. <code>./run --build</code> builds it in.</p>\n"
    "<p>The API is complete: <a href=\"/docs\">/docs</a>.</p>\n</body>\n</html>\n";

}  // namespace

void Api::answer_console(Exchange& x, const ConsoleArchive::File& file, std::string_view caching) {
  const auto coding = choose_content_coding(x.head.accept_encoding);
  const auto& form = file.forms[static_cast<std::size_t>(coding)];
  headers_.clear();
  headers_.append("ETag: ")
      .append(form.etag)
      .append("\r\nVary: Accept-Encoding\r\n")
      .append(caching)
      .append(kPolicyLine);
  if (coding != ContentCoding::kIdentity)
    headers_.append("Content-Encoding: ").append(content_coding_name(coding)).append("\r\n");
  if (names_etag(x.head.if_none_match, form.etag)) return x.answer({.status = 304, .headers = headers_});
  x.answer_large({.content_type = file.media_type, .headers = headers_}, std::string(form.bytes));
}

void Api::get_console(Exchange& x) {
  if (const auto* index = state_.console.find(kIndex)) return answer_console(x, *index, kAskAgain);
  static const std::string tag = etag_of(kNoConsole);
  answer_tagged(x, "text/html; charset=utf-8", kNoConsole, tag, kAskAgain);
}

void Api::get_console_asset(Exchange& x, std::string_view name) {
  const auto* file = name == kIndex ? nullptr : state_.console.find(name);
  if (file == nullptr) return refuse(x, {ErrorCode::kNotFound, "there is no such file of the console"});
  answer_console(x, *file, kForGood);
}

}  // namespace detection::http
