#include "http/open_api.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "http/body_fields.hpp"
#include "http/detection_json.hpp"
#include "http/docs_page.hpp"
#include "http/problem.hpp"
#include "http/route_table.hpp"
#include "test_paths.hpp"

namespace detection::http {
namespace {

using nlohmann::ordered_json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const ordered_json& document() {
  static const auto parsed = ordered_json::parse(open_api_document());
  return parsed;
}
const ordered_json& schema(const std::string& name) {
  return document()["components"]["schemas"].at(name);
}
const ordered_json& example(const std::string& name) {
  return document()["components"]["examples"].at(name)["value"];
}

Method method_of(const std::string& name) {
  if (name == "post") return Method::kPost;
  if (name == "put") return Method::kPut;
  return name == "delete" ? Method::kDelete : Method::kGet;
}

TEST(OpenApi, DescribesExactlyTheRoutes) {
  EXPECT_EQ(document()["openapi"], "3.1.0");
  std::set<std::string> described, served;
  for (const auto& [path, operations] : document()["paths"].items())
    for (const auto& [method, operation] : operations.items()) {
      described.insert(method + " " + path);
      const auto* spec = std::ranges::find(route_table(), path, &RouteSpec::path);
      ASSERT_NE(spec, route_table().end());
      const auto* known = spec->find(method_of(method));
      ASSERT_NE(known, nullptr) << method << path;
      const auto& security = operation["security"];
      if (!known->scope) {
        EXPECT_TRUE(security.empty() || security[0].empty()) << path;
        continue;
      }
      const std::string scope(security::scope_name(*known->scope));
      ASSERT_EQ(security.size(), 3u);
      EXPECT_EQ(security[0]["bearer"][0], scope);
      EXPECT_EQ(security[1]["apiKey"][0], scope);
      EXPECT_EQ(security[2]["oauth2"][0], scope);
    }
  for (const auto& spec : route_table())
    for (const auto& method : spec.methods) {
      if (!method) continue;
      std::string name(method_name(method->method));
      std::ranges::transform(name, name.begin(), [](char c) { return static_cast<char>(std::tolower(c)); });
      served.insert(name + " " + std::string(spec.path));
      if (method->method == Method::kGet) served.insert("head " + std::string(spec.path));
    }
  EXPECT_EQ(described, served);
}

TEST(OpenApi, FileInTheRepositoryIsThis) {
  const std::string path = DETECTION_SOURCE_ROOT "/openapi/openapi.json";
  const auto text = document().dump(1) + "\n";
  if (std::getenv("DETECTION_UPDATE") != nullptr) std::ofstream(path) << text;
  std::ostringstream kept;
  kept << std::ifstream(path).rdbuf();
  EXPECT_TRUE(kept.str() == text) << path << " is not what the tables say; run this test with DETECTION_UPDATE=1";
}

/// Every $ref below, by text.
void collect(const ordered_json& from, std::set<std::string>& references) {
  for (const auto& [key, value] : from.items()) {
    if (key == "$ref")
      references.insert(value.get<std::string>());
    else if (value.is_structured())
      collect(value, references);
  }
}

TEST(OpenApi, EveryReferenceLeadsToSomethingAndNothingIsLeftOver) {
  std::set<std::string> references, components;
  collect(document(), references);
  for (const auto* kind : {"parameters", "headers", "responses", "schemas", "examples"})
    for (const auto& [name, value] : document()["components"][kind].items())
      components.insert(std::string("#/components/") + kind + "/" + name);
  EXPECT_EQ(references, components);
}

TEST(OpenApi, HasAResponseForEachErrorCode) {
  std::set<std::string> codes;
  for (const auto& [name, response] : document()["components"]["responses"].items())
    for (const auto& [code, one] : response["content"]["application/problem+json"]["examples"].items()) {
      codes.insert(code);
      EXPECT_EQ(one["value"]["code"], code);
    }
  std::set<std::string> known;
  for (const auto code : error_codes()) known.emplace(error_code_name(code));
  EXPECT_EQ(codes, known);
}

/// The fields that a request with this value breaks a rule of.
std::set<std::string> broken_fields(const ordered_json& request) {
  DetectionParser parser;
  const auto result = parser.parse(request.dump(), ParseRules{.now = system_now()});
  std::set<std::string> fields;
  if (result) return fields;
  EXPECT_EQ(result.error().code, ErrorCode::kValidationFailed) << request;
  for (const auto& field : result.error().fields) fields.insert(field.field);
  return fields;
}

/// Holds one field's schema, as the document has it, against what the reader accepts.
class FieldProbe {
 public:
  FieldProbe(ordered_json request, ordered_json::json_pointer where, std::string path)
      : request_(std::move(request)), where_(std::move(where)), path_(std::move(path)) {}

