#include <starling/tasks/token_references.hpp>

#include <cmath>
#include <numeric>

namespace starling::tasks {

TokenReferences::TokenReferences(std::span<const std::uint16_t> stream, std::int64_t vocabulary) {
  const auto size = static_cast<std::size_t>(vocabulary);
  unigram_.assign(size, unigram_smoothing);
  bigram_.assign(size * size, 0);
  for (std::size_t i = 1; i < stream.size(); ++i) {
    unigram_[stream[i]] += 1;
    bigram_[stream[i - 1] * size + stream[i]] += 1;
  }
  const double total = std::reduce(unigram_.begin(), unigram_.end());
  for (double& count : unigram_) count /= total;

  for (std::size_t previous = 0; previous < size; ++previous) {
    const std::span<double> row(bigram_.data() + previous * size, size);
    const double seen = std::reduce(row.begin(), row.end());
    for (std::size_t token = 0; token < size; ++token) {
      row[token] = -std::log((row[token] + bigram_smoothing * unigram_[token]) / (seen + bigram_smoothing));
    }
  }
  for (double& probability : unigram_) probability = -std::log(probability);
}

}  // namespace starling::tasks
