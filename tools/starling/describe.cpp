#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include <starling/base/byte_tokens.hpp>
#include <starling/base/error.hpp>
#include <starling/genome/accounting.hpp>
#include <starling/genome/baselines.hpp>
#include <starling/genome/plan.hpp>
#include <starling/genome/validity.hpp>

#include "architecture.hpp"
#include "commands.hpp"
#include "strip_picture.hpp"
#include "text.hpp"

namespace starling::tools {
namespace {

using Json = nlohmann::ordered_json;

genome::Genome read_architecture(const Classes& classes, const DescribeArguments& arguments) {
  const auto& catalogue = classes.catalogue;
  const auto& text = arguments.architecture;
  const bool is_genome = !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) != 0;
  if (!is_genome) {
    const auto depth = arguments.depth ? arguments.depth : classes.depth;
    // An unknown name is told before a missing depth.
    constexpr std::int64_t any_depth = 2;
    auto baseline = genome::baseline(catalogue, text, static_cast<std::size_t>(depth.value_or(any_depth)));
    if (!depth) throw UserError(fmt::format("baseline '{}' has no depth of its own, expected --depth LIVS", text));
    return baseline;
  }
  auto genome = genome::parse_genome(text);
  genome::require_valid(catalogue, genome);
  if (arguments.depth && static_cast<std::size_t>(*arguments.depth) != genome.depth()) {
    throw UserError(fmt::format("--depth is {}, but the genome has {} LIVs", *arguments.depth, genome.depth()));
  }
  return genome;
}

/// Those that are given, the rest from the experiment.
genome::Dimensions sizes_of(const Classes& classes, const DescribeArguments& arguments) {
  auto sizes = classes.dimensions;
  const bool has_experiment = !arguments.source.experiment.empty();
  if (!has_experiment && !(arguments.width && arguments.length)) {
    throw UserError(fmt::format("--{} is required, or --experiment FILE, to take it from there", arguments.width ? "length" : "width"));
  }
  if (sizes.channels > 0 && arguments.vocabulary) {
    throw UserError(fmt::format("--vocabulary is {}, but the experiment learns a series, which has none", *arguments.vocabulary));
  }
  sizes.width = arguments.width.value_or(sizes.width);
  sizes.length = arguments.length.value_or(sizes.length);
  sizes.vocabulary = arguments.vocabulary.value_or(has_experiment ? sizes.vocabulary : byte_vocabulary);
  return sizes;
}

class Description {
 public:
  Description(const genome::Catalogue& catalogue, const genome::Genome& genome, const DescribeArguments& arguments,
              const genome::Dimensions& sizes)
      : catalogue_(catalogue),
        genome_(genome),
        arguments_(arguments),
        sizes_(sizes),
        plan_(genome::make_plan(catalogue, genome)),
        account_(genome::account(catalogue, genome, sizes)) {}

  void print_text() const {
    const auto empty = genome_.depth() - plan_.livs.size();
    const auto ends = sizes_.channels > 0 ? fmt::format("{} columns", grouped(sizes_.channels))
                                          : fmt::format("vocabulary {}", grouped(sizes_.vocabulary));
    fmt::print("{}: {} LIVs × {} channels{}, length {}, {}\n", arguments_.architecture, plan_.livs.size(), sizes_.width,
               empty > 0 ? fmt::format(" and {} empty", empty) : "", grouped(sizes_.length), ends);
    fmt::print("genome     {}\n", genome::to_text(genome_));
    if (const auto canonical = genome::canonical(catalogue_, genome_); canonical != genome_) {
      fmt::print("canonical  {}\n", genome::to_text(canonical));
    }
    fmt::print("strip      {}   {}\n\n{}\n{}\n", strip(catalogue_, genome_), strip_legend(),
               strip_picture(catalogue_, genome_, wants_colour()), liv_table().text());
    if (const auto lines = segment_lines(catalogue_, genome_); !lines.empty()) fmt::print("{}\n", lines);
    const auto& p = account_.parameters;
    fmt::print("parameters   {} = {} in matrices + {} in vectors + {} in the embedding\n", grouped(p.total()), grouped(p.matrices),
               grouped(p.vectors), grouped(p.embedding));
    fmt::print("             {} without embedding\n", grouped(p.without_embedding()));
    const auto& cache = account_.cache;
    const auto banded = cache.banded_per_token == 0 ? std::string()
                                                    : fmt::format(", {} of them of the last {} tokens alone,",
                                                                  grouped(cache.banded_per_token), grouped(cache.band));
    fmt::print("cache        {} elements after {} tokens = {} per token{} + {} fixed\n", grouped(cache.elements(sizes_.length)),
               grouped(sizes_.length), grouped(cache.per_token()), banded, grouped(cache.fixed));
    fmt::print("             {} bytes at 2 bytes per element\n", grouped(account_.cache.bytes(sizes_.length)));
    fmt::print("FLOPs        {} per token in training = {} forward + {} backward\n", grouped(account_.training_flops), grouped(forward()),
               grouped(account_.training_flops - forward()));
    if (arguments_.tokens) {
      fmt::print("             {}FLOP for a training on {} tokens\n", si(training_on(*arguments_.tokens)), grouped(*arguments_.tokens));
    }
  }

