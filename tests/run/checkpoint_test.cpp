#include <starling/run/checkpoint.hpp>

#include <signal.h>
#include <sys/resource.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <fstream>
#include <limits>

#include <starling/base/error.hpp>
#include <starling/run/crc32c.hpp>
#include <starling/run/files.hpp>

#include <support/temporary_folder.hpp>

#include "sample_run.hpp"

namespace starling::run {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

struct Weights {
  std::vector<std::vector<float>> data;
  std::vector<ArrayView> views;

  void add(std::string name, std::vector<std::int64_t> shape, Stream& stream) {
    std::size_t count = 1;
    for (const auto extent : shape) count *= static_cast<std::size_t>(extent);
    auto& values = data.emplace_back(count);
    for (auto& value : values) value = std::bit_cast<float>(stream());
    views.push_back({std::move(name), std::move(shape), nullptr});
  }
  std::span<const ArrayView> all() {
    for (std::size_t i = 0; i < views.size(); ++i) views[i].data = data[i].data();
    return views;
  }
};

Weights sample_weights() {
  Stream stream(17, Purpose::test);
  Weights weights;
  weights.add("embedding", {256, 32}, stream);
  for (int liv = 0; liv < 30; ++liv) {
    for (const char* name : {"z", "bank.q", "bank.k", "out"}) {
      weights.add("livs." + std::to_string(liv) + "." + name, {32, 1 + static_cast<std::int64_t>(stream.below(40))}, stream);
    }
  }
  weights.add("lambda", {}, stream);
  weights.add("none", {0, 4}, stream);
  weights.add("norm", {32}, stream);
  return weights;
}

const CheckpointInfo info{12, "21211-31112", "name = \"größer\"\n" + std::string(100'000, '#') + "\n", 4711};

class CheckpointTest : public ::testing::Test {
 protected:
  TemporaryFolder directory_;
  std::filesystem::path file_ = directory_.path() / "checkpoints" / "00000012.h5";
};

TEST_F(CheckpointTest, ARetrainingHasAFileOfItsOwn) {
  auto weights = sample_weights();
  auto longer = info;
  longer.asked_tokens = 4000;
  EXPECT_EQ(write_checkpoint(directory_.path(), longer, weights.all()).path, "checkpoints/00000012-4000.h5");
  EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(CheckpointTest, GivesBackEveryBitInOrder) {
  auto weights = sample_weights();
  const auto written = write_checkpoint(directory_.path(), info, weights.all());
  EXPECT_EQ(written.path, "checkpoints/00000012.h5");
  const auto loaded = read_checkpoint(file_);
  EXPECT_EQ(loaded.info.candidate_id, info.candidate_id);
  EXPECT_EQ(loaded.info.genome, info.genome);
  EXPECT_EQ(loaded.info.experiment, info.experiment);
  EXPECT_EQ(loaded.info.step, info.step);
  ASSERT_EQ(loaded.weights.size(), weights.views.size());
  for (std::size_t i = 0; i < loaded.weights.size(); ++i) {
    EXPECT_EQ(loaded.weights[i].name, weights.views[i].name);
    EXPECT_EQ(loaded.weights[i].shape, weights.views[i].shape);
    ASSERT_EQ(loaded.weights[i].data.size(), weights.data[i].size());
    for (std::size_t k = 0; k < weights.data[i].size(); ++k) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(loaded.weights[i].data[k]), std::bit_cast<std::uint32_t>(weights.data[i][k]));
    }
  }
}

TEST_F(CheckpointTest, ReportsTheSizeAndChecksumOfTheFile) {
  auto weights = sample_weights();
  const auto written = write_checkpoint(directory_.path(), info, weights.all());
  const auto bytes = read_file(file_);
  EXPECT_EQ(written.bytes, bytes.size());
  EXPECT_EQ(written.crc32c, crc32c(bytes.data(), bytes.size()));
  std::size_t payload = 0;
  for (const auto& values : weights.data) payload += values.size() * sizeof(float);
  EXPECT_LT(bytes.size(), payload + info.experiment.size() + 100'000) << "contiguous, with little besides the weights";
}

TEST_F(CheckpointTest, OnAFullDiskLeavesTheOldOneAndGoesOnAfterwards) {
  auto weights = sample_weights();
  write_checkpoint(directory_.path(), info, weights.all());
  const auto old = read_file(file_);
  auto later = info;
  later.step = 5000;
  const auto temporary = directory_.path() / "checkpoints" / "00000012.h5.tmp";
  for (int round = 0; round < 3; ++round) {
    std::filesystem::create_symlink("/dev/full", temporary);
    EXPECT_THAT([&] { write_checkpoint(directory_.path(), later, weights.all()); },
                ThrowsMessage<Failure>(HasSubstr("No space left on device")));
    EXPECT_EQ(read_file(file_), old);
    EXPECT_FALSE(std::filesystem::is_symlink(temporary));
  }
  write_checkpoint(directory_.path(), later, weights.all());
  EXPECT_EQ(read_checkpoint(file_).info.step, 5000);
}

TEST_F(CheckpointTest, LargerThanAFileMayBeIsRefusedBeforeAnythingIsWritten) {
  auto weights = sample_weights();
  struct rlimit old {};
  ::getrlimit(RLIMIT_FSIZE, &old);
  struct rlimit limit = old;
  limit.rlim_cur = 50'000;
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &limit);
  EXPECT_THAT([&] { write_checkpoint(directory_.path(), info, weights.all()); }, ThrowsMessage<Failure>(HasSubstr("ulimit -f")));
  ::setrlimit(RLIMIT_FSIZE, &old);
  ::signal(SIGXFSZ, handler);
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / "checkpoints"));
  write_checkpoint(directory_.path(), info, weights.all());
  EXPECT_EQ(read_checkpoint(file_).weights.size(), weights.views.size());
}

TEST_F(CheckpointTest, RefusesWhatIsNoCheckpoint) {
  EXPECT_THAT([&] { read_checkpoint(file_); }, ThrowsMessage<UserError>(HasSubstr("no such file")));
  EXPECT_THROW(read_checkpoint(directory_.path()), UserError);
  const auto text = directory_.path() / "text.h5";
  std::ofstream(text) << "not an HDF5 file";
  EXPECT_THAT([&] { read_checkpoint(text); }, ThrowsMessage<UserError>(HasSubstr("not a checkpoint")));
}

TEST_F(CheckpointTest, CutShortOrDamagedIsAFailure) {
  auto weights = sample_weights();
  write_checkpoint(directory_.path(), info, weights.all());
  const auto bytes = read_file(file_);
  for (const auto cut : {bytes.size() / 2, bytes.size() - 1}) {
    std::ofstream(file_, std::ios::binary | std::ios::trunc).write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(cut));
    EXPECT_THAT([&] { read_checkpoint(file_); }, ThrowsMessage<Failure>(AllOf(HasSubstr(file_.string()), HasSubstr("damaged"))));
  }
}

}  // namespace
}  // namespace starling::run
