// Unigram and bigram models of tokens, the references that any trained model should beat. No Torch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace starling::tasks {

class TokenReferences {
 public:
  /// Pseudo-count of every token in the unigram (Krichevsky–Trofimov).
  static constexpr double unigram_smoothing = 0.5;
  /// Weight, in observations, of the unigram in every row of the bigram (a Dirichlet prior: MacKay and Peto 1995). Chosen on text like that
  /// of the tests; anything between 2 and 50 changes the loss by less than 1 %.
  static constexpr double bigram_smoothing = 8;

  /// Fitted on every transition of the stream; its first token is context only.
  TokenReferences(std::span<const std::uint16_t> stream, std::int64_t vocabulary);

  double unigram(std::uint16_t token) const { return unigram_[token]; }
  double bigram(std::uint16_t previous, std::uint16_t token) const {
    return bigram_[static_cast<std::size_t>(previous) * unigram_.size() + token];
  }

 private:
  std::vector<double> unigram_;  ///< −log P(token), nats
  std::vector<double> bigram_;   ///< −log P(token | previous), row by row
};

}  // namespace starling::tasks
