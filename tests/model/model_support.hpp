// Genomes with every kind of sharing, and a whole model written from its equations.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <starling/genome/catalogue.hpp>
#include <starling/genome/genome.hpp>
#include <starling/model/model.hpp>

#include "matrix.hpp"

namespace starling::model {

/// A valid random genome over all classes in which about half of the LIVs share something.
genome::Genome random_genome(std::size_t depth, std::uint64_t seed);

/// One genome per class and feature-sharing strategy: owner, reader, another LIV of the class that shares weights with
/// both.
struct NamedGenome {
  std::string name;
  genome::Genome genome;
};
std::vector<NamedGenome> sharing_genomes(const genome::Catalogue& catalogue = genome::Catalogue::liquid());

/// Path groups of classes of every kind: sizes two and three, next to each other, with every kind of sharing inside a group
/// and across its border; routed and not, with empty LIVs in between; then random genomes of a space with paths, routes and variable depth.
std::vector<NamedGenome> path_genomes();

at::Tensor token_tensor(std::int64_t batch, std::int64_t length, std::int64_t vocabulary, std::uint64_t seed);

/// Logits (length, vocabulary) of one sequence, from the model's weights by name and the meaning of the genome alone.
reference::Matrix reference_logits(const genome::Genome& genome, const Model& model, const std::vector<std::int64_t>& tokens,
                                   std::size_t heads);

/// A model whose weights, those that begin at one included, are moved by random numbers.
Model perturbed(const genome::Catalogue& catalogue, const genome::Genome& genome, const genome::Dimensions& dimensions,
                at::ScalarType dtype);

/// The model's weights and state are as many numbers as the formulas say, in all and LIV by LIV.
void expect_counts(const genome::Catalogue& catalogue, const genome::Genome& genome, const genome::Dimensions& dimensions);
/// Token by token, or row by row of a series, the model gives the logits of the whole sequence.
void expect_steps_are_rows(const Model& model, const genome::Dimensions& dimensions, double tolerance);

/// The parameter of that name; throws std::out_of_range.
at::Tensor parameter(const Model& model, const std::string& name);

}  // namespace starling::model
