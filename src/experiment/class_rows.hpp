// [[class]] rows: classes that an experiment file adds to its catalogue.
//   [[class]]
//   id = 101
//   name = "Local"
//   operator = [1, 2, 2, 2, 3]     # featurizer 1 of the catalogue, low rank, banded, softmax, grouped
//   [[class]]
//   id = 102
//   name = "Local-GQA"
//   operator = [101, 2, 2, 4, 3]   # a featurizer of its own under an id of its own, which further rows may name
//   groups = [
//     {name = "q", token_mixing = 3, taps = 3},
//     {name = "k", channel_mixing = 3, expansion = "1/4", repeat = 4},
//     {name = "v", expansion = "1/4", repeat = 4, nonlinearity = 4},
//   ]
#pragma once

#include <toml++/toml.h>

#include <string>
#include <vector>

#include <starling/experiment/experiment.hpp>
#include <starling/experiment/reader.hpp>

namespace starling::experiment {

/// Reads what stands under "class". A row with a finding is left out; whether the integers make an operator is checked with
/// the rules.
void read_classes(const toml::node& node, std::vector<ClassRow>& rows, Given& given, Findings& findings);

/// The rows as TOML, "" where there are none.
std::string classes_to_toml(const std::vector<ClassRow>& rows);

/// The featurizer of a row: its own, one of an earlier or later row, or one of the catalogue; null where there is none.
const std::vector<genome::FeatureGroup>* groups_of(const ClassRow& row, const Model& model);

}  // namespace starling::experiment
