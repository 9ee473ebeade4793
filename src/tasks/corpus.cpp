#include <starling/tasks/corpus.hpp>

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <system_error>
#include <unordered_set>
#include <utility>

#include <starling/base/error.hpp>
#include <starling/base/random.hpp>
#include <starling/tasks/byte_source.hpp>

namespace starling::tasks {
namespace {

namespace fs = std::filesystem;

/// 128 bits stand for a document: two different ones with the same would be a wonder.
class Digest {
 public:
  Digest() : state_(XXH3_createState()) { XXH3_128bits_reset(state_.get()); }

  void add(std::string_view text) { XXH3_128bits_update(state_.get(), text.data(), text.size()); }
  XXH128_hash_t take() {
    const XXH128_hash_t value = XXH3_128bits_digest(state_.get());
    XXH3_128bits_reset(state_.get());
    return value;
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

struct HashOfDigest {
  std::size_t operator()(const XXH128_hash_t& digest) const { return digest.low64; }
};
struct EqualDigests {
  bool operator()(const XXH128_hash_t& a, const XXH128_hash_t& b) const { return a.low64 == b.low64 && a.high64 == b.high64; }
};

std::int64_t size_of(const fs::path& path, const Sources& sources) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) throw UserError(sources.asked_by + ": cannot read '" + path.string() + "': " + error.message());
  return static_cast<std::int64_t>(size);
}

bool inside_a_character(char next) { return (static_cast<unsigned char>(next) & 0xc0) == 0x80; }

class Surveyor {
 public:
  Surveyor(const Sources& sources, const Division& division, std::vector<std::string>* texts, const std::function<void()>& tick)
      : sources_(sources), texts_(texts), tick_(tick), left_(division.max_bytes > 0 ? division.max_bytes : unlimited) {
    const std::vector<fs::path> paths = find_text(sources);
    survey_.found = static_cast<std::int64_t>(paths.size());
    const std::vector<std::size_t> order = keyed_order(paths.size(), division.seed, KeyedOrder::files);
    for (const std::size_t i : order) {
      if (left_ > 0) read(paths[i]);
    }
    if (survey_.bytes_used() == 0 && left_ > 0 && left_ < unlimited) {
      for (const std::size_t i : order) {
        if (cut(paths[i])) break;
      }
    }
    if (survey_.bytes_used() == 0) throw UserError(sources.asked_by + ": the files are empty: there is no text to learn from");
  }

  Survey take() { return std::move(survey_); }

 private:
  static constexpr std::int64_t unlimited = std::numeric_limits<std::int64_t>::max();

  void read(const fs::path& path) {
    // What is one document as it is need not be read to see that it does not fit.
    if (!is_jsonl(path) && !is_compressed(path) && size_of(path, sources_) > left_) return;
    DocumentReader reader(path, sources_);
    Survey::File file{path, 0};
    bool used = false;
    while (next(reader)) {
      const std::int64_t size = read_document(reader);
      // What was taken before needs no room.
      if (size > left_ && !seen_.contains(digest_of_last_)) break;
      used |= add(file, size);
    }
    if (file.documents == 0) return;
    survey_.files.push_back(std::move(file));
    survey_.files_used += used;
  }

  /// The first text of a file, cut to the cap; then it is all there is.
  bool cut(const fs::path& path) {
    DocumentReader reader(path, sources_);
    survey_.files.assign(1, {path, 0});
    survey_.bytes.clear();
    while (next(reader)) {
      ++survey_.files[0].documents;
      survey_.bytes.push_back(std::min(read_document(reader), left_));
      if (survey_.bytes.back() == 0) continue;
      text_.resize(std::min(text_.size(), static_cast<std::size_t>(left_)));
      if (texts_ != nullptr) texts_->push_back(std::move(text_));
      survey_.files_used = 1;
      return true;
    }
    return false;
  }

  bool next(DocumentReader& reader) {
    if (tick_) tick_();
    return reader.next();
  }

  /// Reads one document, but not far beyond what may still be taken.
  std::int64_t read_document(DocumentReader& reader) {
    text_.clear();
    std::int64_t size = 0;
    for (std::string_view piece = reader.piece(); !piece.empty(); piece = reader.piece()) {
      if (tick_) tick_();
      size += std::ssize(piece);
      digest_.add(piece);
      if (texts_ != nullptr) text_ += piece;
      if (size > left_) break;
    }
    digest_of_last_ = digest_.take();
    return size;
  }

