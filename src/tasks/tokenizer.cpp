#include <starling/tasks/tokenizer.hpp>

#include <limits>

#include <starling/base/byte_tokens.hpp>

namespace starling::tasks {
namespace {

class Bytes final : public Tokenizer {
 public:
  std::int64_t vocabulary() const override { return byte_vocabulary; }
  std::uint16_t separator() const override { return byte_separator; }
  bool of_bytes() const override { return true; }
  std::size_t longest_text() const override { return std::numeric_limits<std::size_t>::max(); }
  std::filesystem::path model() const override { return {}; }

  void encode(std::string_view text, std::vector<std::uint16_t>& tokens, std::vector<std::uint16_t>* bytes) const override {
    for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
    if (bytes != nullptr) bytes->insert(bytes->end(), text.size(), 1);
  }
};

}  // namespace

std::unique_ptr<const Tokenizer> make_byte_tokenizer() { return std::make_unique<Bytes>(); }

}  // namespace starling::tasks
