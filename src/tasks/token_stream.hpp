// Tokens one behind the other, wherever they lie: in memory or in mapped files that are larger than it. No Torch.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace starling::tasks {

/// Copies are cheap: they share the tokens. Safe to read from several threads.
class TokenStream {
 public:
  TokenStream() = default;
  /// Of tokens in memory.
  explicit TokenStream(std::vector<std::uint16_t> tokens);

  /// `owner` keeps the tokens alive, `name` and the index of the first token in it tell in messages where they are.
  void add(std::span<const std::uint16_t> tokens, std::shared_ptr<const void> owner, std::string name, std::int64_t first = 0);
  void add(const TokenStream& other);
  /// Tokens begin … end − 1.
  TokenStream slice(std::int64_t begin, std::int64_t end) const;

  std::int64_t size() const { return size_; }
  /// Tokens begin, begin + 1, … into `out`, all of which must be there. Throws UserError where one is not below the vocabulary.
  void copy(std::int64_t begin, std::span<std::uint16_t> out) const;
  /// The first place from `begin` on where the token stands.
  std::optional<std::int64_t> find(std::uint16_t token, std::int64_t begin) const;
  void visit(std::int64_t begin, std::int64_t count, const std::function<void(std::span<const std::uint16_t>)>& use) const;

  void set_vocabulary(std::int64_t vocabulary) { vocabulary_ = vocabulary; }

 private:
  struct Segment {
    std::span<const std::uint16_t> tokens;
    std::shared_ptr<const void> owner;
    std::string name;
    std::int64_t first = 0;  ///< index of its first token in what `name` names
    std::int64_t begin = 0;  ///< and in this stream
  };

  /// The segment that holds token `i` of the stream.
  std::size_t segment_of(std::int64_t i) const;
  [[noreturn]] void refuse(std::int64_t begin, std::span<const std::uint16_t> tokens) const;

  std::vector<Segment> segments_;
  std::int64_t size_ = 0;
  std::int64_t vocabulary_ = std::numeric_limits<std::uint16_t>::max() + std::int64_t{1};
};

}  // namespace starling::tasks
