// Text to tokens of 16 bits. No Torch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

namespace starling::tasks {

class Tokenizer {
 public:
  Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;
  virtual ~Tokenizer() = default;

  virtual std::int64_t vocabulary() const = 0;
  /// Stands before every document.
  virtual std::uint16_t separator() const = 0;
  /// Whether every token but the separator is one byte of text.
  virtual bool of_bytes() const = 0;
  /// Texts should not be longer at once; they are then cut behind a line, or at worst between two characters.
  virtual std::size_t longest_text() const = 0;
  /// The file that says how, to be kept with the tokens; empty where there is none.
  virtual std::filesystem::path model() const = 0;
  /// Appends the tokens of a text and, where `bytes` is given, for each of them how many bytes of the text it stands for: together all.
  virtual void encode(std::string_view text, std::vector<std::uint16_t>& tokens, std::vector<std::uint16_t>* bytes) const = 0;
};

/// Token b is the byte b.
std::unique_ptr<const Tokenizer> make_byte_tokenizer();

}  // namespace starling::tasks
