#include <starling/operators/functions/history.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>

#include <algorithm>
#include <vector>

namespace starling::operators {

at::Tensor continue_history(const at::Tensor& history, std::int64_t position, const at::Tensor& entries, const Sight& sight) {
  const auto room = history.size(1);
  const auto count = entries.size(1);
  const auto begin = sight.block > 0 ? position % sight.block : position;
  if (begin + count <= room) {
    history.narrow(1, begin, count).copy_(entries);
    return history.narrow(1, 0, begin + count);
  }
  const auto all = at::cat({history.narrow(1, 0, std::min(begin, room)), entries}, 1);
  const auto kept = sight.block > 0 ? all.size(1) % sight.block : room;
  history.narrow(1, 0, kept).copy_(all.narrow(1, all.size(1) - kept, kept));
  if (sight.block > 0) return all;
  const auto seen = std::min(all.size(1), room - 1 + count);
  return all.narrow(1, all.size(1) - seen, seen);
}

at::Tensor in_blocks(std::int64_t position, std::int64_t count, std::int64_t block,
                     const std::function<at::Tensor(std::int64_t first, std::int64_t count)>& made) {
  std::vector<at::Tensor> parts;
  for (std::int64_t first = 0; first < count;) {
    const auto part = std::min(count - first, block - (position + first) % block);
    parts.push_back(made(first, part));
    first += part;
  }
  return parts.size() == 1 ? parts[0] : at::cat(parts, 1);
}

at::Tensor blocks_of(const at::Tensor& x, std::int64_t block) {
  const auto length = x.size(1);
  if (length <= block) return x;
  const auto count = (length + block - 1) / block;
  const auto padded = length == count * block ? x : at::constant_pad_nd(x, {0, 0, 0, count * block - length});
  return padded.reshape({x.size(0) * count, block, x.size(2)});
}

at::Tensor joined_blocks(const at::Tensor& blocks, std::int64_t batch, std::int64_t length) {
  if (blocks.size(0) == batch) return blocks;
  return blocks.reshape({batch, -1, blocks.size(2)}).narrow(1, 0, length);
}

}  // namespace starling::operators
