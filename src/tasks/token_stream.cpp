#include <starling/tasks/token_stream.hpp>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include <starling/base/error.hpp>
#include <starling/tasks/thousands.hpp>

namespace starling::tasks {

TokenStream::TokenStream(std::vector<std::uint16_t> tokens) {
  const auto owner = std::make_shared<const std::vector<std::uint16_t>>(std::move(tokens));
  add(*owner, owner, "the text");
}

void TokenStream::add(std::span<const std::uint16_t> tokens, std::shared_ptr<const void> owner, std::string name, std::int64_t first) {
  if (tokens.empty()) return;
  segments_.push_back({tokens, std::move(owner), std::move(name), first, size_});
  size_ += std::ssize(tokens);
}

void TokenStream::add(const TokenStream& other) {
  for (const Segment& segment : other.segments_) add(segment.tokens, segment.owner, segment.name, segment.first);
}

TokenStream TokenStream::slice(std::int64_t begin, std::int64_t end) const {
  TokenStream part;
  part.vocabulary_ = vocabulary_;
  for (std::size_t s = segment_of(begin); s < segments_.size() && segments_[s].begin < end; ++s) {
    const Segment& segment = segments_[s];
    const std::int64_t from = std::max<std::int64_t>(begin - segment.begin, 0);
    const std::int64_t to = std::min<std::int64_t>(end - segment.begin, std::ssize(segment.tokens));
    if (from >= to) continue;
    part.add(segment.tokens.subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(to - from)), segment.owner, segment.name,
             segment.first + from);
  }
  return part;
}

void TokenStream::copy(std::int64_t begin, std::span<std::uint16_t> out) const {
  assert(begin >= 0 && begin + std::ssize(out) <= size_);
  std::uint16_t* to = out.data();
  visit(begin, std::ssize(out), [&](std::span<const std::uint16_t> tokens) { to = std::copy(tokens.begin(), tokens.end(), to); });
  std::uint16_t most = 0;
  for (const std::uint16_t token : out) most = std::max(most, token);
  if (most >= vocabulary_) refuse(begin, out);
}

void TokenStream::refuse(std::int64_t begin, std::span<const std::uint16_t> tokens) const {
  const auto found = std::ranges::find_if(tokens, [&](std::uint16_t token) { return token >= vocabulary_; });
  const std::int64_t at = begin + (found - tokens.begin());
  const Segment& segment = segments_[segment_of(at)];
  throw UserError("task.vocabulary: '" + segment.name + "' has the token " + std::to_string(*found) + " at position " +
                  thousands(segment.first + at - segment.begin) + ", expected tokens below " + std::to_string(vocabulary_));
}

std::optional<std::int64_t> TokenStream::find(std::uint16_t token, std::int64_t begin) const {
  for (std::size_t s = segment_of(begin); s < segments_.size(); ++s) {
    const auto& [tokens, owner, name, first, start] = segments_[s];
    const auto from = tokens.begin() + static_cast<std::ptrdiff_t>(std::max<std::int64_t>(begin - start, 0));
    const auto found = std::find(from, tokens.end(), token);
    if (found != tokens.end()) return start + (found - tokens.begin());
  }
  return {};
}

void TokenStream::visit(std::int64_t begin, std::int64_t count, const std::function<void(std::span<const std::uint16_t>)>& use) const {
  for (std::size_t s = segment_of(begin); count > 0; ++s) {
    const Segment& segment = segments_[s];
    const std::int64_t from = begin - segment.begin;
    const std::int64_t here = std::min<std::int64_t>(count, std::ssize(segment.tokens) - from);
    use(segment.tokens.subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(here)));
    begin += here;
    count -= here;
  }
}

std::size_t TokenStream::segment_of(std::int64_t i) const {
  const auto after = std::ranges::upper_bound(segments_, i, {}, &Segment::begin);
  return after == segments_.begin() ? 0 : static_cast<std::size_t>(after - segments_.begin() - 1);
}

}  // namespace starling::tasks
