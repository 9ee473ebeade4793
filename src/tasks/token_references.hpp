// Unigram and bigram models of tokens, the references that any trained model should beat. No Torch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <starling/tasks/token_stream.hpp>

namespace starling::tasks {

class TokenReferences {
 public:
  /// Pseudo-count of every token in the unigram (Krichevsky–Trofimov).
  static constexpr double unigram_smoothing = 0.5;
  /// Weight, in observations, of the unigram in every row of the bigram (a Dirichlet prior: MacKay and Peto 1995). Chosen on text like that
  /// of the tests; anything between 2 and 50 changes the loss by less than 1 %.
  static constexpr double bigram_smoothing = 8;
  /// Of a longer stream so many tokens are counted, in stretches spread evenly over it: counting must not take longer than training does.
  static constexpr std::int64_t most_tokens = 1 << 26;
  /// And of one with more than `dense_vocabulary` tokens, whose pairs are sorted.
  static constexpr std::int64_t most_sparse_tokens = 1 << 22;
  static constexpr std::int64_t dense_vocabulary = 1024;

  /// Fitted on every transition of the stream, or of its stretches; a first token is context only.
  TokenReferences(const TokenStream& stream, std::int64_t vocabulary);

  /// −log P(token), nats.
  double unigram(std::uint16_t token) const { return unigram_[token]; }
  /// −log P(token | previous), nats.
  double bigram(std::uint16_t previous, std::uint16_t token) const;

 private:
  void add(std::span<const std::uint16_t> stretch);
  void sort_pairs();
  double observed(std::uint16_t previous, std::uint16_t token) const;

  std::int64_t vocabulary_;
  std::vector<double> unigram_;        ///< first the counts
  std::vector<double> seen_;           ///< transitions from each token
  std::vector<std::uint32_t> dense_;   ///< counts of transitions, row by row; empty where there are too many rows
  std::vector<std::uint32_t> pairs_;   ///< else those that occur, previous · 2¹⁶ + token, sorted
  std::vector<std::uint32_t> counts_;  ///< and how often
};

}  // namespace starling::tasks
