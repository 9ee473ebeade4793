#include <starling/genome/genome.hpp>

#include <algorithm>
#include <limits>
#include <span>

#include <starling/base/error.hpp>

namespace starling::genome {
namespace {

constexpr const char* liv_form =
    "a LIV is five integers, '21211', or seven with path and route, with dots where one exceeds 9, '12.1.2.1.1', then its segments behind "
    "colons, '21211:00200'";

bool is_extended(const Liv& liv) { return liv.path != 0 || liv.route != 0; }

/// A character as it may stand in a message, whatever byte it is.
std::string quoted(char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x20 && byte < 0x7f) return std::string{'\'', c, '\''};
  constexpr const char* digits = "0123456789abcdef";
  return std::string{"byte 0x"} + digits[byte >> 4] + digits[byte & 15];
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The genes of a segment: the operator is segment 0, feature groups follow.
std::span<std::int16_t> genes_of_segment(Segments& segments, std::size_t segment) {
  const std::span all(segments);
  return segment == 0 ? all.first(operator_genes) : all.subspan(operator_genes + (segment - 1) * group_genes, group_genes);
}

/// One LIV of the text form. `first` is the number of its first character in the whole text, from 1.
class LivParser {
 public:
  LivParser(std::string_view text, std::size_t liv, std::size_t first) : text_(text), liv_(liv), first_(first) {}

  Liv parse() const {
    if (text_.empty()) fail(0, std::string{"there is no LIV here; "} + liv_form);
    for (std::size_t i = 0; i < text_.size(); ++i) {
      if (is_digit(text_[i]) || text_[i] == '.' || text_[i] == ':') continue;
      fail(i, quoted(text_[i]) + " found, a digit, '.', ':' or '-' expected; " + liv_form);
    }
    Liv liv;
    auto end = field_end(0);
    const auto backbone = integers(0, end);
    if (backbone.size() != genes_per_liv && backbone.size() != liv_genes.size())
      fail_count(0, backbone.size(), is_dotted(0, end), "5 or 7");
    for (std::size_t i = 0; i < backbone.size(); ++i) liv.*liv_genes[i] = backbone[i];
    for (std::size_t segment = 0; end < text_.size(); ++segment) {
      const auto begin = end + 1;
      end = field_end(begin);
      if (segment > max_groups) fail(begin, "behind the operator there are at most 5 feature groups; " + std::string(liv_form));
      if (begin == end) continue;
      const auto read = integers(begin, end);
      const auto genes = genes_of_segment(liv.segments, segment);
      if (read.size() != genes.size()) fail_count(begin, read.size(), is_dotted(begin, end), segment == 0 ? "5" : "6");
      std::copy(read.begin(), read.end(), genes.begin());
    }
    return liv;
  }

 private:
  [[noreturn]] void fail(std::size_t at, const std::string& what) const {
    throw UserError("genome, LIV " + std::to_string(liv_) + ", character " + std::to_string(first_ + at) + ": " + what);
  }

  [[noreturn]] void fail_count(std::size_t at, std::size_t found, bool dotted, const char* expected) const {
    const std::string unit = dotted ? "integer" : "digit";
    fail(at, std::to_string(found) + ' ' + unit + (found == 1 ? "" : "s") + " found, " + expected + " expected; " + liv_form);
  }

  /// Where the field that begins there ends: at a colon, or the end.
  std::size_t field_end(std::size_t begin) const { return std::min(text_.find(':', begin), text_.size()); }
  bool is_dotted(std::size_t begin, std::size_t end) const { return text_.substr(begin, end - begin).find('.') != std::string_view::npos; }

  std::vector<std::int16_t> integers(std::size_t begin, std::size_t end) const {
    std::vector<std::int16_t> all;
    const bool dotted = is_dotted(begin, end);
    for (auto at = begin; at < end || (dotted && at == end);) {
      const auto stop = dotted ? std::min(text_.find('.', at), end) : at + 1;
      all.push_back(integer(at, stop));
      at = dotted ? stop + 1 : stop;
    }
    return all;
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

/// Digits, or integers with dots between them.
std::string joined(std::span<const std::int16_t> genes) {
  const bool dots = std::any_of(genes.begin(), genes.end(), [](std::int16_t gene) { return gene > 9; });
  std::string text;
  for (const auto gene : genes) {
    if (dots && !text.empty()) text += '.';
    text += std::to_string(gene);
  }
  return text;
}

}  // namespace

std::size_t genes_needed(const Genome& genome) {
  auto needed = genes_per_liv;
  for (const auto& liv : genome.livs) {
    if (is_extended(liv)) needed = std::max(needed, liv_genes.size());
    if (!has_segments(liv)) continue;
    const bool groups = std::any_of(liv.segments.begin() + operator_genes, liv.segments.end(), [](std::int16_t gene) { return gene != 0; });
    needed = std::max(needed, groups ? all_genes_per_liv : liv_genes.size() + operator_genes);
  }
  return needed;
}

std::vector<std::int16_t> to_genes(const Genome& genome, std::size_t per_liv) {
  std::vector<std::int16_t> genes;
  genes.reserve(genome.depth() * per_liv);
  for (const auto& liv : genome.livs) {
    for (std::size_t i = 0; i < per_liv; ++i) genes.push_back(gene(liv, i));
  }
  return genes;
}

Genome from_genes(const std::vector<std::int16_t>& genes, std::size_t per_liv) {
  if (genes.size() % per_liv != 0) {
    throw UserError("a genome has " + std::to_string(per_liv) + " integers per LIV, found " + std::to_string(genes.size()) + " in all");
  }
  Genome genome;
  genome.livs.resize(genes.size() / per_liv);
  for (std::size_t i = 0; i < genes.size(); ++i) gene(genome.livs[i / per_liv], i % per_liv) = genes[i];
  return genome;
}

std::string to_text(const Genome& genome) {
  std::string text;
  for (const auto& liv : genome.livs) {
    if (!text.empty()) text += '-';
    const auto backbone = to_genes({{liv}}, is_extended(liv) ? liv_genes.size() : genes_per_liv);
    text += joined(backbone);
    auto segments = liv.segments;
    std::string colons;
    for (std::size_t segment = 0; has_segments(liv) && segment <= max_groups; ++segment) {
      colons += ':';
      const auto genes = genes_of_segment(segments, segment);
      if (std::all_of(genes.begin(), genes.end(), [](std::int16_t gene) { return gene == 0; })) continue;
      text += colons + joined(genes);
      colons.clear();
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
