// The rules of the source tree, held against the real tree, and shown on made-up ones to catch what they are for.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "test_paths.hpp"
#include "unit/source_rules.hpp"

namespace detection::rules {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::size_t kLinesMost = 700;
const fs::path kTop = DETECTION_SOURCE_ROOT;
const fs::path kRoomList = fs::path(DETECTION_BINARY_ROOT) / "rooms.txt";

TEST(SourceRules, RoomsAreDeclared) {
  const auto rooms = read_rooms(kRoomList);
  ASSERT_FALSE(rooms.empty());
  EXPECT_EQ(rooms.front().name, "detection");
  EXPECT_THAT(rooms.front().uses, IsEmpty()) << "the words of the domain need no other room";
  for (const auto& room : rooms) EXPECT_FALSE(room.sources.empty()) << room.name;
}

TEST(SourceRules, ArrowsGoUpwards) {
  EXPECT_THAT(wrong_arrows(read_rooms(kRoomList)), IsEmpty());
}

TEST(SourceRules, IncludesFollowTheArrows) {
  EXPECT_THAT(wrong_includes(kTop / "src", read_rooms(kRoomList)), IsEmpty());
}

TEST(SourceRules, LibrariesStayInTheirRoom) {
  EXPECT_THAT(leaked_libraries(kTop / "src", read_rooms(kRoomList)), IsEmpty());
}

TEST(SourceRules, EverySourceIsBuilt) {
  EXPECT_THAT(unlisted_sources(kTop / "src"), IsEmpty());
}

TEST(SourceRules, FilesAreShortAndFinished) {
  EXPECT_THAT(untidy_files(kTop, kLinesMost), IsEmpty());
}

/// A made-up tree of two rooms, `low` and `high`, that goes with the test.
class MadeUpTree : public ::testing::Test {
 protected:
  MadeUpTree() {
    std::string name = (fs::temp_directory_path() / "source-rules-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    top_ = name;
    write("src/low/CMakeLists.txt", "detection_room(low SOURCES low.cpp)\n");
    write("src/low/low.hpp", "#pragma once\n#include <string>\n");
    write("src/low/low.cpp", "#include \"low/low.hpp\"\n");
    write("src/high/CMakeLists.txt", "detection_room(high SOURCES high.cpp # spare.cpp\n USES low)\n");
    write("src/high/high.hpp", "#pragma once\n#include \"low/low.hpp\"\n");
    write("src/high/high.cpp", "#include \"high/high.hpp\"\n");
  }
  ~MadeUpTree() override { fs::remove_all(top_); }

  void write(const fs::path& file, std::string_view text) const {
    fs::create_directories((top_ / file).parent_path());
    std::ofstream(top_ / file) << text;
  }
  [[nodiscard]] fs::path src() const { return top_ / "src"; }

  fs::path top_;
  std::vector<Room> rooms_{{"low", {}, {"low.cpp"}}, {"high", {"low"}, {"high.cpp"}}};
};

TEST_F(MadeUpTree, IsCleanToBeginWith) {
  EXPECT_THAT(wrong_arrows(rooms_), IsEmpty());
  EXPECT_THAT(wrong_includes(src(), rooms_), IsEmpty());
  EXPECT_THAT(leaked_libraries(src(), rooms_), IsEmpty());
  EXPECT_THAT(unlisted_sources(src()), IsEmpty());
  EXPECT_THAT(untidy_files(top_, kLinesMost), IsEmpty());
}

TEST_F(MadeUpTree, IncludeAgainstTheArrowIsFound) {
  write("src/low/low.cpp", "#include \"low/low.hpp\"\n#include \"high/high.hpp\"\n");
  EXPECT_THAT(wrong_includes(src(), rooms_), ElementsAre("low/low.cpp:2: low does not declare that it uses high"));
}

TEST_F(MadeUpTree, IncludeThroughAnOwnHeaderIsFound) {
  write("src/low/low.hpp", "#pragma once\n  #  include \"high/high.hpp\"  // why not\n");
  EXPECT_THAT(wrong_includes(src(), rooms_), ElementsAre("low/low.hpp:2: low does not declare that it uses high"));
}

TEST_F(MadeUpTree, UndeclaredArrowIsFound) {
  rooms_[1].uses.clear();
  EXPECT_THAT(wrong_includes(src(), rooms_), ElementsAre("high/high.hpp:2: high does not declare that it uses low"));
}

TEST_F(MadeUpTree, IncludeWithoutItsRoomIsFound) {
  write("src/high/high.cpp", "#include \"high.hpp\"\n");
  EXPECT_THAT(wrong_includes(src(), rooms_), ElementsAre(HasSubstr("\"high.hpp\" is not of the form")));
}

TEST_F(MadeUpTree, TestBesideTheCodeMayUseMore) {
  write("src/low/low_test.cpp", "#include \"high/high.hpp\"\n");
  EXPECT_THAT(wrong_includes(src(), rooms_), IsEmpty());
}

TEST_F(MadeUpTree, ArrowDownwardsAndCircleAreFound) {
  rooms_[0].uses = {"high"};
  EXPECT_THAT(wrong_arrows(rooms_), ElementsAre("low uses high, which is not above it"));
  rooms_[0].uses = {"low"};
  EXPECT_THAT(wrong_arrows(rooms_), ElementsAre("low uses low, which is not above it"));
}

TEST_F(MadeUpTree, LibraryBehindAPublicHeaderIsFound) {
  write("src/low/low.hpp", "#pragma once\n#include \"low/inner.hpp\"\n");
  write("src/low/inner.hpp", "#pragma once\n#include <boost/asio.hpp>\n");
  EXPECT_THAT(leaked_libraries(src(), rooms_), ElementsAre("low/inner.hpp:2: boost/asio.hpp reaches high/high.hpp"));
}

TEST_F(MadeUpTree, LibraryInAHeaderOfTheRoomAloneIsFine) {
  write("src/low/low.cpp", "#include \"low/inner.hpp\"\n");
  write("src/low/inner.hpp", "#pragma once\n#include <boost/asio.hpp>\n");
  EXPECT_THAT(leaked_libraries(src(), rooms_), IsEmpty());
}

TEST_F(MadeUpTree, SourceThatNobodyBuildsIsFound) {
  write("src/high/spare.cpp", "int spare();\n");
  EXPECT_THAT(unlisted_sources(src()), ElementsAre("high/spare.cpp: not in the CMakeLists.txt of its room"));
}

TEST_F(MadeUpTree, LiteralsOfStdAreFine) {
  write("src/low/low.hpp", "#pragma once\nusing namespace std::chrono_literals;\n");
  EXPECT_THAT(untidy_files(top_, kLinesMost), IsEmpty());
}

TEST_F(MadeUpTree, LongUnfinishedAndCarelessFilesAreFound) {
  write("src/low/low.hpp",
        "#pragma once\nusing namespace std;\n// TO"
        "DO: later\n");
  EXPECT_THAT(untidy_files(top_, 2),
              ElementsAre("src/low/low.hpp:3: over 2 lines", "src/low/low.hpp:2: using namespace in a header",
                          "src/low/low.hpp:3: unfinished work"));
}

}  // namespace
}  // namespace detection::rules
