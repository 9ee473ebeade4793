// /genomes of run.h5: values int16 [candidate, gene] with dimension scales candidate_id and gene, and text, the genomes as a person writes
// them. The columns are five genes per LIV; paths and routes follow as soon as a genome has any, and so do segments. A gene that a genome
// does not have is 0: of a segment, as the class says.
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
  struct Column {
    std::size_t liv;
    std::size_t gene;
  };

  void create(hid_t file);
  void write_names();
  /// So that LIVs from 0 have columns for genes first_gene ≤ gene < last_gene.
  void widen_to(std::size_t livs, std::size_t first_gene, std::size_t last_gene);

  std::vector<std::int64_t> ids_;
  std::vector<genome::Genome> genomes_;
  std::vector<std::string> texts_;
  std::size_t written_ = 0;        ///< rows in the file; the vectors hold those behind
  std::vector<Column> columns_;    ///< in the order they came
  std::vector<std::size_t> livs_;  ///< by gene: LIVs that have a column for it
  std::size_t named_ = 0;          ///< columns whose name is in the file
  h5::Handle values_, candidate_ids_, gene_names_, text_;
};

}  // namespace starling::run
