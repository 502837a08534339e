#include "pipeline/sink_settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace detection::pipeline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

SinkSetup good(std::string_view url) {
  auto setup = parse_sink(url);
  EXPECT_TRUE(setup) << url << ": " << (setup ? "" : setup.error().detail);
  return setup ? std::move(*setup) : SinkSetup{};
}

std::string complaint(std::string_view url) {
  const auto setup = parse_sink(url);
  EXPECT_FALSE(setup) << url;
  if (setup) return {};
  EXPECT_EQ(setup.error().code, ErrorCode::kConfiguration);
  return setup.error().detail;
}

TEST(SinkSettings, AUrlAloneHasTheDefaults) {
  const auto setup = good("tcp://h:8087");
  EXPECT_EQ(setup.sink.address.host, "h");
  EXPECT_TRUE(setup.filter.empty());
  EXPECT_EQ(setup.keep, KeepPolicy{});
  EXPECT_FALSE(setup.rate_per_s || setup.queue_items || setup.queue_bytes);
}

TEST(SinkSettings, EverySettingIsRead) {
  const auto setup = good(
      "tls://tak.example.org:8089?type=a-f-*,b-m-p-s-p-i&flag=GREEN,YELLOW&source=uav-*,a%2Cb&class=vehicle&"
      "area=170,-10,-170.5,10&rate=60/m&keep=latest+fresh&queue_items=1000&queue_bytes=20MiB&credentials=/etc/tak%20a&"
      "expected_name=takserver&protocol=xml&pin_sha256="
      "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff");
  EXPECT_EQ(setup.sink.address.port, 8089);
  EXPECT_THAT(setup.filter.types, ElementsAre("a-f-*", "b-m-p-s-p-i"));
  EXPECT_EQ(setup.filter.flags, 3);
  EXPECT_THAT(setup.filter.sources, ElementsAre("uav-*", "a,b"));
  EXPECT_THAT(setup.filter.classes, ElementsAre("vehicle"));
  ASSERT_TRUE(setup.filter.area);
  EXPECT_EQ(setup.filter.area->west_deg, 170);
  EXPECT_EQ(setup.filter.area->east_deg, -170.5);
  EXPECT_EQ(setup.rate_per_s, 1);
  EXPECT_EQ(setup.keep, (KeepPolicy{true, true}));
  EXPECT_EQ(setup.queue_items, 1000);
  EXPECT_EQ(setup.queue_bytes, 20 << 20);
  EXPECT_EQ(setup.sink.tls.credentials, "/etc/tak a");
  EXPECT_EQ(setup.sink.tls.expected_name, "takserver");
  EXPECT_EQ(setup.sink.tls.pin_sha256, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
  EXPECT_EQ(setup.sink.protocol, tak::ProtocolChoice::kXml);

  const auto udp = good("udp://239.2.3.1:6969?ttl=0&interface=eth0&protocol=protobuf&keep=fresh&rate=200");
  EXPECT_EQ(udp.sink.multicast_ttl, 0);
  EXPECT_EQ(udp.sink.interface, "eth0");
  EXPECT_EQ(udp.sink.protocol, tak::ProtocolChoice::kProtobuf);
  EXPECT_EQ(udp.keep, (KeepPolicy{false, true}));
  EXPECT_EQ(udp.rate_per_s, 200);
  EXPECT_EQ(good("file:///var/lib/events.cot?type=*").sink.address.path, "/var/lib/events.cot");
  EXPECT_EQ(good("tcp://h:1?r%61te=5").rate_per_s, 5) << "names are decoded too";
}

TEST(SinkSettings, AnErrorNamesTheSettingAndItsRule) {
  EXPECT_THAT(complaint("tcp://h:1?colour=red"), HasSubstr("colour: there is no such setting"));
  for (const auto& one : sink_setting_table())
    EXPECT_THAT(complaint("tcp://h:1?colour=red"), HasSubstr(std::string(one.name)));
  EXPECT_THAT(complaint("tcp://h:1?ttl=3"), HasSubstr("ttl: is only for udp://"));
  EXPECT_THAT(complaint("tcp://h:1?pin_sha256=00"), HasSubstr("is only for tls://"));
  EXPECT_THAT(complaint("file:///a?credentials=x"), HasSubstr("is only for tcp://, tls://"));
  EXPECT_THAT(complaint("tcp://h:1?rate=1&rate=2"), HasSubstr("rate: is given twice"));
  EXPECT_THAT(complaint("tcp://h:1?"), HasSubstr("there is no such setting"));
  EXPECT_THAT(complaint("tcp://h?rate=1"), HasSubstr("port"));
}

/// Each with a value that is nearly right.
TEST(SinkSettings, WhatHasNotTheFormIsRefused) {
  const std::pair<const char*, std::vector<const char*>> bad[] = {
      {"type", {"", "a b", "a-f,,b", "a<b", "%"}},
      {"flag", {"", "green", "GREEN,", "BLUE"}},
      {"source", {"", "a,", "%zz", "%0a", "a%2"}},
      {"class", {"", ","}},
      {"area", {"", "1,2,3", "1,2,3,4,5", "0,10,1,5", "-181,0,1,1", "0,-91,1,1", "a,0,1,1", "nan,0,1,1"}},
      {"rate", {"", "0", "-1", "200/d", "inf", "nan", "1e7", "/s", "5x"}},
      {"keep", {"", "none", "fresh+latest", "LATEST"}},
      {"queue_items", {"", "0", "-1", "1.5", "9007199254740993", "10k"}},
      {"queue_bytes", {"", "0", "5GX", "99999999999GiB"}},
      {"credentials", {"", "%00"}},
      {"expected_name", {""}},
      {"pin_sha256", {"", "00", "zz", "0011223344556677889900112233445566778899001122334455667788990011zz"}},
      {"protocol", {"", "protobuf", "json"}},
  };
  for (const auto& [name, values] : bad)
    for (const auto* value : values) {
      const auto text = complaint(std::string("tls://h:1?") + name + "=" + value);
      EXPECT_THAT(text, HasSubstr(std::string("setting ") + name + ": must be ")) << value;
    }
  for (const auto* url : {"udp://h:1?ttl=256", "udp://h:1?ttl=-1", "udp://h:1?protocol=negotiate", "tcp://h:1?rate"})
    EXPECT_THAT(complaint(url), HasSubstr("must be"));
}

TEST(SinkSettings, ThePageNamesEachOnce) {
  const auto page = sink_settings_markdown();
  for (const auto& one : sink_setting_table()) {
    const auto cell = "| `" + std::string(one.name) + "` |";
    EXPECT_NE(page.find(cell), std::string::npos) << cell;
    EXPECT_EQ(page.find(cell), page.rfind(cell)) << cell;
    EXPECT_EQ(one.form.find('|'), std::string_view::npos) << "would end its column";
  }
}

}  // namespace
}  // namespace detection::pipeline
