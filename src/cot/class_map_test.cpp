#include "cot/class_map.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cot/event_type.hpp"

namespace detection::cot {
namespace {

using testing::HasSubstr;

std::string complaint(std::string_view text) {
  const auto map = ClassMap::parse(text);
  return map ? "" : map.error().detail;
}

TEST(ClassMap, TheBuiltInOneKnowsWhatTheReferenceLists) {
  const auto map = ClassMap::built_in();
  const struct {
    const char* object_class;
    const char* type;
  } cases[] = {{"vehicle", "a-u-G-E-V"},        {"car", "a-u-G-E-V-C"},
               {"truck", "a-u-G-E-V-U"},        {"bus", "a-u-G-E-V-U-B"},
               {"train", "a-u-G-E-V-T"},        {"person", "a-u-G-U-C-I"},
               {"pedestrian", "a-u-G"},         {"tank", "a-u-G-E-V-A-T"},
               {"storage-tank", "a-u-G-I"},     {"tank_truck", "a-u-G-E-V-U"},
               {"howitzer", "a-u-G-E-W-H"},     {"boat", "a-u-S-X"},
               {"airplane", "a-u-A-C-F"},       {"drone", "a-u-A-C-F-q"},
               {"sensor_point", "b-m-p-s-p-i"}, {"fire", "b-l-f"},
               {"fire hydrant", "a-u-G"},       {"default", "a-u-G"}};
  for (const auto& c : cases) EXPECT_EQ(map.type_of(c.object_class), c.type) << c.object_class;
}

TEST(ClassMap, TheBuiltInOneHasAllOfCoco) {
  // A class that is listed does not fall back: a map with another default shows which are.
  std::string text(kBuiltInClassMap);
  const auto at = text.find("default = a-.-G\n");
  ASSERT_NE(at, std::string::npos);
  text.replace(at, 16, "default = b-m-p-s-m\n");
  const auto map = ClassMap::parse(text);
  ASSERT_TRUE(map) << map.error().detail;
  for (const char* name : {"person",        "bicycle",      "car",
                           "motorcycle",    "airplane",     "bus",
                           "train",         "truck",        "boat",
                           "traffic light", "fire hydrant", "stop sign",
                           "parking meter", "bench",        "bird",
                           "cat",           "dog",          "horse",
                           "sheep",         "cow",          "elephant",
                           "bear",          "zebra",        "giraffe",
                           "backpack",      "umbrella",     "handbag",
                           "tie",           "suitcase",     "frisbee",
                           "skis",          "snowboard",    "sports ball",
                           "kite",          "baseball bat", "baseball glove",
                           "skateboard",    "surfboard",    "tennis racket",
                           "bottle",        "wine glass",   "cup",
                           "fork",          "knife",        "spoon",
                           "bowl",          "banana",       "apple",
                           "sandwich",      "orange",       "broccoli",
                           "carrot",        "hot dog",      "pizza",
                           "donut",         "cake",         "chair",
                           "couch",         "potted plant", "bed",
                           "dining table",  "toilet",       "tv",
                           "laptop",        "mouse",        "remote",
                           "keyboard",      "cell phone",   "microwave",
                           "oven",          "toaster",      "sink",
                           "refrigerator",  "book",         "clock",
                           "vase",          "scissors",     "teddy bear",
                           "hair drier",    "toothbrush"})
    EXPECT_NE(map->type_of(name), "b-m-p-s-m") << name;
  EXPECT_EQ(map->type_of("unheard_of"), "b-m-p-s-m");
}

TEST(ClassMap, EveryAffiliationMakesCotTypes) {
  for (const char affiliation : kAffiliations) {
    const auto map = ClassMap::built_in(affiliation);
    EXPECT_EQ(map.type_of("car"), std::string("a-") + affiliation + "-G-E-V-C");
    EXPECT_EQ(map.type_of("sensor_point"), "b-m-p-s-p-i");
    EXPECT_EQ(map.type_of("?"), std::string("a-") + affiliation + "-G");
  }
  EXPECT_EQ(ClassMap::built_in('!').type_of("car"), "a-u-G-E-V-C");
  EXPECT_FALSE(ClassMap::parse("", 'x'));
}

TEST(ClassMap, SpellingsAndParents) {
  const auto map = ClassMap::parse(
      "# comment\r\n"
      "truck = a-.-G-E-V-U   # behind a line\n"
      "\n"
      "Truck.Army = a-h-G-E-V-U\n"
      "traffic light=a-n-G\n"
      "last = a-.-A",
      'f');
  ASSERT_TRUE(map) << map.error().detail;
  EXPECT_EQ(map->size(), 4U);
  EXPECT_EQ(map->type_of("TRUCK"), "a-f-G-E-V-U");
  EXPECT_EQ(map->type_of("truck.civil.large"), "a-f-G-E-V-U");
  EXPECT_EQ(map->type_of("truck-army_LARGE"), "a-h-G-E-V-U");  // the operator's own letter
  EXPECT_EQ(map->type_of("Traffic-Light"), "a-n-G");
  EXPECT_EQ(map->type_of("traffic"), "a-f-G");
  EXPECT_EQ(map->type_of("trucks"), "a-f-G");
  EXPECT_EQ(map->type_of("last"), "a-f-A");
  EXPECT_EQ(map->type_of(""), "a-f-G");
  EXPECT_EQ(map->type_of("___"), "a-f-G");
  EXPECT_EQ(map->type_of("truck_" + std::string(58, 'x')), "a-f-G-E-V-U");
  EXPECT_EQ(map->type_of("truck_" + std::string(500, 'x')), "a-f-G-E-V-U");
  EXPECT_EQ(map->type_of(std::string(500, 'x')), "a-f-G");
  EXPECT_EQ(map->type_of("tr\xC3\xBC"
                         "ck"),
            "a-f-G");
}

TEST(ClassMap, AClassLongerThanAnyIsNotTakenForItsBeginning) {
  const std::string longest(64, 'x');
  const auto map = ClassMap::parse(longest + " = a-.-A");
  ASSERT_TRUE(map);
  EXPECT_EQ(map->type_of(longest), "a-u-A");
  EXPECT_EQ(map->type_of(longest + "y"), "a-u-G");
}

TEST(ClassMap, AWrongLineIsNamed) {
  EXPECT_THAT(complaint("car = a-.-G\n\ncar a-.-G"), HasSubstr("line 3: must be of the form"));
  EXPECT_THAT(complaint("= a-.-G"), HasSubstr("line 1: a class has 1 to 64"));
  EXPECT_THAT(complaint(std::string(65, 'x') + "= a-.-G"), HasSubstr("line 1: a class has 1 to 64"));
  EXPECT_THAT(complaint("c\xC3\xA4r = a-.-G"), HasSubstr("line 1: a class has letters"));
  EXPECT_THAT(complaint("car = a-.-G\n# x\nCAR = a-.-A"), HasSubstr("line 3: 'car' is stated in line 1 already"));
  EXPECT_THAT(complaint("traffic light = a-.-G\ntraffic_light = a-.-G"), HasSubstr("line 2"));
  for (const char* type : {"", "a", "a-", "a-.", "a-.-", "a-.-Z", "a-.-G-", "a-.-G--E", "a-x-G", "a-.-G E", "-a-u-G",
                           "b-.-G", "a-u-G-\xC3\xA4", "a-.-G;\"", "a-.-G;a;b"})
    EXPECT_THAT(complaint("car = " + std::string(type)), HasSubstr("is not a CoT type")) << type;
  EXPECT_THAT(complaint("car = a-.-G-" + std::string(60, 'x')), HasSubstr("is not a CoT type"));
  EXPECT_EQ(complaint("car = a-.-G;key:value"), "");
  EXPECT_EQ(complaint(""), "");
}

}  // namespace
}  // namespace detection::cot
