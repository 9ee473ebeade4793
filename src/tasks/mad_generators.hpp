// How one sequence of a MAD task is made (Poli et al. 2024, arXiv 2403.17844, appendix B).
#pragma once

#include <cstdint>
#include <memory>

#include <starling/base/random.hpp>
#include <starling/tasks/options.hpp>

namespace starling::tasks {

class MadGenerator {
 public:
  virtual ~MadGenerator() = default;
  /// Inputs of a sequence, and as many targets.
  virtual std::int64_t length() const = 0;
  /// Fills both; targets that do not count are `ignored`. Held-out sequences count answers only, and may be harder.
  virtual void write(Stream& stream, bool training, std::int64_t* inputs, std::int64_t* targets) const = 0;
};

/// In-context recall and noisy recall. Keys are the lower half of the vocabulary that is no noise, values the upper. L/2 key–value pairs: each
/// key is uniform, its value uniform at first use and then fixed within the sequence; the last pair repeats a uniformly chosen key seen before. With
/// noise, each pair but one is, with probability `noise`, two noise tokens in its place (ids above the values). The model sees the first L − 1 tokens.
/// Training predicts every next token; held-out sequences count the values of keys seen before. V without noise, and L, are even.
std::unique_ptr<const MadGenerator> recall_generator(const MadOptions& options);

/// Fuzzy recall: keys and values are motifs, one to three different tokens in an order; keys of held-out sequences always have three. One pair, the
/// probe, stands at a random place among the others and once more at the end. Sequences are padded on the left (token V − 1) to L + 1, of which the
/// model sees the first L. Training predicts every next token that is no padding; held-out sequences count the values of keys seen before.
std::unique_ptr<const MadGenerator> fuzzy_recall_generator(const MadOptions& options);

/// Selective copying: `copied` tokens with L − 2 · copied − 1 blanks (V − 2) strewn among them, the copy token (V − 1), and as many blanks as there
/// are tokens to copy, at which the tokens are to be named in order.
std::unique_ptr<const MadGenerator> selective_copying_generator(const MadOptions& options);

/// Compression: L − 1 uniform tokens and the compression token (V − 1), whose output has to give back every token; see
/// Task::reconstructs().
std::unique_ptr<const MadGenerator> compression_generator(const MadOptions& options);

/// Memorisation: a random map from keys (the lower half of the V − 1 tokens) to values, the same in all parts; L/2 pairs of a uniform key and the
/// insert token (V − 1), at which the key's value is to be named.
std::unique_ptr<const MadGenerator> memorisation_generator(const MadOptions& options);

}  // namespace starling::tasks
