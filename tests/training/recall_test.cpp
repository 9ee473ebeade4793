// MAD in-context recall in the published setting (vocabulary 16, 128 tokens, 12,800 training sequences) at 4 LIVs of width 128. Attention
// twice finds the earlier key and what stood behind it; two convolutions of three taps see five tokens, and can at best count which values are
// there. Budget: 3 million tokens each, 1477 steps of 16 sequences, of the 325 million that the published protocol spends on each of six
// settings; two to three minutes per model on one core.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <atomic>

#include <starling/base/mad_options.hpp>
#include <starling/genome/catalogue.hpp>
#include <starling/genome/genome.hpp>
#include <starling/model/model.hpp>
#include <starling/tasks/mad.hpp>
#include <starling/training/trainer.hpp>

namespace starling::training {
namespace {

/// On the test part, after training.
double recall_accuracy(const char* genome) {
  const auto task = tasks::make_mad(mad_defaults(MadTask::in_context_recall));
  const genome::Dimensions dimensions{.width = 128, .length = task->sequence_length(), .vocabulary = task->vocabulary()};
  model::Model model(genome::Catalogue::liquid(), genome::parse_genome(genome), dimensions, 1);
  const Options options{.tokens = 3'000'000, .batch_tokens = 2048, .learning_rate = 1e-3};
  const std::atomic<bool> stop{false};
  const auto result = train(model, *task, options, 1, stop);
  EXPECT_EQ(result.end, End::completed) << result.reason;
  const auto quality = evaluate(model, *task, tasks::Split::test, stop);
  fmt::print("{}: accuracy {:.4f} after {} tokens, {:.1f} min\n", genome, quality.accuracy, result.tokens,
             result.curve.back().elapsed_s / 60);
  return quality.accuracy;
}

TEST(Recall, IsSolvedByTwoAttentionsBetweenMemorylessLivs) { EXPECT_GE(recall_accuracy("11111-81111-11111-81111"), 0.95); }

TEST(Recall, IsNotSolvedByTwoShortConvolutionsBetweenThem) { EXPECT_LT(recall_accuracy("61111-81111-61111-81111"), 0.6); }

}  // namespace
}  // namespace starling::training