  Json json() const {
    Json object;
    object["architecture"] = arguments_.architecture;
    object["catalogue"] = catalogue_.name();
    object["genome"] = genome::to_text(genome_);
    object["canonical"] = genome::to_text(genome::canonical(catalogue_, genome_));
    object["phenotype_hash"] = fmt::format("{:016x}", genome::phenotype_hash(catalogue_, genome_));
    object["strip"] = strip(catalogue_, genome_);
    object["depth"] = genome_.depth();
    object["empty_livs"] = genome_.depth() - plan_.livs.size();
    object["width"] = sizes_.width;
    object["length"] = sizes_.length;
    object["vocabulary"] = sizes_.vocabulary;
    if (sizes_.channels > 0) object["columns"] = sizes_.channels;
    object["parameters"] = parameters_json(account_.parameters);
    object["cache"] = cache_json(account_.cache);
    object["training_flops_per_token"] = account_.training_flops;
    object["forward_flops_per_token"] = forward();
    if (arguments_.tokens) object["training_flops"] = training_on(*arguments_.tokens);
    const auto present = genome::without_empty(genome_);
    auto& livs = object["livs"] = Json::array();
    for (std::size_t i = 0; i < plan_.livs.size(); ++i) {
      const auto& part = plan_.livs[i];
      Json liv;
      liv["liv"] = i + 1;
      liv["class"] = part.liv_class->name;
      if (part.derived) {
        auto& differs = liv["differs_from_class"] = Json::array();
        for (const auto& change : differences(catalogue_, present.livs[i])) {
          differs.push_back({{"group", change.group.empty() ? Json() : Json(change.group)},
                             {"gene", change.gene},
                             {"class", change.of_class},
                             {"liv", change.of_liv}});
        }
        liv["class_genomes"] = class_genomes_json(*part.liv_class, *part.featurizer);
      }
      liv["weights_of"] = part.weight_owner + 1;
      liv["reads_from"] = part.reads == 0 ? Json() : Json(part.feature_owner + 1);
      liv["reads"] = group_names(*part.featurizer, part.reads);
      liv["parallel_to"] = Json::array();
      for (std::size_t k = 0; k < part.path_size && part.path_size > 1; ++k) {
        if (part.path_first + k != i) liv["parallel_to"].push_back(part.path_first + k + 1);
      }
      liv["routed"] = part.routed;
      liv["parameters"] = parameters_json(account_.livs[i].parameters);
      liv["cache"] = cache_json(account_.livs[i].cache);
      liv["forward_flops_per_token"] = account_.livs[i].forward_flops;
      livs.push_back(std::move(liv));
    }
    return object;
  }

 private:
  /// Of the three parts of training the backward pass takes two.
  std::int64_t forward() const { return account_.training_flops / 3; }
  double training_on(std::int64_t tokens) const { return static_cast<double>(account_.training_flops) * static_cast<double>(tokens); }

  static Json parameters_json(const genome::Parameters& p) {
    return {{"matrices", p.matrices},
            {"vectors", p.vectors},
            {"embedding", p.embedding},
            {"without_embedding", p.without_embedding()},
            {"total", p.total()}};
  }

  Json cache_json(const genome::Cache& cache) const {
    return {{"elements_per_token", cache.per_token()},
            {"elements_fixed", cache.fixed},
            {"elements", cache.elements(sizes_.length)},
            {"bytes", cache.bytes(sizes_.length)}};
  }

  Table liv_table() const {
    using enum Table::Align;
    const auto any = [&](auto holds) { return std::any_of(plan_.livs.begin(), plan_.livs.end(), holds); };
    const bool paths = any([](const genome::LivPlan& liv) { return liv.path_size > 1; });
    const bool routes = any([](const genome::LivPlan& liv) { return liv.routed; });
    std::vector<Table::Column> columns{{"LIV"}, {"class", left}, {"weights", left}, {"reads", left}};
    if (paths) columns.push_back({"parallel", left});
    if (routes) columns.push_back({"routed", left});
    columns.insert(columns.end(), {{"parameters"}, {"cache/token"}, {"cache fixed"}, {"FLOPs/token"}});
    Table table(std::move(columns));
    for (std::size_t i = 0; i < plan_.livs.size(); ++i) {
      const auto& part = plan_.livs[i];
      const auto& liv = account_.livs[i];
      const auto weights = part.weight_owner == i ? std::string("own") : fmt::format("of {}", part.weight_owner + 1);
      const auto reads =
          part.reads == 0 ? std::string("–") : fmt::format("{} of {}", group_names(*part.featurizer, part.reads), part.feature_owner + 1);
      std::vector<std::string> cells{fmt::format("{}", i + 1), part.liv_class->name, weights, reads};
      if (paths) {
        cells.push_back(part.path_size > 1 ? fmt::format("{} … {}", part.path_first + 1, part.path_first + part.path_size) : "–");
      }
      if (routes) cells.emplace_back(part.routed ? "yes" : "–");
      for (const auto number : {liv.parameters.without_embedding(), liv.cache.per_token(), liv.cache.fixed, liv.forward_flops}) {
        cells.push_back(grouped(number));
      }
      table.add(std::move(cells));
    }
    return table;
  }

  const genome::Catalogue& catalogue_;
  const genome::Genome& genome_;
  const DescribeArguments& arguments_;
  genome::Dimensions sizes_;
  genome::Plan plan_;
  genome::Account account_;
};

}  // namespace

int describe(const DescribeArguments& arguments) {
  const auto classes = classes_of(arguments.source);
  const auto genome = read_architecture(classes, arguments);
  const Description description(classes.catalogue, genome, arguments, sizes_of(classes, arguments));
  if (arguments.json) {
    fmt::print("{}\n", description.json().dump(2));
  } else {
    description.print_text();
  }
  return exit_code::done;
}

}  // namespace starling::tools
