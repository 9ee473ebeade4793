#include <starling/run/genome_matrix.hpp>

#include <hdf5_hl.h>

#include <algorithm>
#include <array>
#include <span>

#include <starling/genome/segments.hpp>
#include <starling/run/table.hpp>

namespace starling::run {
namespace {

using h5::check;
using h5::Handle;

constexpr hsize_t rows_per_chunk = 1024;

// Writes a block at `start` of a dataset that is made large enough first.
void write_block(const Handle& dataset, hid_t type, std::span<const hsize_t> size, std::span<const hsize_t> start,
                 std::span<const hsize_t> count, const void* from) {
  check(H5Dset_extent(dataset.get(), size.data()), "extend /genomes");
  const Handle space(H5Dget_space(dataset.get()), H5Sclose, "write /genomes");
  check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr), "write /genomes");
  const Handle memory(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr), H5Sclose, "write /genomes");
  check(H5Dwrite(dataset.get(), type, memory.get(), space.get(), H5P_DEFAULT, from), "write /genomes");
}

void append(const Handle& dataset, hid_t type, std::size_t first, std::size_t count, const void* from) {
  const hsize_t size = first + count;
  const hsize_t start = first;
  const hsize_t length = count;
  write_block(dataset, type, {&size, 1}, {&start, 1}, {&length, 1}, from);
}

constexpr std::array backbone_names{"class", "featurizer_group", "featurizer_strategy", "feature_group", "feature_strategy", "path",
                                    "route"};
static_assert(backbone_names.size() == genome::liv_genes.size());

std::string gene_name(std::size_t gene) {
  return gene < backbone_names.size() ? backbone_names[gene] : genome::segment_gene_name(gene - backbone_names.size());
}

std::vector<const char*> pointers(const std::vector<std::string>& texts) {
  std::vector<const char*> result;
  for (const auto& text : texts) result.push_back(text.c_str());
  return result;
}

Handle create_growing(hid_t group, const char* name, hid_t type, std::span<const hsize_t> chunk) {
  const std::vector<hsize_t> none(chunk.size(), 0);
  const std::vector<hsize_t> unlimited(chunk.size(), H5S_UNLIMITED);
  const Handle space(H5Screate_simple(static_cast<int>(chunk.size()), none.data(), unlimited.data()), H5Sclose, "create /genomes");
  const auto storage = h5::growing_storage(chunk);
  return Handle(H5Dcreate2(group, name, type, space.get(), H5P_DEFAULT, storage.get(), H5P_DEFAULT), H5Dclose,
                std::string("create /genomes/") + name);
}

}  // namespace

void GenomeMatrix::add(std::int64_t candidate_id, const genome::Genome& genome) {
  ids_.push_back(candidate_id);
  genomes_.push_back(genome);
  texts_.push_back(genome::to_text(genome));
  livs_.resize(genome::all_genes_per_liv);
  widen_to(genome.depth(), 0, genome::genes_per_liv);
  widen_to(genome.depth(), genome::genes_per_liv, genome::genes_needed(genome));
}

void GenomeMatrix::widen_to(std::size_t livs, std::size_t first_gene, std::size_t last_gene) {
  for (std::size_t liv = 0; liv < livs; ++liv) {
    for (auto gene = first_gene; gene < last_gene; ++gene) {
      if (livs_[gene] > liv) continue;
      columns_.push_back({liv, gene});
      livs_[gene] = liv + 1;
    }
  }
}

void GenomeMatrix::create(hid_t file) {
  const auto group = h5::create_group(file, "genomes");
  const auto text_type = h5::text_type();
  const hsize_t rows = rows_per_chunk;
  const std::array<hsize_t, 2> block{256, std::max<hsize_t>(columns_.size(), genome::genes_per_liv)};
  candidate_ids_ = create_growing(group.get(), "candidate_id", H5T_STD_I64LE, {&rows, 1});
  gene_names_ = create_growing(group.get(), "gene", text_type.get(), {&rows, 1});
  text_ = create_growing(group.get(), "text", text_type.get(), {&rows, 1});
  values_ = create_growing(group.get(), "values", H5T_STD_I16LE, block);
  check(H5DSset_scale(candidate_ids_.get(), "candidate_id"), "make a dimension scale");
  check(H5DSset_scale(gene_names_.get(), "gene"), "make a dimension scale");
  check(H5DSattach_scale(values_.get(), candidate_ids_.get(), 0), "attach a dimension scale");
  check(H5DSattach_scale(values_.get(), gene_names_.get(), 1), "attach a dimension scale");
  check(H5DSset_label(values_.get(), 0, "candidate"), "label a dimension");
  check(H5DSset_label(values_.get(), 1, "gene"), "label a dimension");
}

void GenomeMatrix::write_names() {
  if (named_ == columns_.size()) return;
  std::vector<std::string> names;
  for (auto i = named_; i < columns_.size(); ++i) names.push_back(std::to_string(columns_[i].liv + 1) + "." + gene_name(columns_[i].gene));
  append(gene_names_, h5::text_type().get(), named_, names.size(), pointers(names).data());
  named_ = columns_.size();
}

void GenomeMatrix::write(hid_t file) {
  if (!values_) create(file);
  if (ids_.empty()) return;
  write_names();
  const auto count = ids_.size();
  const auto width = columns_.size();
  std::vector<std::int16_t> block;
  block.reserve(count * width);
  for (const auto& genome : genomes_) {
    for (const auto& [liv, gene] : columns_) block.push_back(liv < genome.depth() ? genome::gene(genome.livs[liv], gene) : std::int16_t{0});
  }
  const std::array<hsize_t, 2> size{written_ + count, width};
  const std::array<hsize_t, 2> start{written_, 0};
  const std::array<hsize_t, 2> length{count, width};
  write_block(values_, H5T_STD_I16LE, size, start, length, block.data());
  append(candidate_ids_, H5T_STD_I64LE, written_, count, ids_.data());
  append(text_, h5::text_type().get(), written_, count, pointers(texts_).data());
  written_ += count;
  ids_.clear();
  genomes_.clear();
  texts_.clear();
}

}  // namespace starling::run
