#include "http/docs_page.hpp"

#include <string_view>

#include "http/base64.hpp"
#include "http/docs_html.hpp"
#include "http/open_api.hpp"
#include "pipeline/normalise.hpp"

namespace detection::http {
namespace {

namespace dom = docs::dom;

constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--link:#0b62c4}
@media (prefers-color-scheme:dark){:root{--link:#7db4ff}}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1rem}
a{color:var(--link)}code,pre{font:0.9em/1.45 ui-monospace,monospace}
pre{background:var(--soft);padding:.75rem;overflow-x:auto;border-radius:.3rem;white-space:pre-wrap;overflow-wrap:anywhere}
h2{border-bottom:2px solid var(--line);margin-top:3rem}h3{margin:2.2rem 0 .5rem}h4{margin:1rem 0 .3rem}
table{border-collapse:collapse;width:100%}th,td{border-bottom:1px solid var(--line);padding:.3rem .6rem .3rem 0;text-align:left;vertical-align:top}
td code{overflow-wrap:anywhere}nav ul{columns:2 20rem;list-style:none;padding:0}nav li{margin:.15rem 0}
.method{display:inline-block;min-width:4.2em;font-weight:700}.rule{opacity:.85;font-size:.92em}.need{font-weight:700}
)css";

/// Walks the document; what it does not find it leaves out. The text is our own, and escaped all the same.
class Page {
 public:
  explicit Page(dom::element root) : root_(root) {}

  std::string make() {
    out_ =
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
        "content=\"width=device-width, initial-scale=1\">\n<title>";
    text(docs::text_at(root_, "/info/title"));
    out_.append(" API</title>\n<style>").append(kStyle).append("</style>\n</head>\n<body>\n");
    head();
    contents();
    for (const dom::element tag : docs::array_at(root_, "/tags")) tag_section(tag);
    errors();
    schemas();
    out_.append("</body>\n</html>\n");
    return std::move(out_);
  }

 private:
  /// What a $ref points to, else the element itself.
  [[nodiscard]] dom::element resolved(dom::element element) const {
    const auto reference = docs::text_at(element, "/$ref");
    dom::element found;
    if (!reference.empty() && root_.at_pointer(reference.substr(1)).get(found) == simdjson::SUCCESS) return found;
    return element;
  }

  void text(std::string_view plain) { docs::append_text(out_, plain); }
  void code(std::string_view plain) { docs::append_code(out_, plain); }
  void prose(std::string_view words) { docs::append_prose(out_, words); }
  void link(std::string_view kind, std::string_view name) { docs::append_link(out_, kind, name); }
  void rules(dom::element schema) { docs::append_rules(out_, schema); }

  void head() {
    out_.append("<h1>");
    text(docs::text_at(root_, "/info/title"));
    out_.append("</h1>\n");
    prose(docs::text_at(root_, "/info/summary"));
    prose(docs::text_at(root_, "/info/description"));
    out_.append("<p>The same for programs: <a href=\"/openapi.json\">/openapi.json</a> (OpenAPI ");
    text(docs::text_at(root_, "/openapi"));
    out_.append(").</p>\n");
  }

  template <class Each>
  void each_operation(std::string_view tag, Each&& each) {
    for (const auto& [path, methods] : docs::members_at(root_, "/paths"))
      for (const auto& [method, operation] : docs::members_at(methods, ""))
        if (method != "head" && docs::text_at(operation, "/tags/0") == tag) each(path, method, operation);
  }

  static std::string upper(std::string_view method) {
    std::string out(method);
    for (char& c : out) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    return out;
  }
  void title(std::string_view path, std::string_view method) {
    out_.append("<code><span class=\"method\">").append(upper(method)).append("</span> ");
    text(path);
    out_.append("</code>");
  }

  void contents() {
    out_.append("<nav aria-label=\"Contents\">\n");
    for (const dom::element tag : docs::array_at(root_, "/tags")) {
      out_.append("<h4>");
      text(docs::text_at(tag, "/name"));
      out_.append("</h4>\n<ul>\n");
      each_operation(docs::text_at(tag, "/name"), [&](auto path, auto method, dom::element operation) {
        out_.append("<li><a href=\"#").append(docs::text_at(operation, "/operationId")).append("\">");
        title(path, method);
        out_.append("</a></li>\n");
      });
      out_.append("</ul>\n");
    }
    out_.append("<p><a href=\"#errors\">Errors</a> · <a href=\"#schemas\">Schemas</a></p>\n</nav>\n");
  }

  void tag_section(dom::element tag) {
    const auto name = docs::text_at(tag, "/name");
    out_.append("<section>\n<h2 id=\"tag-").append(name).append("\">");
    text(name);
    out_.append("</h2>\n");
    prose(docs::text_at(tag, "/description"));
    each_operation(name,
                   [&](auto path, auto method, dom::element operation) { operation_article(path, method, operation); });
    out_.append("</section>\n");
  }

  void operation_article(std::string_view path, std::string_view method, dom::element operation) {
    out_.append("<article>\n<h3 id=\"").append(docs::text_at(operation, "/operationId")).append("\">");
    title(path, method);
    out_.append("</h3>\n<p><strong>");
    text(docs::text_at(operation, "/summary"));
    out_.append(".</strong></p>\n");
    if (const auto description = docs::text_at(operation, "/description"); !description.empty()) prose(description);
    const auto scope = docs::text_at(operation, "/security/0/bearer/0");
    out_.append("<p>Scope: ");
    scope.empty() ? void(out_.append("none is needed")) : code(scope);
    out_.append(".</p>\n");
    parameters(operation);
    body(operation);
    curl(path, method, operation, !scope.empty());
    answers(operation);
    out_.append("</article>\n");
  }

  void parameters(dom::element operation) {
    out_.append(
        "<h4>Parameters</h4>\n<table>\n<thead><tr><th>name</th><th>in</th><th>value</th></tr></thead>\n<tbody>\n");
    for (const dom::element one : docs::array_at(operation, "/parameters")) {
      const auto parameter = resolved(one);
      out_.append("<tr><td>");
      code(docs::text_at(parameter, "/name"));
      out_.append("</td><td>").append(docs::text_at(parameter, "/in")).append("</td><td>");
      text(docs::text_at(parameter, "/description"));
      dom::element schema;
      if (parameter.at_pointer("/schema").get(schema) == simdjson::SUCCESS) rules(schema);
      out_.append("</td></tr>\n");
    }
    out_.append("</tbody>\n</table>\n");
  }

  void body(dom::element operation) {
    const auto forms = docs::members_at(operation, "/requestBody/content");
    if (forms.empty()) return;
    out_.append("<h4>Body</h4>\n");
    for (const auto& [media, form] : forms) {
      out_.append("<p>");
      code(media);
      out_.append(" ");
      schema_name(form);
      out_.append("</p>\n");
      for (const auto& [name, reference] : docs::members_at(form, "/examples")) example(resolved(reference));
    }
  }
  void schema_name(dom::element form) {
    if (const auto reference = docs::text_at(form, "/schema/$ref"); !reference.empty())
      link("schema", docs::last_of(reference));
  }
  void example(dom::element example) {
    dom::element value;
    if (example.at_pointer("/value").get(value) != simdjson::SUCCESS) return;
    out_.append("<details><summary>Example: ");
    text(docs::text_at(example, "/summary"));
    out_.append("</summary>\n<pre>");
    std::string_view plain;
    if (value.get_string().get(plain) == simdjson::SUCCESS)
      text(plain);
    else
      docs::append_pretty(out_, value);
    out_.append("</pre></details>\n");
  }

  void curl(std::string_view path, std::string_view method, dom::element operation, bool authenticated) {
    std::string line = "curl";
    if (method != "get") line.append(" -X ").append(upper(method));
    line.append(" \"$SERVICE").append(path).append("\"");
    if (authenticated) line.append(" \\\n  -H \"Authorization: Bearer $TOKEN\"");
    const auto forms = docs::members_at(operation, "/requestBody/content");
    if (!forms.empty()) {
      line.append(" \\\n  -H \"Content-Type: ").append(forms.front().first).append("\"");
      for (const auto& [name, reference] : docs::members_at(forms.front().second, "/examples")) {
        dom::element value;
        if (resolved(reference).at_pointer("/value").get(value) == simdjson::SUCCESS)
          line.append(" \\\n  -d '").append(simdjson::minify(value)).append("'");
        break;
      }
    }
    out_.append("<pre>");
    text(line);
    out_.append("</pre>\n");
  }

  void answers(dom::element operation) {
    out_.append("<h4>Answers</h4>\n<table>\n<thead><tr><th>status</th><th>what</th></tr></thead>\n<tbody>\n");
    for (const auto& [status, answer] : docs::members_at(operation, "/responses")) {
      const auto reference = docs::text_at(answer, "/$ref");
      out_.append("<tr><td>").append(status).append("</td><td>");
      if (!reference.empty()) {
        link("error", docs::last_of(reference));
      } else {
        text(docs::text_at(answer, "/description"));
        for (const auto& [media, form] : docs::members_at(answer, "/content")) {
          out_.append(" ");
          code(media);
          out_.append(" ");
          schema_name(form);
          for (const auto& [name, one] : docs::members_at(form, "/examples")) example(resolved(one));
        }
        header_names(answer);
      }
      out_.append("</td></tr>\n");
    }
    out_.append("</tbody>\n</table>\n");
  }
  void header_names(dom::element answer) {
    const auto headers = docs::members_at(answer, "/headers");
    if (headers.empty()) return;
    out_.append("<br><span class=\"rule\">Header:");
    for (const auto& [name, header] : headers) {
      out_.append(" ");
      code(name);
    }
    out_.append("</span>");
  }

  void errors() {
    out_.append("<section>\n<h2 id=\"errors\">Errors</h2>\n");
    for (const auto& [name, response] : docs::members_at(root_, "/components/responses")) {
      out_.append("<h3 id=\"error-").append(name).append("\">").append(name).append("</h3>\n");
      prose(docs::text_at(response, "/description"));
      out_.append("<p>");
      header_names(response);
      out_.append("</p>\n");
    }
    out_.append("</section>\n");
  }

  void schemas() {
    out_.append("<section>\n<h2 id=\"schemas\">Schemas</h2>\n");
    for (const auto& [name, schema] : docs::members_at(root_, "/components/schemas")) {
      out_.append("<h3 id=\"schema-").append(name).append("\">").append(name).append("</h3>\n");
      if (const auto description = docs::text_at(schema, "/description"); !description.empty()) prose(description);
      if (docs::members_at(schema, "/properties").empty()) {
        out_.append("<p>");
        rules(schema);
        out_.append("</p>\n");
        continue;
      }
      out_.append("<table>\n<thead><tr><th>member</th><th>value</th></tr></thead>\n<tbody>\n");
      properties(schema, {});
      out_.append("</tbody>\n</table>\n");
      alternatives(schema);
    }
    out_.append("</section>\n");
  }

  void alternatives(dom::element schema) {
    const auto all = docs::array_at(schema, "/oneOf");
    if (all.empty()) return;
    out_.append("<p>Exactly one of:");
    for (const auto one : all) {
      out_.append(" ");
      code(simdjson::minify(one));
    }
    out_.append("</p>\n");
  }

  void properties(dom::element schema, const std::string& prefix) {
    const auto required = docs::array_at(schema, "/required");
    for (const auto& [name, property] : docs::members_at(schema, "/properties")) {
      bool needed = false;
      for (const dom::element one : required) needed |= one.get_string().value_unsafe() == name;
      out_.append("<tr><td>");
      code(prefix + std::string(name));
      if (needed) out_.append(" <span class=\"need\" title=\"required\">*</span>");
      out_.append("</td><td>");
      text(docs::text_at(property, "/description"));
      rules(property);
      out_.append("</td></tr>\n");
      properties(property, prefix + std::string(name) + ".");
      dom::element items;
      if (property.at_pointer("/items").get(items) == simdjson::SUCCESS)
        properties(items, prefix + std::string(name) + "[].");
    }
  }

  dom::element root_;
  std::string out_;
};

DocsPage make_page() {
  DocsPage page;
  dom::parser parser;
  dom::element root;
  if (parser.parse(open_api_document()).get(root) == simdjson::SUCCESS) page.html = Page(root).make();
  const auto hash = pipeline::sha256(kStyle);
  page.content_security_policy = "default-src 'none'; style-src 'sha256-" +
                                 encode_base64({reinterpret_cast<const char*>(hash.data()), hash.size()}) +
                                 "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  return page;
}

}  // namespace

const DocsPage& docs_page() {
  static const DocsPage page = make_page();
  return page;
}

}  // namespace detection::http
