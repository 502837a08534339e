#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tak/sink.hpp"

namespace detection::tak {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(SinkAddress, ReadsHostAndPort) {
  const auto address = parse_sink_address("tcp://tak.example.org:8087");
  ASSERT_TRUE(address);
  EXPECT_EQ(address->scheme, Scheme::kTcp);
  EXPECT_EQ(address->host, "tak.example.org");
  EXPECT_EQ(address->port, 8087);
  EXPECT_EQ(parse_sink_address("tcp://10.0.0.1:1")->port, 1);
  EXPECT_EQ(parse_sink_address("tcp://10.0.0.1:65535")->port, 65535);
}

TEST(SinkAddress, ReadsIpv6InBrackets) {
  const auto address = parse_sink_address("tcp://[fe80::1%eth0]:8087");
  ASSERT_TRUE(address);
  EXPECT_EQ(address->host, "fe80::1%eth0");
  EXPECT_EQ(address->port, 8087);
}

TEST(SinkAddress, ReadsEachSchemeAndWritesItAgain) {
  for (const std::string url : {"tcp://h:1", "tls://tak.example.org:8089", "udp://239.2.3.1:6969",
                                "udp://[ff02::1]:6969", "file:///var/lib/events.cot"}) {
    const auto address = parse_sink_address(url);
    ASSERT_TRUE(address) << url;
    EXPECT_EQ(sink_url(*address), url);
  }
  EXPECT_EQ(parse_sink_address("ssl://h:8089")->scheme, Scheme::kTls) << "as TAK's own data packages write it";
}

TEST(SinkAddress, NamesWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "'://' is missing"},
      {"localhost:8087", "'://' is missing"},
      {"http://h:1", "unknown scheme 'http'"},
      {"TCP://h:1", "unknown scheme 'TCP'"},
      {"://h:1", "unknown scheme ''"},
      {"file://relative/x", "whole path"},
      {"file:///folder/", "not a folder"},
      {"file:///x?y=1", "nothing may follow"},
      {"udp://239.2.3.1", "port is missing"},
      {"tcp://h", "port is missing"},
      {"tcp://h:", "port is missing"},
      {"tcp://h:0", "from 1 to 65535"},
      {"tcp://h:65536", "from 1 to 65535"},
      {"tcp://h:99999999999999", "from 1 to 65535"},
      {"tcp://h:80x", "whole number"},
      {"tcp://h:-1", "whole number"},
      {"tcp://h:+1", "whole number"},
      {"tcp://:8087", "host is missing"},
      {"tcp://", "host is missing"},
      {"tcp://::1:8087", "in brackets"},
      {"tcp://[::1:8087", "']' is missing"},
      {"tcp://[::1]", "port is missing"},
      {"tcp://[::1]8087", "after ']'"},
      {"tcp://[localhost]:1", "an IPv6 address"},
      {"tcp://[]:1", "an IPv6 address"},
      {"tcp://h:1/", "nothing may follow"},
      {"tcp://h:1/path", "nothing may follow"},
      {"tcp://h:1?x=1", "nothing may follow"},
      {"tcp://h x:1", "character"},
      {"tcp://h\n:1", "character"},
  };
  for (const auto& [url, rule] : cases) {
    const auto address = parse_sink_address(url);
    ASSERT_FALSE(address) << url;
    EXPECT_EQ(address.error().code, ErrorCode::kConfiguration);
    EXPECT_THAT(address.error().detail, HasSubstr(rule)) << url;
    ASSERT_EQ(address.error().fields.size(), 1U);
  }
}

TEST(SinkAddress, RefusesCredentialsAndDoesNotRepeatThem) {
  const auto address = parse_sink_address("tcp://user:geheim@h:8087");
  ASSERT_FALSE(address);
  EXPECT_THAT(address.error().detail, HasSubstr("user and password"));
  EXPECT_THAT(address.error().detail, Not(HasSubstr("geheim")));
}

}  // namespace
}  // namespace detection::tak