  /// The document that was just read; whether it is used.
  bool add(Survey::File& file, std::int64_t size) {
    ++file.documents;
    const bool used = size > 0 && seen_.insert(digest_of_last_).second;
    if (used) left_ -= size;
    survey_.bytes.push_back(used ? size : 0);
    if (used && texts_ != nullptr) texts_->push_back(std::move(text_));
    return used;
  }

  const Sources& sources_;
  std::vector<std::string>* texts_;
  const std::function<void()>& tick_;
  std::int64_t left_;
  Survey survey_;
  Digest digest_;
  XXH128_hash_t digest_of_last_{};
  std::unordered_set<XXH128_hash_t, HashOfDigest, EqualDigests> seen_;
  std::string text_;
};

/// Splits one document at its cuts and tells the receiver.
class Cutter {
 public:
  Cutter(const std::array<std::int64_t, 3>& lengths, Receiver& receiver) : left_(lengths), receiver_(receiver) { skip_empty(); }

  void piece(std::string_view text) {
    while (!text.empty() && part_ < left_.size()) {
      std::size_t here = std::min(text.size(), static_cast<std::size_t>(left_[part_]));
      const bool last_part =
          std::all_of(left_.begin() + static_cast<std::ptrdiff_t>(part_) + 1, left_.end(), [](auto n) { return n == 0; });
      if (!last_part && static_cast<std::int64_t>(here) == left_[part_]) {
        // A cut inside a character moves behind it, at most three bytes.
        for (; moved_ < 3 && here < text.size() && inside_a_character(text[here]); ++moved_, ++here) take_from_next();
      }
      if (!open_) receiver_.begin(all_parts[part_]);
      open_ = true;
      receiver_.piece(text.substr(0, here));
      left_[part_] -= static_cast<std::int64_t>(here);
      text.remove_prefix(here);
      if (left_[part_] == 0 && (last_part || !text.empty())) {
        close();
        ++part_;
        moved_ = 0;
        skip_empty();
      }
    }
  }

  void end() { close(); }

 private:
  /// The part grows by a byte of the next one that has any.
  void take_from_next() {
    ++left_[part_];
    for (std::size_t later = part_ + 1; later < left_.size(); ++later) {
      if (left_[later] > 0) {
        --left_[later];
        return;
      }
    }
    --left_[part_];
  }
  void skip_empty() {
    while (part_ < left_.size() && left_[part_] == 0) ++part_;
  }
  void close() {
    if (std::exchange(open_, false)) receiver_.end();
  }

  std::array<std::int64_t, 3> left_;
  Receiver& receiver_;
  std::size_t part_ = 0;
  int moved_ = 0;
  bool open_ = false;
};

class InMemory final : public Receiver {
 public:
  explicit InMemory(Corpus& corpus) : corpus_(corpus) {}
  void begin(Part part) override { document_ = &corpus_.part(part).emplace_back(); }
  void piece(std::string_view text) override { *document_ += text; }
  void end() override {}

 private:
  Corpus& corpus_;
  std::string* document_ = nullptr;
};

}  // namespace

std::int64_t Survey::documents_used() const {
  return std::ranges::count_if(bytes, [](std::int64_t size) { return size > 0; });
}

std::int64_t Survey::bytes_used() const { return std::accumulate(bytes.begin(), bytes.end(), std::int64_t{0}); }

Survey survey(const Sources& sources, const Division& division, std::vector<std::string>* texts, const std::function<void()>& tick) {
  return Surveyor(sources, division, texts, tick).take();
}

std::vector<std::size_t> take_fitting(std::span<const std::size_t> order, std::span<const std::int64_t> sizes, std::int64_t budget) {
  std::vector<std::size_t> taken;
  for (const std::size_t i : order) {
    if (sizes[i] > budget) continue;
    budget -= sizes[i];
    taken.push_back(i);
  }
  return taken;
}

std::vector<std::size_t> keyed_order(std::size_t count, std::uint64_t seed, KeyedOrder what) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  Stream stream(seed, Purpose::data_split, static_cast<std::uint64_t>(what));
  for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[stream.below(i)]);
  return order;
}

