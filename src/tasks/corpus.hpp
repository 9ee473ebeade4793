// Documents and their division into a training, a validation and a test part. No Torch.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <starling/tasks/documents.hpp>

namespace starling::tasks {

/// Which part of a division a document went to.
enum class Part { training = 0, validation = 1, test = 2 };

inline constexpr std::array<Part, 3> all_parts{Part::training, Part::validation, Part::test};

struct Division {
  std::int64_t max_bytes = 0;  ///< of all parts together; 0 = no cap
  double validation = 0.1;     ///< shares of the bytes
  double test = 0.1;
  std::uint64_t seed = 0;
};

/// What a first reading of all documents found: enough to divide them without having any in memory.
struct Survey {
  struct File {
    std::filesystem::path path;
    std::int64_t documents = 0;  ///< that were read of it: all of them, or those that fit under the cap
  };
  std::vector<File> files;          ///< in the order they are read
  std::vector<std::int64_t> bytes;  ///< of each document read, in that order; 0 where it is not used: empty, or equal to an earlier one
  std::int64_t found = 0;           ///< files that the globs match
  std::int64_t files_used = 0;      ///< that text is taken from

  std::int64_t documents_used() const;
  std::int64_t bytes_used() const;
};

/// Reads every document once. The files come in a keyed order (seed, Purpose::data_split) of the sorted list. Under a cap, each document
/// that still fits is taken, of a JSONL file those from its beginning up to the first that does not; one that is equal to an earlier one
/// takes no room. Documents are taken whole, unless none fits: then the first one is cut to the cap. `texts`, where given, gets the documents
/// that are used. Throws UserError: see find_text(); where a file cannot be read or there is no text at all; and what `tick`, called before
/// every document, throws.
Survey survey(const Sources& sources, const Division& division, std::vector<std::string>* texts = nullptr,
              const std::function<void()>& tick = {});

/// The part of every document of a survey:
///  - documents with equal bytes count once, so that no text stands in two parts;
///  - in the order of the survey, or, where a file has more than one document, in a keyed order of all documents: validation, then test
///    take each document that still fits into their share (or, where none does, the smallest); training has the rest, at least one;
///  - where there are fewer documents than parts, each is cut into training, validation and test text, in this order, between characters
///    of UTF-8.
/// A part with share 0 is empty.
class Allotment {
 public:
  Allotment(const Survey& survey, const Division& division);

  /// Where the text of document i goes: consecutive lengths, 0 for the parts that get none of it.
  std::array<std::int64_t, 3> lengths(std::size_t document) const;

 private:
  const Survey& survey_;
  Division division_;
  bool cut_ = false;
  std::vector<Part> part_of_;
};

/// Hears the documents of all parts: a document begins, comes in pieces, ends.
class Receiver {
 public:
  virtual ~Receiver() = default;
  virtual void begin(Part part) = 0;
  virtual void piece(std::string_view text) = 0;
  virtual void end() = 0;
};

/// Reads the documents of a survey once more, those that are used, and hands them out by part. Throws Failure where a file has changed.
void deliver(const Survey& survey, const Sources& sources, const Division& division, Receiver& receiver);

/// What a keyed order is for; part of what makes divisions repeatable.
enum class KeyedOrder : std::uint64_t { files = 0, documents = 1, ranges = 2 };
/// 0 … count − 1 in the order that the seed decides.
std::vector<std::size_t> keyed_order(std::size_t count, std::uint64_t seed, KeyedOrder what);

/// Divides whole items, in `order`: validation, then test take each item that still fits into their share of the sizes of all in the order
/// (or, where none does, the smallest); training has the rest, at least one. At least as many items as parts.
std::vector<Part> divide(std::span<const std::int64_t> sizes, std::vector<std::size_t> order, const Division& division);

/// Indices of the items that are taken when they come in `order` and each is taken that still fits into the budget.
std::vector<std::size_t> take_fitting(std::span<const std::size_t> order, std::span<const std::int64_t> sizes, std::int64_t budget);

/// All of it in memory.
struct Corpus {
  std::array<std::vector<std::string>, 3> parts;  ///< by Part: the bytes of each document, never empty
  std::int64_t files = 0;                         ///< that text was taken from
  std::int64_t found = 0;                         ///< that the globs match
  std::int64_t documents = 0;

  std::vector<std::string>& part(Part which) { return parts[static_cast<std::size_t>(which)]; }
};

/// The same documents, in the same order, as survey() and deliver() hand out, in one reading.
Corpus read_corpus(const Sources& sources, const Division& division);

}  // namespace starling::tasks
