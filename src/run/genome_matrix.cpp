#include <starling/run/genome_matrix.hpp>

#include <hdf5_hl.h>

#include <algorithm>
#include <array>
#include <span>

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

std::string gene_name(std::size_t gene) {
  static constexpr std::array names{"class", "featurizer_group", "featurizer_strategy", "feature_group", "feature_strategy"};
  static_assert(names.size() == genome::genes_per_liv);
  return std::to_string(gene / names.size() + 1) + "." + names[gene % names.size()];
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
  genes_.push_back(genome::to_genes(genome));
  texts_.push_back(genome::to_text(genome));
  width_ = std::max(width_, genes_.back().size());
}

void GenomeMatrix::create(hid_t file) {
  const auto group = h5::create_group(file, "genomes");
  const auto text_type = h5::text_type();
  const hsize_t rows = rows_per_chunk;
  const std::array<hsize_t, 2> block{256, std::max<hsize_t>(width_, genome::genes_per_liv)};
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

void GenomeMatrix::widen() {
  if (named_ == width_) return;
  std::vector<std::string> names;
  for (auto gene = named_; gene < width_; ++gene) names.push_back(gene_name(gene));
  append(gene_names_, h5::text_type().get(), named_, names.size(), pointers(names).data());
  named_ = width_;
}

void GenomeMatrix::write(hid_t file) {
  if (!values_) create(file);
  if (ids_.empty()) return;
  widen();
  const auto count = ids_.size();
  std::vector<std::int16_t> block(count * width_, 0);
  for (std::size_t i = 0; i < count; ++i) std::copy(genes_[i].begin(), genes_[i].end(), block.begin() + i * width_);
  const std::array<hsize_t, 2> size{written_ + count, width_};
  const std::array<hsize_t, 2> start{written_, 0};
  const std::array<hsize_t, 2> length{count, width_};
  write_block(values_, H5T_STD_I16LE, size, start, length, block.data());
  append(candidate_ids_, H5T_STD_I64LE, written_, count, ids_.data());
  append(text_, h5::text_type().get(), written_, count, pointers(texts_).data());
  written_ += count;
  ids_.clear();
  genes_.clear();
  texts_.clear();
}

}  // namespace starling::run
