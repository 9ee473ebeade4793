#include <starling/base/error.hpp>

#include <algorithm>
#include <numeric>

namespace starling {
namespace {

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours count 1 each.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      row[j + 1] = std::min({row[j] + 1, last[j + 1] + 1, last[j] + (a[i] != b[j])});
      const bool swapped = i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j];
      if (swapped) row[j + 1] = std::min(row[j + 1], before[j - 1] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last.back();
}

}  // namespace

std::string nearest_name(std::string_view found, const std::vector<std::string>& known) {
  // Half of the letters wrong is no slip but another word.
  std::size_t best = std::max<std::size_t>(found.size() / 2, 1) + 1;
  std::string name;
  for (const auto& candidate : known) {
    const auto distance = edit_distance(found, candidate);
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
