#include <starling/base/error.hpp>

#include <algorithm>
#include <numeric>

namespace starling {
namespace {

std::size_t levenshtein(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, substituted});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest_name(std::string_view found, const std::vector<std::string>& known) {
  // Half of the letters wrong is no slip but another word.
  std::size_t best = std::max<std::size_t>(found.size() / 2, 1) + 1;
  std::string name;
  for (const auto& candidate : known) {
    const auto distance = levenshtein(found, candidate);
    if (distance < best) {
      best = distance;
      name = candidate;
    }
  }
  return name;
}

std::string did_you_mean(std::string_view found, const std::vector<std::string>& known) {
  const auto name = nearest_name(found, known);
  return name.empty() ? std::string{} : " (did you mean '" + name + "'?)";
}

}  // namespace starling
