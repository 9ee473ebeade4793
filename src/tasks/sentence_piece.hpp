// SentencePiece (Kudo and Richardson 2018, arXiv 1808.06226): tokenizers that are learned from text. A library of its own,
// starling_sentence_piece, because Debian's libsentencepiece exports another protobuf than the one that LibTorch loads: a process has the one
// or the other. `starling` tokenizes, the workers read tokens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include <starling/tasks/documents.hpp>
#include <starling/tasks/tokenizer.hpp>

namespace starling::tasks {

class SentencePiece : public Tokenizer {
 public:
  virtual std::string decode(std::span<const std::int64_t> tokens) const = 0;
};

/// A model in a file. Its separator is <s>, or </s> where it has no <s>. Throws UserError: no such file, not a model, more than 65,536 pieces,
/// neither <s> nor </s>.
std::unique_ptr<const SentencePiece> open_sentence_piece(const std::filesystem::path& model);

struct SentencePieceTraining {
  Sources sources;
  std::int64_t vocabulary = 0;
  std::string kind = "bpe";              ///< or "unigram"
  std::int64_t max_bytes = 100'000'000;  ///< of text that is looked at, held in memory; see survey()
  std::uint64_t seed = 1;                ///< decides which text
};

/// Learns a model that loses nothing of any text: no normalisation, no space added or removed, bytes for rare characters, a token of its own
/// for the line end, so that a text cut behind a line has the same tokens. Deterministic. Returns the content of the model's file. Throws
/// UserError: see survey(); a vocabulary that is too small for the characters or too large for the text.
std::string train_sentence_piece(const SentencePieceTraining& training);

}  // namespace starling::tasks
