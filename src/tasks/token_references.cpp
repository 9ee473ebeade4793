#include <starling/tasks/token_references.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace starling::tasks {
namespace {

std::uint32_t pair_of(std::uint16_t previous, std::uint16_t token) { return std::uint32_t{previous} << 16 | token; }

}  // namespace

TokenReferences::TokenReferences(const TokenStream& stream, std::int64_t vocabulary) : vocabulary_(vocabulary) {
  const auto size = static_cast<std::size_t>(vocabulary);
  unigram_.assign(size, unigram_smoothing);
  seen_.assign(size, 0);
  const bool dense = vocabulary <= dense_vocabulary;
  if (dense) dense_.assign(size * size, 0);

  const std::int64_t most = dense ? most_tokens : most_sparse_tokens;
  const std::int64_t stretches = stream.size() <= most ? 1 : 64;
  const std::int64_t length = std::min(stream.size(), most / stretches);
  std::vector<std::uint16_t> stretch(static_cast<std::size_t>(std::min<std::int64_t>(length, most / 64)) + 1);
  for (std::int64_t s = 0; s < stretches; ++s) {
    const std::int64_t begin = stretches == 1 ? 0 : (stream.size() - length) / (stretches - 1) * s;
    // In blocks that overlap by the token that is the next one's context.
    for (std::int64_t at = begin; at + 1 < begin + length; at += std::ssize(stretch) - 1) {
      const auto here = static_cast<std::size_t>(std::min<std::int64_t>(std::ssize(stretch), begin + length - at));
      stream.copy(at, std::span(stretch).first(here));
      add(std::span(stretch).first(here));
    }
  }
  if (!dense) sort_pairs();
  const double total = std::reduce(unigram_.begin(), unigram_.end());
  for (double& count : unigram_) count = -std::log(count / total);
}

void TokenReferences::add(std::span<const std::uint16_t> stretch) {
  for (std::size_t i = 1; i < stretch.size(); ++i) {
    unigram_[stretch[i]] += 1;
    seen_[stretch[i - 1]] += 1;
    if (dense_.empty()) {
      pairs_.push_back(pair_of(stretch[i - 1], stretch[i]));
    } else {
      ++dense_[stretch[i - 1] * static_cast<std::size_t>(vocabulary_) + stretch[i]];
    }
  }
}

void TokenReferences::sort_pairs() {
  std::ranges::sort(pairs_);
  std::size_t distinct = 0;
  for (std::size_t i = 0; i < pairs_.size(); ++distinct) {
    const std::uint32_t pair = pairs_[i];
    std::uint32_t count = 0;
    for (; i < pairs_.size() && pairs_[i] == pair; ++i) ++count;
    pairs_[distinct] = pair;
    counts_.push_back(count);
  }
  pairs_.resize(distinct);
  pairs_.shrink_to_fit();
}

double TokenReferences::observed(std::uint16_t previous, std::uint16_t token) const {
  if (!dense_.empty()) return dense_[previous * static_cast<std::size_t>(vocabulary_) + token];
  const auto found = std::ranges::lower_bound(pairs_, pair_of(previous, token));
  const bool there = found != pairs_.end() && *found == pair_of(previous, token);
  return there ? counts_[static_cast<std::size_t>(found - pairs_.begin())] : 0;
}

double TokenReferences::bigram(std::uint16_t previous, std::uint16_t token) const {
  return -std::log((observed(previous, token) + bigram_smoothing * std::exp(-unigram_[token])) / (seen_[previous] + bigram_smoothing));
}

}  // namespace starling::tasks
