#include <gmock/gmock.h>

#include <starling/experiment/placement.hpp>

#include "examples.hpp"

namespace starling::experiment {
namespace {

using ::testing::ElementsAre;

Experiment with(const std::vector<std::string>& overrides) { return parse(language, "x.toml", overrides); }

TEST(Devices, AreAutoUnlessTheyAreNamed) {
  EXPECT_TRUE(with({}).devices.empty());
  EXPECT_TRUE(with({"devices=auto"}).devices.empty());
  EXPECT_TRUE(with({"devices=['cuda:1']", "devices=\"auto\""}).devices.empty());
  EXPECT_THAT(with({"devices=['cpu']"}).devices, ElementsAre("cpu"));
  EXPECT_THAT(with({"devices=['cuda:10', 'cuda:0']"}).devices, ElementsAre("cuda:10", "cuda:0"));
}

TEST(Devices, AreRefusedWithWhatIsExpected) {
  const std::string expected = "expected \"auto\" or a list of strings (\"cpu\", or \"cuda:0\", \"cuda:1\", …)";
  EXPECT_EQ(complaint(language, {"devices=cuda:0"}),
            "command line: 'devices' is the string \"cuda:0\", " + expected + "; write [\"cuda:0\"]");
  EXPECT_EQ(complaint("devices = 2\n" + language), "x.toml:1: 'devices' is the integer 2, " + expected);
  for (const std::string name : {"auto", "gpu", "cuda", "cuda:", "cuda:00", "cuda:-1", "cuda:x", "cuda:12345", "CUDA:0", "cpu:0"}) {
    EXPECT_EQ(complaint("devices = ['" + name + "']\n" + language),
              "x.toml:1: 'devices' is \"" + name + "\", expected \"cpu\", or \"cuda:0\", \"cuda:1\", …");
  }
  EXPECT_EQ(complaint("devices = ['cpu', 'cpu']\n" + language), "x.toml:1: 'devices' names \"cpu\" twice");
  EXPECT_THAT(complaint("devices = []\n" + language), ::testing::StartsWith("x.toml:1: 'devices' is an empty list, expected"));
  EXPECT_EQ(complaint(language, {"devices=['cpu']", "training.precision=tf32"}),
            "command line: 'training.precision' is \"tf32\", which GPUs alone have, and 'devices' is [\"cpu\"]; expected \"f32\" or "
            "\"bf16\"");
  EXPECT_EQ(with({"devices=['cuda:0']", "training.precision=tf32"}).training.precision, "tf32");
  EXPECT_EQ(complaint("devices = ['cpu', 'cuda:0']\n" + language),
            "x.toml:1: 'devices' is [\"cpu\", \"cuda:0\"], expected \"cpu\" alone or GPUs alone");
  EXPECT_EQ(complaint(language, {"candidates_per_device=0"}), "command line: 'candidates_per_device' is 0, expected an integer (1 … 64)");
}

TEST(Placement, HasWorkersOnTheCpuAndCandidatesOnEachGpu) {
  EXPECT_THAT(placement(with({"workers=3", "candidates_per_device=2"})), ElementsAre("cpu", "cpu", "cpu"));
  EXPECT_THAT(placement(with({"workers=2", "devices=['cpu']"})), ElementsAre("cpu", "cpu"));
  const auto gpus = with({"workers=7", "devices=['cuda:2', 'cuda:0']", "candidates_per_device=2"});
  EXPECT_THAT(placement(gpus), ElementsAre("cuda:2", "cuda:0", "cuda:2", "cuda:0"));
  EXPECT_EQ(workers_per_device(gpus), 2);
  EXPECT_EQ(workers_per_device(with({"workers=7"})), 7);
}

TEST(Placement, IsNoLargerThanWhatThereIsToDo) {
  const auto limited = [](std::vector<std::string> overrides, std::int64_t candidates) {
    auto experiment = with(overrides);
    limit_workers(experiment, candidates);
    return placement(experiment);
  };
  const std::vector<std::string> gpus{"devices=['cuda:0', 'cuda:1']", "candidates_per_device=3"};
  EXPECT_THAT(limited(gpus, 1), ElementsAre("cuda:0"));
  EXPECT_THAT(limited(gpus, 2), ElementsAre("cuda:0", "cuda:1"));
  EXPECT_THAT(limited(gpus, 4), ElementsAre("cuda:0", "cuda:1", "cuda:0", "cuda:1"));
  EXPECT_EQ(limited(gpus, 100).size(), 6u);
  EXPECT_EQ(limited({"workers=4"}, 3).size(), 3u);
  EXPECT_EQ(limited({"workers=4"}, 9).size(), 4u);
}

}  // namespace
}  // namespace starling::experiment
