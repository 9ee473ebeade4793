#include <starling/genome/genome.hpp>

#include <algorithm>
#include <limits>
#include <span>

#include <starling/base/error.hpp>

namespace starling::genome {
namespace {

constexpr const char* liv_form =
    "a LIV is five integers, '21211', or seven with path and route, with dots where one exceeds 9, '12.1.2.1.1'";

bool is_extended(const Liv& liv) { return liv.path != 0 || liv.route != 0; }

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
    return text_.find('.') == std::string_view::npos ? compact() : dotted();
  }

 private:
  [[noreturn]] void fail(std::size_t at, const std::string& what) const {
    throw UserError("genome, LIV " + std::to_string(liv_) + ", character " + std::to_string(first_ + at) + ": " + what);
  }

  void require_count(std::size_t found, const char* unit) const {
    if (found == genes_per_liv || found == liv_genes.size()) return;
    fail(0, std::to_string(found) + ' ' + unit + (found == 1 ? "" : "s") + " found, 5 or 7 expected; " + liv_form);
  }

  Liv compact() const {
    require_count(text_.size(), "digit");
    Liv liv;
    for (std::size_t i = 0; i < text_.size(); ++i) liv.*liv_genes[i] = static_cast<std::int16_t>(text_[i] - '0');
    return liv;
  }

  Liv dotted() const {
    const auto count = static_cast<std::size_t>(std::count(text_.begin(), text_.end(), '.')) + 1;
    require_count(count, "integer");
    Liv liv;
    std::size_t at = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto end = std::min(text_.find('.', at), text_.size());
      liv.*liv_genes[i] = integer(at, end);
      at = end + 1;
    }
    return liv;
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

std::size_t genes_needed(const Genome& genome) {
  return std::any_of(genome.livs.begin(), genome.livs.end(), is_extended) ? liv_genes.size() : genes_per_liv;
}

std::vector<std::int16_t> to_genes(const Genome& genome, std::size_t per_liv) {
  std::vector<std::int16_t> genes;
  genes.reserve(genome.depth() * per_liv);
  for (const auto& liv : genome.livs) {
    for (std::size_t gene = 0; gene < per_liv; ++gene) genes.push_back(liv.*liv_genes[gene]);
  }
  return genes;
}

Genome from_genes(const std::vector<std::int16_t>& genes, std::size_t per_liv) {
  if (genes.size() % per_liv != 0) {
    throw UserError("a genome has " + std::to_string(per_liv) + " integers per LIV, found " + std::to_string(genes.size()) + " in all");
  }
  Genome genome;
  genome.livs.resize(genes.size() / per_liv);
  for (std::size_t i = 0; i < genes.size(); ++i) genome.livs[i / per_liv].*liv_genes[i % per_liv] = genes[i];
  return genome;
}

std::string to_text(const Genome& genome) {
  std::string text;
  for (const auto& liv : genome.livs) {
    if (!text.empty()) text += '-';
    const std::span written(liv_genes.data(), is_extended(liv) ? liv_genes.size() : genes_per_liv);
    const bool dots = std::any_of(written.begin(), written.end(), [&](Gene gene) { return liv.*gene > 9; });
    for (std::size_t i = 0; i < written.size(); ++i) {
      if (dots && i > 0) text += '.';
      text += std::to_string(liv.*written[i]);
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

Genome without_empty(const Genome& genome) {
  auto present = genome;
  std::erase_if(present.livs, is_empty);
  return present;
}

std::int16_t group_limit(std::size_t depth) {
  constexpr std::size_t representable = std::numeric_limits<std::int16_t>::max();
  return static_cast<std::int16_t>(std::clamp<std::size_t>(depth / 2, 2, representable));
}

}  // namespace starling::genome