  void check(const ordered_json& rules) {
    for (const auto& good : rules.value("examples", ordered_json::array())) accepts(good);
    for (const auto& word : rules.value("enum", ordered_json::array())) accepts(word);
    if (rules.contains("enum")) refuses("none of these");
    numbers(rules);
    texts(rules);
    for (const auto& wrong : {ordered_json(nullptr), ordered_json::object(), ordered_json(true)})
      if (!(wrong.is_boolean() && rules["type"] == "boolean")) refuses(wrong);
    if (rules["type"] == "string") refuses(1);
    if (rules["type"] != "string") refuses("1");
    ++fields_checked;
  }

  static inline int fields_checked = 0;

 private:
  void numbers(const ordered_json& rules) {
    if (rules.contains("minimum")) {
      refuses(rules["minimum"].get<double>() - 0.5);
      accepts(rules["minimum"]);
    }
    if (rules.contains("exclusiveMinimum")) refuses(rules["exclusiveMinimum"]);
    if (rules.contains("maximum")) {
      refuses(rules["maximum"].get<double>() + 0.5);
      accepts(rules["maximum"]);
    }
    if (rules["type"] == "integer") refuses(1.5);
    if (rules["type"] == "array") {
      refuses(std::vector<double>(rules["minItems"].get<std::size_t>() - 1, 1));
      refuses(std::vector<double>(rules["maxItems"].get<std::size_t>() + 1, 1));
      refuses(std::vector<std::string>(rules["minItems"].get<std::size_t>(), "1"));
    }
  }
  void texts(const ordered_json& rules) {
    if (rules.contains("contentEncoding")) return refuses("====");
    if (rules.contains("format")) return refuses("x");
    if (!rules.contains("maxLength")) return;
    const auto most = rules["maxLength"].get<std::size_t>();
    accepts(std::string(most, 'a'));
    refuses(std::string(most + 1, 'a'));
    refuses("");
    refuses("a b");
    refuses("\u00e9");
    // A colon is what tells the two patterns apart.
    rules["pattern"].get<std::string>().contains(':') ? accepts("a:b") : refuses("a:b");
  }

  void accepts(const ordered_json& value) {
    EXPECT_FALSE(fields_with(value).contains(path_)) << path_ << " with " << value.dump().substr(0, 200);
  }
  void refuses(const ordered_json& value) {
    EXPECT_TRUE(fields_with(value).contains(path_)) << path_ << " with " << value.dump().substr(0, 200);
  }
  std::set<std::string> fields_with(const ordered_json& value) {
    auto request = request_;
    request[where_] = value;
    return broken_fields(request);
  }

