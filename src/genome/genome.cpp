#include <starling/genome/genome.hpp>

#include <algorithm>
#include <array>
#include <limits>

#include <starling/base/error.hpp>

namespace starling::genome {
namespace {

constexpr const char* liv_form = "a LIV is five integers, '21211', or with dots where one exceeds 9, '12.1.2.1.1'";

/// A character as it may stand in a message, whatever byte it is.
std::string quoted(char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x20 && byte < 0x7f) return std::string{'\'', c, '\''};
  constexpr const char* digits = "0123456789abcdef";
  return std::string{"byte 0x"} + digits[byte >> 4] + digits[byte & 15];
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// One LIV of the text form. `first` is the number of its first character in the whole text, from 1.
class LivParser {
 public:
  LivParser(std::string_view text, std::size_t liv, std::size_t first) : text_(text), liv_(liv), first_(first) {}

  Liv parse() const {
    if (text_.empty()) fail(0, std::string{"there is no LIV here; "} + liv_form);
    for (std::size_t i = 0; i < text_.size(); ++i) {
      if (!is_digit(text_[i]) && text_[i] != '.') fail(i, quoted(text_[i]) + " found, a digit, '.' or '-' expected; " + liv_form);
    }
    const auto genes = text_.find('.') == std::string_view::npos ? compact() : dotted();
    return {genes[0], genes[1], genes[2], genes[3], genes[4]};
  }

 private:
  using Genes = std::array<std::int16_t, genes_per_liv>;

  [[noreturn]] void fail(std::size_t at, const std::string& what) const {
    throw UserError("genome, LIV " + std::to_string(liv_) + ", character " + std::to_string(first_ + at) + ": " + what);
  }

  [[noreturn]] void fail_count(std::size_t found, const char* unit) const {
    fail(0, std::to_string(found) + ' ' + unit + (found == 1 ? "" : "s") + " found, 5 expected; " + liv_form);
  }

  Genes compact() const {
    if (text_.size() != genes_per_liv) fail_count(text_.size(), "digit");
    Genes genes{};
    std::transform(text_.begin(), text_.end(), genes.begin(), [](char c) { return static_cast<std::int16_t>(c - '0'); });
    return genes;
  }

  Genes dotted() const {
    const auto count = static_cast<std::size_t>(std::count(text_.begin(), text_.end(), '.')) + 1;
    if (count != genes_per_liv) fail_count(count, "integer");
    Genes genes{};
    std::size_t at = 0;
    for (auto& gene : genes) {
      const auto end = std::min(text_.find('.', at), text_.size());
      gene = integer(at, end);
      at = end + 1;
    }
    return genes;
  }

  std::int16_t integer(std::size_t begin, std::size_t end) const {
    if (begin == end) fail(begin, std::string{"an integer is missing; "} + liv_form);
    constexpr int limit = std::numeric_limits<std::int16_t>::max();
    int value = 0;
    for (std::size_t i = begin; i < end; ++i) {
      value = value * 10 + (text_[i] - '0');
      if (value > limit) fail(begin, "the integer exceeds " + std::to_string(limit));
    }
    return static_cast<std::int16_t>(value);
  }

  std::string_view text_;
  std::size_t liv_;
  std::size_t first_;
};

}  // namespace

std::vector<std::int16_t> to_genes(const Genome& genome) {
  std::vector<std::int16_t> genes;
  genes.reserve(genome.depth() * genes_per_liv);
  for (const auto& liv : genome.livs) {
    genes.insert(genes.end(), {liv.liv_class, liv.featurizer_group, liv.featurizer_strategy, liv.feature_group, liv.feature_strategy});
  }
  return genes;
}

Genome from_genes(const std::vector<std::int16_t>& genes) {
  if (genes.size() % genes_per_liv != 0) {
    throw UserError("a genome has 5 integers per LIV, found " + std::to_string(genes.size()) + " in all");
  }
  Genome genome;
  genome.livs.reserve(genes.size() / genes_per_liv);
  for (std::size_t i = 0; i < genes.size(); i += genes_per_liv) {
    genome.livs.push_back({genes[i], genes[i + 1], genes[i + 2], genes[i + 3], genes[i + 4]});
  }
  return genome;
}

std::string to_text(const Genome& genome) {
  const auto genes = to_genes(genome);
  std::string text;
  text.reserve(genes.size() + genome.depth());
  for (std::size_t first = 0; first < genes.size(); first += genes_per_liv) {
    const auto begin = genes.begin() + static_cast<std::ptrdiff_t>(first);
    const auto end = begin + genes_per_liv;
    const bool dots = std::any_of(begin, end, [](std::int16_t gene) { return gene > 9; });
    if (first > 0) text += '-';
    for (auto gene = begin; gene != end; ++gene) {
      if (dots && gene != begin) text += '.';
      text += std::to_string(*gene);
    }
  }
  return text;
}

Genome parse_genome(std::string_view text) {
  Genome genome;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find('-', begin), text.size());
    genome.livs.push_back(LivParser(text.substr(begin, end - begin), genome.depth() + 1, begin + 1).parse());
    begin = end + 1;
  }
  return genome;
}

std::int16_t group_limit(std::size_t depth) {
  constexpr std::size_t representable = std::numeric_limits<std::int16_t>::max();
  return static_cast<std::int16_t>(std::clamp<std::size_t>(depth / 2, 2, representable));
}

}  // namespace starling::genome