std::vector<Part> divide(std::span<const std::int64_t> sizes, std::vector<std::size_t> left, const Division& division) {
  std::vector<Part> part_of(sizes.size(), Part::training);
  double total = 0;
  for (const std::size_t i : left) total += static_cast<double>(sizes[i]);
  for (const auto& [part, share] : {std::pair(Part::validation, division.validation), std::pair(Part::test, division.test)}) {
    if (share <= 0) continue;
    const std::size_t still_to_serve = part == Part::validation && division.test > 0 ? 2 : 1;
    std::vector<std::size_t> taken = take_fitting(left, sizes, std::llround(share * total));
    if (taken.empty()) taken.push_back(*std::ranges::min_element(left, {}, [&](std::size_t i) { return sizes[i]; }));
    taken.resize(std::min(taken.size(), left.size() - still_to_serve));
    for (const std::size_t i : taken) part_of[i] = part;
    std::erase_if(left, [&](std::size_t i) { return part_of[i] != Part::training; });
  }
  return part_of;
}

Allotment::Allotment(const Survey& survey, const Division& division) : survey_(survey), division_(division) {
  const std::size_t parts = std::size_t{1} + (division.validation > 0) + (division.test > 0);
  cut_ = survey.documents_used() < static_cast<std::int64_t>(parts);
  if (cut_) return;
  std::vector<std::size_t> order(survey.bytes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const bool several = std::ranges::any_of(survey.files, [](const Survey::File& file) { return file.documents > 1; });
  if (several) order = keyed_order(order.size(), division.seed, KeyedOrder::documents);
  std::erase_if(order, [&](std::size_t i) { return survey.bytes[i] == 0; });
  part_of_ = divide(survey.bytes, std::move(order), division);
}

std::array<std::int64_t, 3> Allotment::lengths(std::size_t document) const {
  const std::int64_t bytes = survey_.bytes[document];
  std::array<std::int64_t, 3> lengths{};
  if (!cut_) {
    lengths[static_cast<std::size_t>(part_of_[document])] = bytes;
    return lengths;
  }
  const auto share = [&](double part) { return static_cast<std::int64_t>(std::llround(static_cast<double>(bytes) * part)); };
  lengths[1] = std::min(bytes, share(division_.validation));
  lengths[2] = std::min(bytes - lengths[1], share(division_.test));
  lengths[0] = bytes - lengths[1] - lengths[2];
  return lengths;
}

void deliver(const Survey& survey, const Sources& sources, const Division& division, Receiver& receiver) {
  const Allotment allotment(survey, division);
  std::size_t document = 0;
  for (const Survey::File& file : survey.files) {
    const auto changed = [&] { return Failure(sources.asked_by + ": '" + file.path.string() + "' changed while it was read"); };
    DocumentReader reader(file.path, sources);
    for (std::int64_t i = 0; i < file.documents; ++i, ++document) {
      if (!reader.next()) throw changed();
      if (survey.bytes[document] == 0) continue;
      Cutter cutter(allotment.lengths(document), receiver);
      std::int64_t left = survey.bytes[document];
      while (left > 0) {
        const std::string_view piece = reader.piece();
        if (piece.empty()) throw changed();
        const std::string_view used = piece.substr(0, static_cast<std::size_t>(left));
        cutter.piece(used);
        left -= std::ssize(used);
      }
      cutter.end();
    }
  }
}

Corpus read_corpus(const Sources& sources, const Division& division) {
  std::vector<std::string> texts;
  const Survey found = survey(sources, division, &texts);
  Corpus corpus;
  corpus.found = found.found;
  corpus.files = found.files_used;
  corpus.documents = std::ssize(texts);
  const Allotment allotment(found, division);
  InMemory receiver(corpus);
  auto text = texts.begin();
  for (std::size_t document = 0; document < found.bytes.size(); ++document) {
    if (found.bytes[document] == 0) continue;
    Cutter cutter(allotment.lengths(document), receiver);
    cutter.piece(*text);
    cutter.end();
    *text++ = {};
  }
  return corpus;
}

}  // namespace starling::tasks
