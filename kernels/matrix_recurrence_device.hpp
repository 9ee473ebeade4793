// The matrix recurrence on a device: chunks of 64 tokens (double: 32) as matrix_chunks_device.hpp describes them. A chunk that begins
// elsewhere sums in another order: pieces that carry the state give the numbers of the whole to rounding.
//
// Floor, with widths of 64 and no decay, per token and head in bfloat16: forward 512 bytes of arrays and 1,024 of states, backward 900 and
// 2,300. Products of tf32: forward 41,000 operations (in float, whose numbers have rests, 86,000), backward 106,000 (210,000), at 300
// TFLOP/s a third to two thirds of an H100's time for the bytes. Expected is twice to three times the floor: rows are read by two to four
// launches, and a block multiplies nothing while it loads. Rows beyond a width are left out by 16, columns by 32.
// Decays per channel are for tiles' products only in the states; A, dq and dk cost about ten times what they do otherwise.
#pragma once

#include <starling/kernels/matrix_chunk_gradients_device.hpp>
#include <starling/kernels/matrix_recurrence.hpp>

namespace starling::kernels::device {

template <class T, class Arguments>
ChunkInputs<T> matrix_inputs(const Arguments& a) {
  ChunkInputs<T> inputs{};
  inputs.q = head_rows(a.q, a.q_strides, a.key_width);
  inputs.k = head_rows(a.k, a.k_strides, a.key_width);
  inputs.v = head_rows(a.v, a.v_strides, a.value_width);
  inputs.log_decay = head_rows(a.log_decay, a.log_decay_strides, a.decay == MatrixDecay::per_channel ? a.key_width : 1);
  inputs.batch = a.batch;
  inputs.length = a.length;
  inputs.heads = a.heads;
  inputs.columns = a.value_width;
  return inputs;
}

template <class Launch>
void with_form(MatrixDecay decay, Launch launch) {
  switch (decay) {
    case MatrixDecay::none:
      return launch.template operator()<ChunkForm::plain>();
    case MatrixDecay::per_head:
      return launch.template operator()<ChunkForm::head_decay>();
    case MatrixDecay::per_channel:
      return launch.template operator()<ChunkForm::channel_decay>();
  }
}

}  // namespace starling::kernels::device

namespace starling::kernels {

template <class T, class Launcher>
void launch_all(const MatrixRecurrenceForward<T>& a, Launcher& launcher) {
  const auto inputs = device::matrix_inputs<T>(a);
  device::CarryChunks<Compute<T>> carry{};
  carry.initial = a.initial;
  carry.final = a.final;
  device::with_form(a.decay, [&]<device::ChunkForm form>() {
    device::launch_chunks<form>(inputs, carry, device::head_rows(a.y, a.y_strides, a.value_width), static_cast<Compute<T>*>(nullptr),
                                launcher);
  });
}
template <class T, class Launcher>
void launch_all(const MatrixRecurrenceBackward<T>& a, Launcher& launcher) {
  auto inputs = device::matrix_inputs<T>(a);
  inputs.dy = device::head_rows(a.dy, a.dy_strides, a.value_width);
  device::CarryChunks<Compute<T>> carry{};
  carry.initial = a.initial;
  device::with_form(a.decay, [&]<device::ChunkForm form>() {
    device::launch_chunk_gradients<form>(inputs, carry, device::head_rows(a.dq, a.dq_strides, a.key_width),
                                         device::head_rows(a.dk, a.dk_strides, a.key_width),
                                         device::head_rows(a.dv, a.dv_strides, a.value_width),
                                         device::head_rows(a.dlog_decay, a.dlog_decay_strides, inputs.log_decay.width), launcher);
  });
}

}  // namespace starling::kernels
