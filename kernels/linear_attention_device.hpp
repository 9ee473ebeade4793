// Linear attention on a device: the matrix recurrence of φ(q), φ(k) and v without decay, by chunks (matrix_chunks_device.hpp), whose
// state has a column more, z. The backward pass is that of the recurrence for dy / n, with the norm's gradient as a column more.
// Features are made where rows are loaded: once forward for the states and once for the outputs, twice as often backwards.
//
// Floor: the bytes of matrix_recurrence_device.hpp; features have rests in bfloat16 too: 74,000 operations forward, 184,000 backward.
#pragma once

#include <starling/kernels/linear_attention.hpp>
#include <starling/kernels/matrix_chunk_gradients_device.hpp>

namespace starling::kernels::device {

template <class T, class Arguments>
ChunkInputs<T> attention_inputs(const Arguments& a) {
  ChunkInputs<T> inputs{};
  inputs.q = head_rows(a.q, a.q_strides, a.key_width);
  inputs.k = head_rows(a.k, a.k_strides, a.key_width);
  inputs.v = head_rows(a.v, a.v_strides, a.value_width);
  inputs.batch = a.batch;
  inputs.length = a.length;
  inputs.heads = a.heads;
  inputs.columns = a.value_width + 1;
  return inputs;
}

}  // namespace starling::kernels::device

namespace starling::kernels {

template <class T, class Launcher>
void launch_all(const LinearAttentionForward<T>& a, Launcher& launcher) {
  device::CarryChunks<Compute<T>> carry{};
  carry.initial = a.initial_state;
  carry.initial_key_sum = a.initial_key_sum;
  carry.final = a.final_state;
  carry.final_key_sum = a.final_key_sum;
  device::launch_chunks<device::ChunkForm::normalised>(device::attention_inputs<T>(a), carry,
                                                       device::head_rows(a.y, a.y_strides, a.value_width), a.inverse_norm, launcher);
}
template <class T, class Launcher>
void launch_all(const LinearAttentionBackward<T>& a, Launcher& launcher) {
  auto inputs = device::attention_inputs<T>(a);
  inputs.dy = device::head_rows(a.dy, a.dy_strides, a.value_width);
  auto* const norm_gradient = launcher.template scratch<Compute<T>>(a.batch * a.heads * a.length);
  launcher.launch(device::NormGradients<T>{device::head_rows(a.y, a.y_strides, a.value_width), inputs.dy, a.inverse_norm, norm_gradient,
                                           a.batch * a.heads, a.heads, a.length});
  inputs.inverse_norm = a.inverse_norm;
  inputs.norm_gradient = norm_gradient;
  device::launch_chunk_gradients<device::ChunkForm::normalised>(
      inputs, device::CarryChunks<Compute<T>>{}, device::head_rows(a.dq, a.dq_strides, a.key_width),
      device::head_rows(a.dk, a.dk_strides, a.key_width), device::head_rows(a.dv, a.dv_strides, a.value_width),
      device::HeadRows<Compute<T>>{}, launcher);
}

}  // namespace starling::kernels
