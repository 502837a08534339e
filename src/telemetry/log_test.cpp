#include "telemetry/log.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

namespace detection::telemetry {
namespace {

/// What `use` logs, line by line.
template <class Use>
std::vector<nlohmann::json> lines_of(Level least, Use use) {
  std::array<int, 2> ends{};
  EXPECT_EQ(pipe(ends.data()), 0);
  std::string text;
  std::thread reader([&] {
    std::array<char, 4096> buffer;
    ssize_t n = 0;
    while ((n = ::read(ends[0], buffer.data(), buffer.size())) > 0)
      text.append(buffer.data(), static_cast<std::size_t>(n));
  });
  {
    Log log(ends[1], least);
    use(log);
  }
  close(ends[1]);
  reader.join();
  close(ends[0]);
  std::vector<nlohmann::json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

TEST(Log, OneObjectALineWithItsFields) {
  const auto lines = lines_of(Level::kInfo, [](Log& log) {
    log.info("tak_connected", "connected", {{"sink", "tak"}, {"attempt", 3}, {"duration_ms", 1.5}, {"first", true}});
  });
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0]["level"], "info");
  EXPECT_EQ(lines[0]["event"], "tak_connected");
  EXPECT_EQ(lines[0]["attempt"], 3);
  EXPECT_EQ(lines[0]["duration_ms"], 1.5);
  EXPECT_EQ(lines[0]["first"], true);
  EXPECT_EQ(lines[0]["time"].get<std::string>().size(), 24U);
}

TEST(Log, DetectionsAreFoundByTheirIds) {
  std::vector<Uuid> ids(201);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i].bytes[15] = static_cast<std::uint8_t>(i);
  const auto lines = lines_of(Level::kInfo, [&](Log& log) {
    log.about(ids, Level::kInfo, "accepted", "m", {{"state", "queued"}, where_given("trace_id", "")});
    log.about({}, Level::kInfo, "nothing", "m");
    log.about(ids, Level::kDebug, "too_fine", "m");
  });
  ASSERT_EQ(lines.size(), 3U) << "a line for each hundred, none about nothing";
  std::size_t at = 0;
  for (const std::size_t of_line : {100U, 100U}) {
    const auto& line = lines[at / 100];
    EXPECT_EQ(line["state"], "queued");
    EXPECT_FALSE(line.contains("trace_id"));
    EXPECT_FALSE(line.contains("detection_id"));
    ASSERT_EQ(line["detection_ids"].size(), of_line);
    for (const auto& id : line["detection_ids"]) EXPECT_EQ(id, to_string(ids[at++]));
  }
  EXPECT_EQ(lines[2]["detection_id"], to_string(ids[200]));
  EXPECT_FALSE(lines[2].contains("detection_ids"));
}

TEST(Log, HostileTextStaysOneLine) {
  const auto lines = lines_of(Level::kInfo, [](Log& log) {
    log.info("e", "line one\nline \"two\"\t\x01\x7f", {{"source", std::string("a\\b\r\n{}")}});
  });
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0]["message"], "line one\nline \"two\"\t\x01\x7f");
  EXPECT_EQ(lines[0]["source"], "a\\b\r\n{}");
}

TEST(Log, LevelsBelowTheLeastAreLeftOut) {
  const auto lines = lines_of(Level::kWarning, [](Log& log) {
    log.info("no", "no");
    log.error("yes", "yes");
  });
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0]["event"], "yes");
}

TEST(Log, AFullQueueDropsAndCountsInsteadOfBlocking) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const std::string big(100'000, 'x');
  std::uint64_t dropped = 0;
  std::thread reader;
  {
    Log log(ends[1]);
    for (int i = 0; i < 100; ++i) log.info("big", big);  // nobody reads yet
    dropped = log.dropped();
    reader = std::thread([&] {
      std::array<char, 65536> buffer;
      while (::read(ends[0], buffer.data(), buffer.size()) > 0) {
      }
    });
  }
  close(ends[1]);
  reader.join();
  close(ends[0]);
  EXPECT_GT(dropped, 0U);
}

}  // namespace
}  // namespace detection::telemetry
