// Architectures people compare with, by name.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <starling/genome/catalogue.hpp>
#include <starling/genome/genome.hpp>

namespace starling::genome {

/// transformer++: SA-1 alternating with GMemless. striped-mamba: every second LIV GMemless; of the M mixers, A = max(1,
/// round(M/6)) are SA-1 at mixer positions ⌊(i + ½) M / A⌋, the others Rec-1. striped-hyena: the same with GConv-2. Throws UserError: an unknown name (with
/// the nearest), a class the catalogue lacks, depth 0.
Genome baseline(const Catalogue& catalogue, std::string_view name, std::size_t depth);
/// Those whose classes the catalogue has.
std::vector<std::string> baseline_names(const Catalogue& catalogue);

/// A baseline's name (what begins with a letter) or a genome in text form, validated. `depth` is the baseline's; a
/// genome has its own.
Genome genome_or_baseline(const Catalogue& catalogue, std::string_view text, std::size_t depth);

}  // namespace starling::genome
