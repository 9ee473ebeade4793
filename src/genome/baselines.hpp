// Architectures people compare with, by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <starling/genome/accounting.hpp>
#include <starling/genome/catalogue.hpp>
#include <starling/genome/genome.hpp>

namespace starling::genome {

/// transformer++: SA-1 alternating with GMemless. striped-mamba: every second LIV GMemless; of the M mixers, A = max(1, round(M/6)) are
/// SA-1 at mixer positions ⌊(i + ½) M / A⌋, the others Rec-1. striped-hyena: the same with GConv-2. Throws UserError: an unknown name (with
/// the nearest), a class the catalogue lacks, depth 0.
Genome baseline(const Catalogue& catalogue, std::string_view name, std::size_t depth);
/// Those whose classes the catalogue has.
std::vector<std::string> baseline_names(const Catalogue& catalogue);

/// A baseline at sizes that give it nearly a wanted number of parameters.
struct Match {
  std::size_t depth = 0;
  std::int64_t width = 0;
  std::int64_t parameters = 0;  ///< without embedding
};

enum class Vary { depth, width, nearest };

/// The baseline whose parameters without embedding come nearest to `target`, made deeper or flatter (2 … 512 LIVs at the given width),
/// wider or narrower (at the given depth), or whichever of both is nearer, of equals the first: depth. Widths that `fits` refuses are
/// passed over. Throws UserError as baseline() does, and where no size fits.
Match matched_baseline(const Catalogue& catalogue, std::string_view name, std::size_t depth, const Dimensions& dimensions,
                       std::int64_t target, Vary vary = Vary::nearest, const std::function<bool(std::int64_t width)>& fits = {});

/// A baseline's name (what begins with a letter) or a genome in text form, validated. `depth` is the baseline's; a
/// genome has its own.
Genome genome_or_baseline(const Catalogue& catalogue, std::string_view text, std::size_t depth);

}  // namespace starling::genome
