// /genomes of run.h5: values int16 [candidate, gene] with dimension scales candidate_id and gene, and text, the genomes as a person writes them.
// Private to this floor.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <starling/genome/genome.hpp>
#include <starling/run/hdf5.hpp>

namespace starling::run {

class GenomeMatrix {
 public:
  void add(std::int64_t candidate_id, const genome::Genome& genome);
  /// Creates the datasets on the first call and appends what is new. Throws Failure.
  void write(hid_t file);

 private:
  void create(hid_t file);
  void widen();

  std::vector<std::int64_t> ids_;
  std::vector<std::vector<std::int16_t>> genes_;
  std::vector<std::string> texts_;
  std::size_t written_ = 0;  ///< rows in the file; the vectors hold those behind
  std::size_t width_ = 0;    ///< genes of the longest genome; shorter ones end in 0
  std::size_t named_ = 0;    ///< genes whose name is in the file
  h5::Handle values_, candidate_ids_, gene_names_, text_;
};

}  // namespace starling::run
