// The screen on a pseudo-terminal, looked at as a person sees it: through a small terminal that understands what the block uses.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "screen.hpp"

namespace starling::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

using Lines = std::vector<std::string>;

/// Rows that scroll, a cursor that wraps behind the last column, and the sequences "up", "erase to the end of the line" and "of
/// the screen".
class Terminal {
 public:
  Terminal(unsigned short rows, unsigned short columns) : rows_(rows), columns_(columns), screen_(rows) {
    winsize size{.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    int slave = -1;
    if (openpty(&master_, &slave, nullptr, nullptr, &size) != 0) throw std::runtime_error("no pseudo-terminal");
    fcntl(master_, F_SETFL, O_NONBLOCK);
    out_.reset(fdopen(slave, "w"));
  }
  ~Terminal() { close(master_); }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  std::FILE* out() const { return out_.get(); }

  /// The bytes that came since the last look.
  const std::string& received() {
    char bytes[4096];
    for (ssize_t got = 0; (got = read(master_, bytes, sizeof bytes)) > 0;) input_.append(bytes, static_cast<std::size_t>(got));
    return input_;
  }

  /// What stands on the screen, without the empty lines below.
  Lines lines() {
    received();
    for (std::size_t at = 0; at < input_.size();) at = take(at);
    input_.clear();
    Lines seen = screen_;
    while (!seen.empty() && seen.back().empty()) seen.pop_back();
    return seen;
  }

 private:
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  std::size_t take(std::size_t at) {
    if (input_[at] == '\x1b') return escape(at + 2);
    if (input_[at] == '\r') {
      column_ = 0;
    } else if (input_[at] == '\n') {
      line_feed();
    } else {
      if (column_ == columns_) {
        line_feed();
        column_ = 0;
      }
      auto& line = screen_[row_];
      line.resize(std::max(line.size(), column_ + 1), ' ');
      line[column_++] = input_[at];
    }
    return at + 1;
  }

  std::size_t escape(std::size_t at) {
    const auto end = input_.find_first_not_of("0123456789", at);
    const auto number = input_.substr(at, end - at);
    switch (input_[end]) {
      case 'A':
        row_ -= std::min(row_, static_cast<std::size_t>(std::stoul(number)));
        break;
      case 'J':
        std::fill(screen_.begin() + static_cast<std::ptrdiff_t>(row_) + 1, screen_.end(), "");
        [[fallthrough]];
      case 'K':
        screen_[row_].resize(std::min(screen_[row_].size(), column_));
        break;
      default:
        ADD_FAILURE() << "unknown sequence " << input_.substr(at, 8);
    }
    return end + 1;
  }

  void line_feed() {
    if (++row_ < rows_) return;
    --row_;
    screen_.erase(screen_.begin());
    screen_.emplace_back();
  }

  std::size_t rows_, columns_;
  Lines screen_;
  std::size_t row_ = 0, column_ = 0;
  std::string input_;
  int master_ = -1;
  std::unique_ptr<std::FILE, CloseFile> out_;
};

experiment::Experiment experiment_named(const std::string& name) {
  experiment::Experiment experiment;
  experiment.name = name;
  experiment.evaluations = 48;
  experiment.search.population = 4;
  experiment.search.objectives = {"quality", "cache"};
  return experiment;
}

run::JournalEntry evaluation(std::uint64_t id, double loss) {
  run::EvaluationRecorded record;
  record.outcome = {.id = id, .status = search::Status::ok, .objectives = {loss, 100}};
  record.loss = loss;
  record.cache_bytes = 1'234'567'890'123;
  record.worker = "w0";
  return {id, record};
}

actors::Progress progress(std::uint64_t id) { return {.id = id, .step = 123, .steps = 100'000, .loss = 1.5}; }

TEST(Screen, DrawsItsBlockOverTheLastOneAndLeavesNothingBehind) {
  Terminal terminal(24, 80);
  Screen screen(experiment_named("tiny"), Screen::Style::block, terminal.out());
  screen.say("where everything goes");
  for (std::uint64_t id = 1; id <= 5; ++id) {
    screen.record(evaluation(id, 1.0 / static_cast<double>(id)));
    screen.progress("w0", progress(id));
    screen.progress("w1", progress(id));
    screen.refresh();
    const auto lines = terminal.lines();
    ASSERT_EQ(lines.size(), 7u) << "one that was said, two of the search, two of the best, two of the workers";
    EXPECT_THAT(lines[1], StartsWith("tiny: " + std::to_string(id) + " of 48 evaluated"));
  }
  screen.record({6, run::WorkerLeft{.worker = "w1", .pid = 1, .reason = "exit code 1", .time_utc = {}}});
  screen.refresh();
  EXPECT_EQ(terminal.lines().size(), 6u) << "a block that is shorter than the last";
  screen.say("stopping");
  EXPECT_THAT(terminal.lines(), ElementsAre("where everything goes", "stopping"));
  screen.refresh();
  EXPECT_EQ(terminal.lines().size(), 7u);
  screen.finish();
  EXPECT_THAT(terminal.lines(), ElementsAre("where everything goes", "stopping"));
}

TEST(Screen, SaysWhatGpusDo) {
  Terminal terminal(24, 80);
  Screen screen(experiment_named("tiny"), Screen::Style::block, terminal.out());
  std::uint64_t seq = 0;
  for (const auto& [worker, device] : {std::pair{"w0", "cuda:0"}, {"w1", "cuda:1"}, {"w2", "cuda:0"}}) {
    screen.record({++seq, run::WorkerJoined{.worker = worker, .host = "here", .device = device, .pid = 1, .time_utc = {}}});
  }
  screen.progress("w1", progress(3));
  screen.refresh();
  auto lines = terminal.lines();
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_THAT(lines[2], testing::MatchesRegex("  cuda:0  2 workers, busy 0 %"));
  EXPECT_THAT(lines[3], testing::MatchesRegex("  cuda:1  1 worker, busy [0-9]+ %"));
  EXPECT_THAT(lines[4], StartsWith("  w1 on cuda:1   #3 "));
  auto long_one = evaluation(4, 1);
  std::get<run::EvaluationRecorded>(long_one.record).duration_s = 1e9;
  screen.record(long_one);
  screen.record({++seq, run::DeviceGivenUp{"cuda:1", "it burns", {}}});
  screen.refresh();
  lines = terminal.lines();
  EXPECT_EQ(lines[0], "cuda:1 is given up: it burns");
  EXPECT_THAT(lines, testing::Contains("  cuda:0  2 workers, busy 100 %"));
}

TEST(Screen, FitsIntoNarrowAndLowTerminals) {
  for (const int columns : {20, 40, 79, 80, 200}) {
    Terminal terminal(6, static_cast<unsigned short>(columns));
    Screen screen(experiment_named(std::string(100, 'n')), Screen::Style::block, terminal.out());
    screen.say("said");
    for (std::uint64_t id = 1; id <= 5; ++id) {
      screen.record(evaluation(id, 1));
      for (const std::string worker : {"w0", "w1", "w2", "w3", "w4", "w5"}) screen.progress(worker, progress(id));
      screen.refresh();
      const auto lines = terminal.lines();
      EXPECT_EQ(lines.size(), 5u) << "all rows but the one of the cursor";
      EXPECT_EQ(lines[0], std::string(static_cast<std::size_t>(std::min(columns, 80)), 'n')) << "no wider than the terminal or 80 columns";
      EXPECT_THAT(lines[1], testing::MatchesRegex("  \\[[#.]+\\]"));
      EXPECT_EQ(std::count(lines.begin(), lines.end(), lines[0]), 1);
    }
    screen.finish();
    EXPECT_TRUE(terminal.lines().empty());
  }
}

TEST(Screen, CutsBetweenCharacters) {
  Terminal terminal(24, 20);
  std::string name, first;
  for (int i = 0; i < 30; ++i) name += "ö";
  for (int i = 0; i < 20; ++i) first += "ö";
  Screen screen(experiment_named(name), Screen::Style::block, terminal.out());
  screen.refresh();
  EXPECT_THAT(terminal.received(), HasSubstr(first + "\x1b[K"));
}

TEST(Screen, SaysNothingWhereItIsToBeSilent) {
  Terminal terminal(24, 80);
  Screen screen(experiment_named("tiny"), Screen::Style::silent, terminal.out());
  screen.say("stopping");
  screen.record(evaluation(1, 1));
  screen.progress("w0", progress(1));
  screen.refresh();
  screen.finish();
  EXPECT_TRUE(terminal.lines().empty());
}

TEST(Screen, DoesNotFailWhereNobodyReads) {
  for (const auto style : {Screen::Style::lines, Screen::Style::block}) {
    std::FILE* closed = std::fopen("/dev/full", "w");
    ASSERT_NE(closed, nullptr);
    Screen screen(experiment_named("tiny"), style, closed);
    EXPECT_NO_THROW({
      screen.say("said");
      screen.record(evaluation(1, 1));
      screen.progress("w0", progress(1));
      screen.refresh();
      screen.finish();
    });
    std::fclose(closed);
  }
}

}  // namespace
}  // namespace starling::tools