  ordered_json request_;
  ordered_json::json_pointer where_;
  std::string path_;
};

/// The limits in the document are those of the reader, field by field.
TEST(OpenApi, LimitsOfADetectionAreThoseOfTheReader) {
  const auto probe = [](const std::string& name, const std::string& pointer, const std::string& prefix) {
    for (const auto& [field, rules] : schema(name)["properties"].items()) {
      if (rules.contains("$ref")) continue;
      // A wide image, so that the largest pixel is within it; a box where one is needed.
      auto request = example(field == "bbox" || field == "anchor" ? "DetectionByBox" : "DetectionByPixel");
      request["sensor_metadata"]["distortion"] = {{"model", "brown"}, {"coefficients", {0, 0, 0, 0}}};
      FieldProbe(request, ordered_json::json_pointer(pointer + "/" + field), prefix + field).check(rules);
    }
  };
  probe("Detection", "", "");
  probe("SensorMetadata", "/sensor_metadata", "sensor_metadata.");
  probe("Distortion", "/sensor_metadata/distortion", "sensor_metadata.distortion.");
  probe("InputAccuracy", "/sensor_metadata/accuracy", "sensor_metadata.accuracy.");
  EXPECT_EQ(FieldProbe::fields_checked, 13 + 17 + 2 + 9);
}

TEST(OpenApi, RequiredFieldsAreThoseOfTheReader) {
  const auto full = example("DetectionByPixel");
  for (const auto& field : schema("Detection")["required"]) {
    auto request = full;
    request.erase(field.get<std::string>());
    EXPECT_TRUE(broken_fields(request).contains(field)) << field;
  }
  for (const auto& field : schema("SensorMetadata")["required"]) {
    auto request = full;
    request["sensor_metadata"].erase(field.get<std::string>());
    EXPECT_TRUE(broken_fields(request).contains("sensor_metadata." + field.get<std::string>())) << field;
  }
  EXPECT_THAT(broken_fields(full), IsEmpty()) << "and nothing else is";
}

TEST(OpenApi, ExamplesAreGoodRequests) {
  for (const auto* name : {"DetectionByPixel", "DetectionByBox", "DetectionHeld"})
    EXPECT_THAT(broken_fields(example(name)), IsEmpty()) << name;
  for (const auto& item : example("Batch")) EXPECT_THAT(broken_fields(item), IsEmpty());
  EXPECT_THAT(broken_fields(ordered_json::parse(example("BatchLines").get<std::string>())), IsEmpty());
  EXPECT_TRUE(read_body(example("Release").dump(), verify_fields()));
  EXPECT_TRUE(read_body(example("Reject").dump(), verify_fields()));
  EXPECT_TRUE(read_body(example("CreateKey").dump(), api_key_fields()));
  EXPECT_TRUE(read_body(example("GrantJson").dump(), token_fields()));
  EXPECT_TRUE(read_body(example("GrantForm").dump(), token_fields()));
  EXPECT_TRUE(read_body(example("Revoke").dump(), revoke_fields()));
}

/// The examples of the tables are what the tables accept.
TEST(OpenApi, ExamplesOfFieldsHold) {
  for (const auto table : {list_fields(), audit_fields()})
    for (const auto& spec : table) {
      if (spec.example_json.empty()) continue;
      const auto value = ordered_json::parse(spec.example_json);
      const auto query = std::string(spec.name) + "=" + (value.is_string() ? value.get<std::string>() : value.dump());
      EXPECT_TRUE(read_query(query, table)) << query;
    }
  for (const auto table : {verify_fields(), api_key_fields(), token_fields(), revoke_fields()}) {
    auto body = ordered_json::object();
    for (const auto& spec : table)
      if (!spec.example_json.empty()) body[std::string(spec.name)] = ordered_json::parse(spec.example_json);
    EXPECT_TRUE(read_body(body.dump(), table)) << body;
  }
}

/// Counts of opening and closing tags agree for every element that must be closed.
TEST(DocsPage, ShowsEveryOperationAndAsksNothingOfOthers) {
  const auto& page = docs_page();
  for (const auto& [path, operations] : document()["paths"].items())
    for (const auto& [method, operation] : operations.items())
      if (method != "head") {
        EXPECT_THAT(page.html, HasSubstr("id=\"" + operation["operationId"].get<std::string>() + "\""));
      }
  for (const auto& [name, one] : document()["components"]["schemas"].items())
    EXPECT_THAT(page.html, HasSubstr("id=\"schema-" + name + "\""));
  for (const auto* foreign : {"<script", "<img", "<link", "<iframe", "src=", "@import", "url(", "style=\"", "onclick"})
    EXPECT_THAT(page.html, Not(HasSubstr(foreign)));
  EXPECT_THAT(page.content_security_policy, HasSubstr("default-src 'none'; style-src 'sha256-"));
  EXPECT_THAT(page.content_security_policy, Not(HasSubstr("unsafe")));
  const auto count = [&](const std::string& tag) {
    std::size_t found = 0;
    for (auto at = page.html.find(tag); at != std::string::npos; at = page.html.find(tag, at + 1)) ++found;
    return found;
  };
  for (const std::string tag :
       {"p", "pre", "code", "span", "table", "thead",   "tbody",   "tr",      "td",      "th",  "ul",    "li",
        "a", "h1",  "h2",   "h3",   "h4",    "section", "article", "details", "summary", "nav", "strong"})
    EXPECT_EQ(count("<" + tag + ">") + count("<" + tag + " "), count("</" + tag + ">")) << tag;
  // Each link within the page leads somewhere, and no place has a name twice.
  std::set<std::string> targets;
  for (auto at = page.html.find(" id=\""); at != std::string::npos; at = page.html.find(" id=\"", at + 1)) {
    const auto begin = at + 5;
    const auto name = page.html.substr(begin, page.html.find('"', begin) - begin);
    EXPECT_TRUE(targets.insert(name).second) << name;
  }
  for (auto at = page.html.find("href=\"#"); at != std::string::npos; at = page.html.find("href=\"#", at + 1)) {
    const auto begin = at + 7;
    EXPECT_TRUE(targets.contains(page.html.substr(begin, page.html.find('"', begin) - begin)));
  }
}

}  // namespace
}  // namespace detection::http
