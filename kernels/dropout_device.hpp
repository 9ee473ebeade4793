// Dropout on a device: a thread makes eight neighbours, which have the bits of one block of random numbers.
//
// Floor: 8 bytes per element.
#pragma once

#include <starling/kernels/device.hpp>
#include <starling/kernels/dropout_bits.hpp>

namespace starling::kernels::device {

template <class T>
struct DropNeighbours {
  Dropout<T> a;
  Index groups;  ///< of neighbours in a sequence

  static constexpr int threads = 256;
  Index blocks() const { return quotient_up(groups * a.sequences, threads); }
  static constexpr std::size_t shared_bytes() { return 0; }

  STARLING_DEVICE void operator()(Block& block) const {
    const Index item = block.item();
    if (item < groups * a.sequences) drop(a, item / groups, item % groups);
  }
};

}  // namespace starling::kernels::device

namespace starling::kernels {

template <class T, class Launcher>
void launch_all(const Dropout<T>& a, Launcher& launcher) {
  launcher.launch(device::DropNeighbours<T>{a, device::quotient_up(a.elements, dropout_neighbours)});
}

}  // namespace starling::kernels
