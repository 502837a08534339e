#include "http/body_fields.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "http/list_query.hpp"
#include "security/token.hpp"

namespace detection::http {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// "field: message" of each broken rule; the code alone for any other error.
template <class T>
std::vector<std::string> broken(const Result<T>& result) {
  std::vector<std::string> out;
  if (result) return out;
  if (result.error().code != ErrorCode::kValidationFailed) out.emplace_back(error_code_name(result.error().code));
  for (const auto& field : result.error().fields) out.push_back(field.field + ": " + field.message);
  return out;
}

TEST(BodyFields, ReadsWhatATableNames) {
  const auto verify = read_body(R"( {"notes":"two\nlines é","verified":false} )", verify_fields());
  ASSERT_THAT(broken(verify), IsEmpty());
  EXPECT_EQ(verify->booleans[kVerifyVerified], false);
  EXPECT_EQ(verify->texts[kVerifyNotes], "two\nlines é");

  const auto key =
      read_body(R"({"name":"n","scopes":["admin","audit:read"],"expires":"2030-01-01T00:00:00Z"})", api_key_fields());
  ASSERT_THAT(broken(key), IsEmpty());
  EXPECT_EQ(key->texts[kApiKeyName], "n");
  ASSERT_TRUE(key->lists[kApiKeyScopes]);
  EXPECT_THAT(*key->lists[kApiKeyScopes], ElementsAre("admin", "audit:read"));
  EXPECT_EQ(key->times[kApiKeyExpires], parse_rfc3339("2030-01-01T00:00:00Z").value());

  const auto bare = read_body(R"({"verified":true})", verify_fields());
  ASSERT_THAT(broken(bare), IsEmpty());
  EXPECT_FALSE(bare->texts[kVerifyNotes]);
}

TEST(BodyFields, ListsEveryBrokenRuleAtOnce) {
  EXPECT_THAT(broken(read_body(R"({"notes":1,"verified":"yes","approved":true})", verify_fields())),
              ElementsAre("notes: must be a string", "verified: must be true or false",
                          "approved: is not known; there are verified, notes"));
  EXPECT_THAT(broken(read_body(R"({"name":"","scopes":[],"expires":"tomorrow"})", api_key_fields())),
              ElementsAre("name: must be 1 to 128 characters without control characters",
                          HasSubstr("scopes: must be 1 to 5 scopes"), HasSubstr("expires: ")));
  EXPECT_THAT(broken(read_body("{}", api_key_fields())), ElementsAre("name: is required", "scopes: is required"));
  EXPECT_THAT(broken(read_body("[1]", revoke_fields())), ElementsAre(": must be a JSON object"));
}

TEST(BodyFields, ListsOfWords) {
  const auto scopes = [](const std::string& text) {
    return broken(read_body(R"({"name":"n","scopes":)" + text + "}", api_key_fields()));
  };
  EXPECT_THAT(scopes(R"(["admin","admin"])"), ElementsAre(HasSubstr("each once")));
  EXPECT_THAT(scopes(R"(["root"])"), ElementsAre(HasSubstr("scopes: ")));
  EXPECT_THAT(scopes(R"(["admin",1,{"a":[null]}])"), ElementsAre("scopes: must be an array of strings"));
  EXPECT_THAT(scopes(R"("admin")"), ElementsAre("scopes: must be an array of strings"));
}

TEST(BodyFields, CountsCharactersNotBytes) {
  const auto notes = [](std::size_t count, const std::string& character) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += character;
    return broken(read_body(R"({"verified":true,"notes":")" + text + "\"}", verify_fields()));
  };
  EXPECT_THAT(notes(0, "é"), IsEmpty());
  EXPECT_THAT(notes(2'000, "é"), IsEmpty());
  EXPECT_THAT(notes(2'000, "𝄞"), IsEmpty());
  EXPECT_THAT(notes(2'001, "e"), ElementsAre("notes: must be at most 2000 characters"));
}

TEST(BodyFields, NamesHaveNoControlCharacters) {
  const auto jti = [](const std::string& text) {
    return broken(read_body("{\"jti\":\"" + text + "\"}", revoke_fields()));
  };
  EXPECT_THAT(jti("a b<script>'; DROP TABLE x --"), IsEmpty());
  EXPECT_THAT(jti("\u00a0é"), IsEmpty());
  for (const auto* bad : {"\\n", "\\u001f", "\\u007f", "\\u0080", "\\u009f", ""})
    EXPECT_THAT(jti(bad), ElementsAre(HasSubstr("jti: must be 1 to 128"))) << bad;
}

TEST(BodyFields, IsAsStrictAsTheReaderOfDetections) {
  for (const std::string body : {"",
                                 "  ",
                                 "{",
                                 "{} {}",
                                 "{}x",
                                 "nul",
                                 "[1,]",
                                 "NaN",
                                 R"({"jti":"a","jti":"b"})",
                                 R"({"x":1,"x":2})",
                                 R"({"x":{"a":1,"a":2}})",
                                 R"({"jti":"\u0000"})",
                                 R"({"jti":"\ud800"})",
                                 R"({"\udc00":1})",
                                 "{\"jti\":\"\xff\"}",
                                 "{\"jti\":\"\n\"}",
                                 R"({"jti":"a",})",
                                 R"({"jti":NaN})",
                                 R"({"jti":'a'})",
                                 R"({"x":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]})",
                                 R"({"x":"\ud800"})"})
    EXPECT_THAT(broken(read_body(body, revoke_fields())), ElementsAre("malformed_json")) << body;
  std::string many = "{";
  for (int i = 0; i < 5'000; ++i) many += "\"f" + std::to_string(i) + "\":1,";
  many.back() = '}';
  EXPECT_THAT(broken(read_body(many, revoke_fields())), ElementsAre("malformed_json"));
}

TEST(BodyFields, FormsOfTheTokenEndpoint) {
  const auto good =
      read_form("grant_type=client_credentials&client_id=dsk_1&client_secret=a%2Bb+c&scope=", token_fields());
  ASSERT_THAT(broken(good), IsEmpty());
  EXPECT_EQ(good->texts[kTokenClientId], "dsk_1");
  EXPECT_EQ(good->texts[kTokenClientSecret], "a+b c");
  EXPECT_FALSE(good->texts[kTokenScope]) << "an empty value is none";
  // RFC 6749 section 3.2: unknown parameters are ignored, repeated ones are refused.
  EXPECT_THAT(broken(read_form("grant_type=client_credentials&audience=x&*=1", token_fields())), IsEmpty());
  EXPECT_THAT(broken(read_body(R"({"grant_type":"client_credentials","audience":["x"]})", token_fields())), IsEmpty());
  EXPECT_THAT(broken(read_form("grant_type=client_credentials&scope=a&scope=b", token_fields())),
              ElementsAre("scope: is given twice"));
  EXPECT_THAT(broken(read_form("grant_type=password", token_fields())),
              ElementsAre("grant_type: must be client_credentials"));
  EXPECT_THAT(broken(read_form("", token_fields())), ElementsAre("grant_type: is required"));
  for (const auto* bad : {"grant_type=%", "grant_type=%4", "grant_type=%zz", "grant_type=%ff", "%c3=1"})
    EXPECT_THAT(broken(read_form(bad, token_fields())), ElementsAre("malformed_request")) << bad;
  EXPECT_THAT(broken(read_form("client_id=%00&grant_type=client_credentials", token_fields())),
              ElementsAre(HasSubstr("client_id: ")));
}

TEST(BodyFields, AuditQuery) {
  const auto read = parse_audit_query(
      "type=auth_failure&severity=WARNING&actor=op%201&subject=0198A3C1-7f00-7abc-8def-0123456789ab"
      "&since=2026-11-23T00:00:00+01:00&until=2026-11-24T00:00:00Z&limit=7&cursor=abc");
  ASSERT_THAT(broken(read), IsEmpty());
  EXPECT_EQ(read->filter.type, "auth_failure");
  EXPECT_EQ(read->filter.severity, "WARNING");
  EXPECT_EQ(read->filter.actor, "op 1");
  EXPECT_EQ(read->filter.subject, parse_uuid("0198a3c1-7f00-7abc-8def-0123456789ab"));
  EXPECT_EQ(read->filter.since, parse_rfc3339("2026-11-22T23:00:00Z").value());
  EXPECT_EQ(read->filter.until, parse_rfc3339("2026-11-24T00:00:00Z").value());
  EXPECT_EQ(read->limit, 7u);
  EXPECT_EQ(read->cursor, "abc");
  const auto bare = parse_audit_query("");
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->limit, 100u);
  EXPECT_THAT(
      broken(parse_audit_query("type=A&severity=low&subject=1&since=x&limit=0&page=2")),
      ElementsAre("type: must be 1 to 64 characters of a-z _", "severity: must be INFO, WARNING or ERROR",
                  "subject: must be a UUID", HasSubstr("since: "), "limit: must be a whole number from 1 to 1000",
                  HasSubstr("page: is not known; there are type")));
  EXPECT_THAT(broken(parse_audit_query("since=2026-11-24T00:00:00Z&until=2026-11-23T00:00:00Z")),
              ElementsAre("since: must not be later than until"));
}

TEST(BodyFields, ListQuery) {
  const auto read = parse_list_query(
      "bbox=170,-1.5,-170,1e1&since=2026-11-23T00:00:00+01:00&class=vehicle&flag=RED&state=held&source=uav:7&limit=1000"
      "&cursor=" +
      make_cursor(77));
  ASSERT_THAT(broken(read), IsEmpty());
  ASSERT_TRUE(read->filter.bbox);
  EXPECT_EQ(read->filter.bbox->west_deg, 170);
  EXPECT_EQ(read->filter.bbox->north_deg, 10);
  EXPECT_EQ(read->filter.object_class, "vehicle");
  EXPECT_EQ(read->filter.flag, Flag::kRed);
  EXPECT_EQ(read->filter.state, store::DeliveryState::kHeld);
  EXPECT_EQ(read->filter.source, "uav:7");
  EXPECT_EQ(read->limit, 1'000u);
  EXPECT_EQ(read->before, 77);
  EXPECT_THAT(broken(parse_list_query("bbox=1,2,3&class=a:b&flag=green&state=gone&limit=1001&cursor=0&limit=1&x=%00")),
              ElementsAre(HasSubstr("bbox: "), HasSubstr("class: "), HasSubstr("flag: "), HasSubstr("state: "),
                          HasSubstr("limit: must be"), HasSubstr("cursor: "), "limit: is given twice",
                          HasSubstr("x: is not known")));
  for (const auto* bad : {"0,1,0,0", "181,0,0,0", "0,91,0,91", "nan,0,0,0", "inf,0,0,0", "0,0,0,0,0", "", "0, 0,0,0"})
    EXPECT_THAT(broken(parse_list_query("bbox=" + std::string(bad))), ElementsAre(HasSubstr("bbox: "))) << bad;
  EXPECT_THAT(broken(parse_list_query("flag=%f")), ElementsAre("query: is not percent-encoded UTF-8"));
}

/// Every word that the tables list is one that the rooms behind them know.
TEST(BodyFields, WordsAreThoseOfTheRooms) {
  const auto words = [](std::span<const FieldSpec> table, std::size_t field) { return table[field].one_of; };
  for (const auto word : words(list_fields(), kListState)) EXPECT_TRUE(store::parse_delivery_state(word)) << word;
  for (const auto word : words(list_fields(), kListFlag)) EXPECT_TRUE(parse_flag(word)) << word;
  for (const auto word : words(api_key_fields(), kApiKeyScopes)) EXPECT_TRUE(security::parse_scope(word)) << word;
  EXPECT_EQ(words(api_key_fields(), kApiKeyScopes).size(), std::size(security::kAllScopes));
}

}  // namespace
}  // namespace detection::http
