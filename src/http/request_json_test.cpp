#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "http/base64.hpp"
#include "http/detection_json.hpp"
#include "http/json_syntax.hpp"
#include "http/test_request.hpp"
#include "pipeline/normalise.hpp"

namespace detection::http {
namespace {

using nlohmann::json;

const ParseRules kRules{.now = kTestNow};

Result<Detection> parse(std::string_view text) {
  static DetectionParser parser;
  return parser.parse(text, kRules);
}

/// Sets (or with a discarded value removes) what is at a JSON pointer of the good request.
json changed(const char* pointer, const json& value) {
  auto request = good_request();
  const json::json_pointer at(pointer);
  if (value.is_discarded())
    request.at(at.parent_pointer()).erase(at.back());
  else
    request[at] = value;
  return request;
}
const json kGone(json::value_t::discarded);

std::vector<std::string> fields_of(const Result<Detection>& result) {
  std::vector<std::string> fields;
  if (!result)
    for (const auto& error : result.error().fields) fields.push_back(error.field);
  return fields;
}

TEST(RequestJson, ReadsEveryField) {
  auto request = good_request();
  request["detection_id"] = "0198A3C1-7f00-7abc-8def-0123456789ab";
  request["track_id"] = "t:1";
  request["exercise"] = true;
  request["image_base64"] = "aGVsbG8=";
  auto& sensor = request["sensor_metadata"];
  sensor["focal_length_y"] = 2001;
  sensor["principal_point"] = {960.5, 540};
  sensor["distortion"] = {{"model", "brown"}, {"coefficients", {0.1, -0.2, 0, 0, 0.01}}};
  sensor["slant_range_m"] = 150.25;
  sensor["elevation_reference"] = "msl";
  sensor["accuracy"] = {{"horizontal_m", 1},  {"vertical_m", 2}, {"ground_m", 0},
                        {"heading_deg", 4},   {"pitch_deg", 5},  {"roll_deg", 6},
                        {"focal_percent", 7}, {"pixel_px", 8},   {"slant_range_m", 9}};
  const auto result = parse(request.dump());
  ASSERT_TRUE(result) << result.error().detail;
  EXPECT_EQ(to_string(*result->id), "0198a3c1-7f00-7abc-8def-0123456789ab");
  EXPECT_EQ(result->pixel.x_px, 512.5);
  EXPECT_EQ(result->pixel.y_px, 384);
  EXPECT_EQ(result->object_class, "vehicle");
  EXPECT_EQ(result->ai_confidence, 0.92);
  EXPECT_EQ(result->source, "uav-7");
  EXPECT_EQ(result->camera_id, "cam:1");
  EXPECT_EQ(format_rfc3339_ms(result->timestamp), "2026-11-23T19:04:05.123Z");
  EXPECT_EQ(result->track_id, "t:1");
  EXPECT_TRUE(result->exercise);
  EXPECT_EQ(result->image_sha256, pipeline::sha256("hello"));
  const auto& s = result->sensor;
  EXPECT_EQ(s.location_lat_deg, 48.1);
  EXPECT_EQ(s.location_lon_deg, 11.5);
  EXPECT_EQ(s.location_elevation_m, 620.5);
  EXPECT_EQ(s.elevation_reference, ElevationReference::kMsl);
  EXPECT_EQ(s.attitude.heading_deg, 90);
  EXPECT_EQ(s.attitude.pitch_deg, -60);
  EXPECT_EQ(s.attitude.roll_deg, 0.5);
  EXPECT_EQ(s.focal_kind, FocalKind::kPixels);
  EXPECT_EQ(s.focal_length_px, 2000);
  EXPECT_EQ(s.focal_length_y_px, 2001);
  EXPECT_EQ(s.image_width_px, 1920U);
  EXPECT_EQ(s.image_height_px, 1080U);
  EXPECT_EQ(s.principal_point->x_px, 960.5);
  EXPECT_EQ(s.distortion.model, DistortionModel::kBrown);
  EXPECT_EQ(s.distortion.count, 5);
  EXPECT_EQ(s.distortion.coefficients[1], -0.2);
  EXPECT_EQ(s.slant_range_m, 150.25);
  EXPECT_EQ(s.ground_elevation_m, 500);
  const AccuracyOverride accuracy{1, 2, 0, 4, 5, 6, 7, 8, 9};
  EXPECT_EQ(s.accuracy, accuracy);
}

TEST(RequestJson, OrderEscapesAndBlanksDoNotMatter) {
  const auto text = good_request().dump();
  auto escaped = text;
  escaped.replace(escaped.find("\"pixel_x\""), 9, R"("\u0070ixel_x")");
  const auto a = parse(text), b = parse(good_request().dump(3)), c = parse(" \r\n\t" + escaped + "\n");
  ASSERT_TRUE(a && b && c);
  EXPECT_EQ(pipeline::normalised_request(*a), pipeline::normalised_request(*b));
  EXPECT_EQ(pipeline::normalised_request(*a), pipeline::normalised_request(*c));
  // What is stored reads back as the same request.
  const auto again = parse(pipeline::normalised_request(*a));
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ(pipeline::normalised_request(*again), pipeline::normalised_request(*a));
}

TEST(RequestJson, OtherFormsOfFocalLengthAndPoint) {
  auto request = changed("/sensor_metadata/focal_length", kGone);
  request["sensor_metadata"]["hfov_deg"] = 60;
  auto result = parse(request.dump());
  ASSERT_TRUE(result);
  EXPECT_EQ(result->sensor.focal_kind, FocalKind::kHorizontalFov);
  request["sensor_metadata"].erase("hfov_deg");
  request["sensor_metadata"]["focal_length_mm"] = 35;
  request["sensor_metadata"]["sensor_width_mm"] = 36;
  result = parse(request.dump());
  ASSERT_TRUE(result);
  EXPECT_EQ(result->sensor.focal_kind, FocalKind::kMillimetres);
  request.erase("pixel_x");
  request.erase("pixel_y");
  request["bbox"] = {-1, 10, 101, 30};
  result = parse(request.dump());
  ASSERT_TRUE(result) << result.error().fields.front().message;
  EXPECT_EQ(result->pixel.x_px, 50);
  EXPECT_EQ(result->pixel.y_px, 30);
  EXPECT_TRUE(result->bbox);
  request["anchor"] = "center";
  EXPECT_EQ(parse(request.dump())->pixel.y_px, 20);
  request["sensor_metadata"]["distortion"] = {{"model", "fisheye"}, {"coefficients", {0, 0, 0, 0}}};
  EXPECT_EQ(parse(request.dump())->sensor.distortion.model, DistortionModel::kFisheye);
}

TEST(RequestJson, LocateNeedsNoIdentity) {
  auto request = good_request();
  for (const auto* field : {"source", "camera_id", "timestamp", "object_class", "ai_confidence"}) request.erase(field);
  DetectionParser parser;
  const auto result = parser.parse(request.dump(), {.now = kTestNow, .identity_optional = true});
  ASSERT_TRUE(result) << result.error().detail;
  EXPECT_EQ(result->ai_confidence, 1);
  EXPECT_EQ(fields_of(parser.parse(request.dump(), kRules)).size(), 5U);
}

TEST(RequestJson, EachBrokenRuleNamesItsField) {
  const std::string s = "sensor_metadata.";
  const std::string long_name(129, 'a');
  std::vector<std::tuple<std::string, json, std::string>> cases{
      {"/detection_id", "not-a-uuid", "detection_id"},
      {"/detection_id", 5, "detection_id"},
      {"/pixel_x", -0.001, "pixel_x"},
      {"/pixel_x", 1921.001, "pixel_x"},
      {"/pixel_x", "512", "pixel_x"},
      {"/pixel_x", nullptr, "pixel_x"},
      {"/pixel_x", true, "pixel_x"},
      {"/pixel_x", json::array({1}), "pixel_x"},
      {"/pixel_x", json::object(), "pixel_x"},
      {"/pixel_y", 1081.001, "pixel_y"},
      {"/pixel_y", kGone, "pixel_y"},
      {"/anchor", "center", "anchor"},
      {"/bbox", {1, 2, 3, 4}, "bbox"},
      {"/object_class", "", "object_class"},
      {"/object_class", "a:b", "object_class"},
      {"/object_class", "a b", "object_class"},
      {"/object_class", "gr\u00fcn", "object_class"},
      {"/object_class", std::string(65, 'a'), "object_class"},
      {"/object_class", kGone, "object_class"},
      {"/object_class", nullptr, "object_class"},
      {"/ai_confidence", -0.01, "ai_confidence"},
      {"/ai_confidence", 1.01, "ai_confidence"},
      {"/ai_confidence", "0.9", "ai_confidence"},
      {"/ai_confidence", kGone, "ai_confidence"},
      {"/source", long_name, "source"},
      {"/source", "a/b", "source"},
      {"/source", kGone, "source"},
      {"/camera_id", "", "camera_id"},
      {"/camera_id", kGone, "camera_id"},
      {"/timestamp", "2026-11-23T19:04:05", "timestamp"},
      {"/timestamp", "2026-11-23T19:10:00.000001Z", "timestamp"},
      {"/timestamp", 1795460645, "timestamp"},
      {"/timestamp", kGone, "timestamp"},
      {"/track_id", long_name, "track_id"},
      {"/track_id", nullptr, "track_id"},
      {"/exercise", "true", "exercise"},
      {"/exercise", 1, "exercise"},
      {"/image_base64", "", "image_base64"},
      {"/image_base64", "aGVsbG8", "image_base64"},
      {"/image_base64", "aGVs bG8=", "image_base64"},
      {"/image_base64", "aGVsbG9=", "image_base64"},
      {"/image_base64", false, "image_base64"},
      {"/unknown", 1, "unknown"},
      {"/Pixel_x", 1, "Pixel_x"},
      {"/sensor_metadata", 5, "sensor_metadata"},
      {"/sensor_metadata", json::array(), "sensor_metadata"},
      {"/sensor_metadata", kGone, "sensor_metadata"},
      {"/sensor_metadata/unknown", json::parse(R"({"a":[1,{"b":null}]})"), s + "unknown"},
      {"/sensor_metadata/location_lat", 90.0001, s + "location_lat"},
      {"/sensor_metadata/location_lat", -90.0001, s + "location_lat"},
      {"/sensor_metadata/location_lat", kGone, s + "location_lat"},
      {"/sensor_metadata/location_lon", 180.0001, s + "location_lon"},
      {"/sensor_metadata/location_lon", kGone, s + "location_lon"},
      {"/sensor_metadata/location_elevation", -1000.1, s + "location_elevation"},
      {"/sensor_metadata/location_elevation", 1000000.1, s + "location_elevation"},
      {"/sensor_metadata/location_elevation", kGone, s + "location_elevation"},
      {"/sensor_metadata/elevation_reference", "ellipsoid", s + "elevation_reference"},
      {"/sensor_metadata/elevation_reference", "AGL", s + "elevation_reference"},
      {"/sensor_metadata/heading", 360.1, s + "heading"},
      {"/sensor_metadata/heading", -0.1, s + "heading"},
      {"/sensor_metadata/heading", kGone, s + "heading"},
      {"/sensor_metadata/pitch", 90.1, s + "pitch"},
      {"/sensor_metadata/pitch", "down", s + "pitch"},
      {"/sensor_metadata/pitch", kGone, s + "pitch"},
      {"/sensor_metadata/roll", 180.1, s + "roll"},
      {"/sensor_metadata/roll", kGone, s + "roll"},
      {"/sensor_metadata/focal_length", 0, s + "focal_length"},
      {"/sensor_metadata/focal_length", -5, s + "focal_length"},
      {"/sensor_metadata/focal_length", kGone, s + "focal_length"},
      {"/sensor_metadata/focal_length_y", 0, s + "focal_length_y"},
      {"/sensor_metadata/hfov_deg", 60, s + "focal_length"},
      {"/sensor_metadata/focal_length_mm", 35, s + "focal_length"},
      {"/sensor_metadata/image_width", 0, s + "image_width"},
      {"/sensor_metadata/image_width", 100001, s + "image_width"},
      {"/sensor_metadata/image_width", 1920.5, s + "image_width"},
      {"/sensor_metadata/image_width", "1920", s + "image_width"},
      {"/sensor_metadata/image_width", kGone, s + "image_width"},
      {"/sensor_metadata/image_height", -1, s + "image_height"},
      {"/sensor_metadata/image_height", kGone, s + "image_height"},
      {"/sensor_metadata/principal_point", {1}, s + "principal_point"},
      {"/sensor_metadata/principal_point", {1, 2, 3}, s + "principal_point"},
      {"/sensor_metadata/principal_point", {1, "2"}, s + "principal_point"},
      {"/sensor_metadata/principal_point", {{"x", 1}}, s + "principal_point"},
      {"/sensor_metadata/distortion", "none", s + "distortion"},
      {"/sensor_metadata/distortion", {{"model", "brown"}}, s + "distortion.coefficients"},
      {"/sensor_metadata/distortion", {{"coefficients", {1, 2, 3, 4}}}, s + "distortion.model"},
      {"/sensor_metadata/distortion", {{"model", "poly"}, {"coefficients", {1, 2, 3, 4}}}, s + "distortion.model"},
      {"/sensor_metadata/distortion", {{"model", "brown"}, {"coefficients", {1, 2, 3}}}, s + "distortion.coefficients"},
      {"/sensor_metadata/distortion",
       {{"model", "brown"}, {"coefficients", {1, 2, 3, 4, 5, 6}}},
       s + "distortion.coefficients"},
      {"/sensor_metadata/distortion",
       {{"model", "brown"}, {"coefficients", {1, 2, 3, 4, 5, 6, 7, 8, 9}}},
       s + "distortion.coefficients"},
      {"/sensor_metadata/distortion",
       {{"model", "fisheye"}, {"coefficients", {1, 2, 3, 4, 5}}},
       s + "distortion.coefficients"},
      {"/sensor_metadata/distortion",
       {{"model", "fisheye"}, {"coefficients", {1, 2, 3, nullptr}}},
       s + "distortion.coefficients"},
      {"/sensor_metadata/distortion",
       {{"model", "brown"}, {"coefficients", {1, 2, 3, 4}}, {"k1", 1}},
       s + "distortion.k1"},
      {"/sensor_metadata/slant_range_m", 0.09, s + "slant_range_m"},
      {"/sensor_metadata/slant_range_m", 2000000.1, s + "slant_range_m"},
      {"/sensor_metadata/ground_elevation_m", -1000.1, s + "ground_elevation_m"},
      {"/sensor_metadata/ground_elevation_m", 10000.1, s + "ground_elevation_m"},
      {"/sensor_metadata/accuracy", json::array(), s + "accuracy"},
      {"/sensor_metadata/accuracy", {{"range_m", 1}}, s + "accuracy.range_m"},
  };
  for (const auto* name : {"horizontal_m", "vertical_m", "ground_m", "heading_deg", "pitch_deg", "roll_deg",
                           "focal_percent", "pixel_px", "slant_range_m"})
    for (const json& value : {json(-0.001), json(1e7), json("1"), json(nullptr)})
      cases.emplace_back("/sensor_metadata/accuracy", json{{name, value}}, s + "accuracy." + name);
  for (const auto& [pointer, value, field] : cases) {
    const auto request = changed(pointer.c_str(), value);
    const auto result = parse(request.dump());
    ASSERT_FALSE(result) << request.dump();
    EXPECT_EQ(result.error().code, ErrorCode::kValidationFailed) << request.dump();
    EXPECT_EQ(fields_of(result), std::vector<std::string>{field}) << request.dump();
    EXPECT_FALSE(result.error().fields.front().message.empty());
  }
}

TEST(RequestJson, LimitsThemselvesAreAllowed) {
  for (const auto& [pointer, value] :
       std::vector<std::pair<const char*, json>>{{"/pixel_x", 0},
                                                 {"/pixel_x", 1921},
                                                 {"/pixel_y", 1081},
                                                 {"/object_class", std::string(64, 'a')},
                                                 {"/ai_confidence", 0},
                                                 {"/ai_confidence", 1},
                                                 {"/source", std::string(128, ':')},
                                                 {"/timestamp", "2026-11-23T19:10:00Z"},
                                                 {"/timestamp", "1970-01-01T00:00:00Z"},
                                                 {"/sensor_metadata/location_lat", 90},
                                                 {"/sensor_metadata/location_lat", -90},
                                                 {"/sensor_metadata/location_lon", -180},
                                                 {"/sensor_metadata/location_elevation", -1000},
                                                 {"/sensor_metadata/location_elevation", 1e6},
                                                 {"/sensor_metadata/heading", 360},
                                                 {"/sensor_metadata/pitch", -90},
                                                 {"/sensor_metadata/roll", 180},
                                                 {"/sensor_metadata/slant_range_m", 0.1},
                                                 {"/sensor_metadata/slant_range_m", 2e6},
                                                 {"/sensor_metadata/ground_elevation_m", -1000},
                                                 {"/sensor_metadata/ground_elevation_m", 1e4},
                                                 {"/sensor_metadata/image_width", 1e5},
                                                 {"/sensor_metadata/accuracy", json::object()}}) {
    const auto result = parse(changed(pointer, value).dump());
    EXPECT_TRUE(result) << pointer << " " << value << ": " << (result ? "" : result.error().fields.front().message);
  }
}

TEST(RequestJson, AllBrokenRulesAtOnce) {
  auto request = good_request();
  request["pixel_x"] = -1;
  request["ai_confidence"] = 2;
  request["colour"] = "red";
  request.erase("source");
  request["sensor_metadata"]["pitch"] = -91;
  request["sensor_metadata"]["accuracy"] = {{"heading_deg", -1}};
  request["sensor_metadata"].erase("image_width");
  auto fields = fields_of(parse(request.dump()));
  std::ranges::sort(fields);
  EXPECT_EQ(fields,
            (std::vector<std::string>{"ai_confidence", "colour", "pixel_x", "sensor_metadata.accuracy.heading_deg",
                                      "sensor_metadata.image_width", "sensor_metadata.pitch", "source"}));
}

TEST(RequestJson, ManyUnknownFieldsAreBounded) {
  auto request = good_request();
  for (int i = 0; i < 5'000; ++i) request["unknown" + std::to_string(i)] = i;
  const auto result = parse(request.dump());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().fields.size(), 100U);
  EXPECT_NE(result.error().detail.find("5000"), std::string::npos);
  const auto long_one = parse(changed(("/" + std::string(10'000, 'x')).c_str(), 1).dump());
  ASSERT_FALSE(long_one);
  EXPECT_LT(long_one.error().fields.front().field.size(), 200U);
}

/// The good request with `text` in place of the value of pixel_x.
std::string with_pixel_x(std::string_view text) {
  auto body = good_request().dump();
  const auto at = body.find("512.5");
  return body.substr(0, at) + std::string(text) + body.substr(at + 5);
}

TEST(RequestJson, NumbersOfAllKinds) {
  for (const auto* text :
       {"5", "5.0", "5e0", "5E+0", "0.5e1", "50e-1", "-0", "-0.0", "0", "1e-400", "5.000000000000000000000000000"})
    EXPECT_TRUE(parse(with_pixel_x(text))) << text;
  // -0 is 0: the same content.
  EXPECT_EQ(pipeline::normalised_request(*parse(with_pixel_x("-0.0"))),
            pipeline::normalised_request(*parse(with_pixel_x("0"))));
  for (const auto* text :
       {"1e400", "-1e400", "1e99999999999", "123456789012345678901234567890", "99999999999999999999"}) {
    const auto result = parse(with_pixel_x(text));
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code, ErrorCode::kValidationFailed) << text << result.error().detail;
    EXPECT_EQ(fields_of(result), std::vector<std::string>{"pixel_x"}) << text;
  }
  const std::string digits(100'000, '1');
  EXPECT_EQ(parse(with_pixel_x(digits)).error().code, ErrorCode::kValidationFailed);
  EXPECT_TRUE(parse(with_pixel_x("1." + digits)));
}

TEST(RequestJson, MalformedTextIsSaidToBe) {
  const auto good = good_request().dump();
  std::vector<std::string> cases{"",
                                 " \n\t ",
                                 "{",
                                 "}",
                                 "{}}",
                                 "{\"a\"}",
                                 "{\"a\":}",
                                 "{\"a\":1,}",
                                 "{,}",
                                 "[",
                                 "]",
                                 "[1,]",
                                 "nul",
                                 "tru",
                                 "\"open",
                                 "\xef\xbb\xbf" + good,
                                 good + "x",
                                 good + good,
                                 good + "{}",
                                 good + "]",
                                 good + "}",
                                 good + ",",
                                 good + std::string("\0", 1),
                                 "[" + good,
                                 good.substr(0, good.size() - 1),
                                 good.substr(0, good.size() - 2),
                                 "{" + good + "}",
                                 "'a'",
                                 "//",
                                 "1 2",
                                 "1,2",
                                 "1],[2",
                                 "NaN",
                                 "-",
                                 "01",
                                 "1.",
                                 ".5",
                                 "+1",
                                 "0x10",
                                 "1e",
                                 "Infinity"};
  for (const auto* number : {"NaN",
                             "nan",
                             "Infinity",
                             "-Infinity",
                             "01",
                             "1.",
                             ".5",
                             "+1",
                             "0x10",
                             "1e",
                             "1e+",
                             "--1",
                             "1-",
                             "1a",
                             "1 1",
                             "5e0.5",
                             "",
                             "tru",
                             "truee",
                             "nul",
                             "nulll",
                             "falsee",
                             "'5'",
                             "\"5",
                             "[1",
                             "{\"a\":1",
                             "[1}",
                             "{]",
                             "[,]",
                             "[1 2]",
                             "{\"a\" 1}",
                             "{1:2}",
                             "{\"a\":1 \"b\":2}",
                             "\"\\x\"",
                             "\"\\u12\"",
                             "\"\\ud800\"",
                             "\"\\udc00\"",
                             "\"\\ud800\\ud800\"",
                             "\"\\u0000\"",
                             "\"\x01\"",
                             "\"a\nb\"",
                             "\"\xff\"",
                             "\"\xc0\x80\"",
                             "\"\xed\xa0\x80\"",
                             "\"\xf4\x90\x80\x80\"",
                             "\xc3",
                             "{\"a\":1,\"a\":2}",
                             "[{\"a\":{\"b\":1,\"\\u0062\":2}}]",
                             "[\"\\u0000\"]",
                             "[\"\\udfff\"]",
                             "{\"\\u0000\":1}"})
    cases.push_back(with_pixel_x(number));
  const auto insert = [&](std::string_view text) { return std::string("{").append(text).append(",") + good.substr(1); };
  for (const auto* text :
       {R"("pixel_x":1)", R"("pixel_x":"a")", R"("unknown":1,"unknown":2)", R"("sensor_metadata":{})",
        R"("\u0073ource":"x")", R"("\ud800":1)", R"("a\u0000":1)", "\"\xff\":1", R"("sensor_metadata":5)",
        R"("detection_id":"\u0000")", R"("detection_id":"\udc00")"})
    cases.push_back(insert(text));
  auto twice = good;
  twice.insert(twice.find("\"pitch\""), "\"pitch\":-60,");
  cases.push_back(twice);
  cases.push_back(changed("/sensor_metadata/accuracy", json::object()).dump());
  cases.back().insert(cases.back().find("\"accuracy\":{") + 12, R"("pitch_deg":1,"pitch_deg":1)");
  cases.push_back(with_pixel_x(std::string(1'000'000, '[')));
  cases.push_back(with_pixel_x(std::string(40, '[') + std::string(40, ']')));
  cases.push_back(std::string(100'000, '['));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  cases.push_back(with_pixel_x(objects));
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto result = parse(cases[i]);
    ASSERT_FALSE(result) << cases[i].substr(0, 300);
    EXPECT_EQ(result.error().code, ErrorCode::kMalformedJson) << i << ": " << cases[i].substr(0, 300);
    EXPECT_FALSE(result.error().detail.empty());
  }
}

TEST(RequestJson, EveryTruncationIsMalformed) {
  auto request = good_request();
  request["sensor_metadata"]["distortion"] = {{"model", "brown"}, {"coefficients", {0.1, -0.2, 0, 0, 0.01}}};
  request["unknown"] = {1, "two", {{"three", nullptr}}};
  const auto text = request.dump();
  for (std::size_t length = 0; length < text.size(); ++length) {
    const auto result = parse(std::string_view(text).substr(0, length));
    ASSERT_FALSE(result);
    ASSERT_EQ(result.error().code, ErrorCode::kMalformedJson) << length;
  }
}

TEST(RequestJson, OtherJsonThanAnObject) {
  for (const auto* text : {"[]", "[{}]", "5", "\"text\"", "null", "true", " [1, 2] "}) {
    const auto result = parse(text);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kValidationFailed) << text;
  }
  EXPECT_NE(parse("[]").error().detail.find("batch"), std::string::npos);
}

TEST(RequestJson, ImageOfItsLargestSize) {
  auto request = good_request();
  request["image_base64"] = std::string(base64_bytes(8u << 20) - 4, 'A') + "AAA=";
  const auto at_limit = parse(request.dump());
  ASSERT_TRUE(at_limit) << at_limit.error().fields.front().message;
  EXPECT_EQ(at_limit->image_sha256, pipeline::sha256(std::string(8u << 20, '\0')));
  request["image_base64"] = std::string(base64_bytes((8u << 20) + 1), 'A');
  EXPECT_EQ(fields_of(parse(request.dump())), std::vector<std::string>{"image_base64"});
}

TEST(RequestJson, ArrayGivesOneResultPerElement) {
  DetectionParser parser;
  const auto good = good_request().dump();
  const auto bad = changed("/pixel_x", -1).dump();
  const auto results = parser.parse_array(" [" + good + " , " + bad + ",5, " + good + "]\n", kRules, 10);
  ASSERT_TRUE(results) << results.error().detail;
  ASSERT_EQ(results->size(), 4U);
  EXPECT_TRUE((*results)[0]);
  EXPECT_EQ(fields_of((*results)[1]), std::vector<std::string>{"pixel_x"});
  EXPECT_EQ((*results)[2].error().code, ErrorCode::kValidationFailed);
  EXPECT_TRUE((*results)[3]);
  EXPECT_EQ(parser.parse_array("[]", kRules, 10)->size(), 0U);
  EXPECT_EQ(parser.parse_array("[1,2,3]", kRules, 3)->size(), 3U);
  EXPECT_EQ(parser.parse_array("[1,2,3,4]", kRules, 3).error().code, ErrorCode::kPayloadTooLarge);
  const std::vector<std::string> malformed{"",
                                           "{}",
                                           "[",
                                           "[}",
                                           "[1,]",
                                           "[,1]",
                                           "[1 2]",
                                           "[1]]",
                                           "[1][",
                                           "[" + good,
                                           "[" + good + "}",
                                           "[" + good + good + "]",
                                           "[" + good + ",{]",
                                           "[" + good + "]x",
                                           "[\"]",
                                           "[tru]",
                                           "[{\"a\":1,\"a\":1}]",
                                           "[\"\\u0000\"]",
                                           "[\"\xff\"]",
                                           "[1,\xff]",
                                           "[\x01]",
                                           "[" + std::string(50, '[') + std::string(50, ']') + "]"};
  for (const auto& text : malformed) {
    const auto result = parser.parse_array(text, kRules, 10);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code, ErrorCode::kMalformedJson) << text;
  }
}

TEST(RequestJson, LinesGiveOneResultEach) {
  DetectionParser parser;
  const auto good = good_request().dump();
  const auto results = parser.parse_lines(good + "\r\n\n  \n{\"a\":\n" + good + "x\n5\n" + good, kRules, 10);
  ASSERT_TRUE(results);
  ASSERT_EQ(results->size(), 5U);
  EXPECT_TRUE((*results)[0]);
  EXPECT_EQ((*results)[1].error().code, ErrorCode::kMalformedJson);
  EXPECT_EQ((*results)[2].error().code, ErrorCode::kMalformedJson);
  EXPECT_EQ((*results)[3].error().code, ErrorCode::kValidationFailed);
  EXPECT_TRUE((*results)[4]);
  EXPECT_EQ(parser.parse_lines("\n \n", kRules, 10).error().code, ErrorCode::kMalformedJson);
  EXPECT_EQ(parser.parse_lines("1\n2\n3", kRules, 2).error().code, ErrorCode::kPayloadTooLarge);
}

/// Breaks the text of a good request at random places, and compares with another parser: what it refuses as text must
/// be refused as text here too, and what it reads must not be called malformed (but for what it does not look at).
TEST(RequestJson, AgreesWithAnotherParserOnWhatIsJson) {
  std::mt19937_64 random(20'261'123);
  constexpr std::string_view kPieces = "{}[],:\"\\0123456789.eE+-truefalsn \n\t\x80\xc3\xa9u";
  auto request = good_request();
  request["sensor_metadata"]["principal_point"] = {1, 2};
  request["track_id"] = "a\\u0041";
  const auto text = request.dump();
  int accepted = 0, refused = 0;
  for (int i = 0; i < 30'000; ++i) {
    auto mutated = text;
    for (auto changes = 1 + random() % 3; changes > 0; --changes) {
      const auto at = random() % mutated.size();
      const char piece = kPieces[random() % kPieces.size()];
      switch (random() % 4) {
        case 0: mutated[at] = piece; break;
        case 1: mutated.insert(at, 1, piece); break;
        case 2: mutated.erase(at, 1 + random() % 3); break;
        default: std::swap(mutated[at], mutated[random() % mutated.size()]);
      }
    }
    const bool theirs = json::accept(mutated);
    const auto ours = parse(mutated);
    const bool malformed = !ours && ours.error().code == ErrorCode::kMalformedJson;
    ++(theirs ? accepted : refused);
    // A number too large is no JSON to them, and a rule to us; they do not see duplicates, NUL and surrogates.
    if (!theirs && !malformed) {
      ASSERT_FALSE(ours) << mutated;
      const auto& fields = ours.error().fields;
      ASSERT_TRUE(
          std::ranges::any_of(fields, [](const auto& f) { return f.message.find("too large") != std::string::npos; }) ||
          mutated.find('e') != std::string::npos)
          << mutated;
    }
    if (theirs && malformed) {
      ASSERT_TRUE(ours.error().detail.find("twice") != std::string::npos ||
                  ours.error().detail.find("surrogate") != std::string::npos ||
                  ours.error().detail.find("deep") != std::string::npos)
          << ours.error().detail << "\n"
          << mutated;
    }
  }
  EXPECT_GT(accepted, 1'000);
  EXPECT_GT(refused, 1'000);
}

TEST(AnswerJson, ProblemHasTheMembersOfTheStandard) {
  std::string out;
  append_problem(out, {ErrorCode::kValidationFailed, "one rule \"is\" broken", {{"pixel_x", "must be 0 or more"}}},
                 "/api");
  const auto problem = json::parse(out);
  EXPECT_EQ(problem["type"], "/problems/validation_failed");
  EXPECT_EQ(problem["status"], 422);
  EXPECT_EQ(problem["code"], "validation_failed");
  EXPECT_EQ(problem["detail"], "one rule \"is\" broken");
  EXPECT_EQ(problem["instance"], "/api");
  EXPECT_EQ(problem["errors"][0]["field"], "pixel_x");
  EXPECT_FALSE(problem["title"].get<std::string>().empty());
}

TEST(AnswerJson, UnknownValuesAreNull) {
  Fix fix;
  fix.hae_known = false;
  fix.ce90_m = std::nullopt;
  fix.position = {1.5, -2.25, 7};
  std::string out;
  append_fix(out, fix, {Flag::kRed, static_cast<std::uint8_t>(FlagReason::kCe90Unbounded)});
  const auto answer = json::parse(out);
  EXPECT_EQ(answer["position"]["lat"], 1.5);
  EXPECT_EQ(answer["position"]["lon"], -2.25);
  EXPECT_TRUE(answer["position"]["hae"].is_null());
  EXPECT_TRUE(answer["accuracy"]["ce90_m"].is_null());
  EXPECT_TRUE(answer["accuracy"]["le90_m"].is_null());
  EXPECT_EQ(answer["accuracy"]["covariance_enu"].size(), 6U);
  EXPECT_EQ(answer["flag"], "RED");
  EXPECT_EQ(answer["flag_reasons"], json({"ce90_unbounded"}));
}

}  // namespace
}  // namespace detection::http
