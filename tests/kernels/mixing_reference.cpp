// References of the kernels that mix a whole sequence, from the explicit T_ij of their formulas.
#include "reference.hpp"

#include <cmath>
#include <vector>

namespace starling::kernels::reference {
namespace {

using Index = std::int64_t;

template <class Arguments>
double log_decay(const Arguments& a, Index b, Index t, Index h, Index i) {
  if (a.decay == MatrixDecay::none) return 0;
  const auto& s = a.log_decay_strides;
  return a.log_decay[b * s.batch + t * s.token + h * s.head + (a.decay == MatrixDecay::per_channel ? i : 0)];
}

/// What key channel i of token j is still worth at token t ≥ j; j = −1 is the initial state.
template <class Arguments>
double remains(const Arguments& a, Index b, Index h, Index i, Index j, Index t) {
  double total = 0;
  for (Index s = j + 1; s <= t; ++s) total += log_decay(a, b, s, h, i);
  return std::exp(total);
}

double feature(double x) { return x > 0 ? x + 1 : std::exp(x); }
double feature_slope(double x) { return x > 0 ? 1 : std::exp(x); }

template <class P>
P& at(P* data, const HeadStrides& s, Index b, Index t, Index h, Index i) {
  return data[b * s.batch + t * s.token + h * s.head + i];
}

void clear(double* to, const HeadStrides& s, Index batches, Index tokens, Index heads, Index width) {
  for (Index b = 0; b < batches; ++b)
    for (Index t = 0; t < tokens; ++t)
      for (Index h = 0; h < heads; ++h)
        for (Index i = 0; i < width; ++i) at(to, s, b, t, h, i) = 0;
}

/// φ(q_t) · φ(k_j).
template <class Arguments>
double weight(const Arguments& a, Index b, Index h, Index t, Index j) {
  double total = 0;
  for (Index i = 0; i < a.key_width; ++i) total += feature(at(a.q, a.q_strides, b, t, h, i)) * feature(at(a.k, a.k_strides, b, j, h, i));
  return total;
}

}  // namespace

void run(const MatrixRecurrenceForward<double>& a) {
  for (Index b = 0; b < a.batch; ++b)
    for (Index h = 0; h < a.heads; ++h) {
      const Index of_head = (b * a.heads + h) * a.key_width * a.value_width;
      for (Index t = 0; t < a.length; ++t) {
        for (Index x = 0; x < a.value_width; ++x) at(a.y, a.y_strides, b, t, h, x) = 0;
        for (Index i = 0; i < a.key_width; ++i)
          for (Index j = a.initial ? -1 : 0; j <= t; ++j) {
            const double factor = at(a.q, a.q_strides, b, t, h, i) * remains(a, b, h, i, j, t);
            for (Index x = 0; x < a.value_width; ++x) {
              const double written =
                  j < 0 ? a.initial[of_head + i * a.value_width + x] : at(a.k, a.k_strides, b, j, h, i) * at(a.v, a.v_strides, b, j, h, x);
              at(a.y, a.y_strides, b, t, h, x) += factor * written;
            }
          }
      }
      if (!a.final) continue;
      for (Index i = 0; i < a.key_width; ++i)
        for (Index x = 0; x < a.value_width; ++x) {
          const Index last = a.length - 1;
          double s = a.initial ? remains(a, b, h, i, -1, last) * a.initial[of_head + i * a.value_width + x] : 0;
          for (Index j = 0; j <= last; ++j)
            s += remains(a, b, h, i, j, last) * at(a.k, a.k_strides, b, j, h, i) * at(a.v, a.v_strides, b, j, h, x);
          a.final[of_head + i * a.value_width + x] = s;
        }
    }
}

void run(const MatrixRecurrenceBackward<double>& a) {
  clear(a.dq, a.dq_strides, a.batch, a.length, a.heads, a.key_width);
  clear(a.dk, a.dk_strides, a.batch, a.length, a.heads, a.key_width);
  clear(a.dv, a.dv_strides, a.batch, a.length, a.heads, a.value_width);
  const Index decay_width = a.decay == MatrixDecay::per_channel ? a.key_width : 1;
  if (a.dlog_decay) clear(a.dlog_decay, a.dlog_decay_strides, a.batch, a.length, a.heads, decay_width);
  for (Index b = 0; b < a.batch; ++b)
    for (Index h = 0; h < a.heads; ++h)
      for (Index t = 0; t < a.length; ++t)
        for (Index j = a.initial ? -1 : 0; j <= t; ++j)
          for (Index i = 0; i < a.key_width; ++i) {
            const double factor = remains(a, b, h, i, j, t);
            const double q = at(a.q, a.q_strides, b, t, h, i);
            double decayed = 0;
            for (Index x = 0; x < a.value_width; ++x) {
              const double dy = at(a.dy, a.dy_strides, b, t, h, x);
              const double before = j < 0 ? a.initial[((b * a.heads + h) * a.key_width + i) * a.value_width + x]
                                          : at(a.k, a.k_strides, b, j, h, i) * at(a.v, a.v_strides, b, j, h, x);
              at(a.dq, a.dq_strides, b, t, h, i) += dy * factor * before;
              if (j >= 0) {
                at(a.dk, a.dk_strides, b, j, h, i) += dy * q * factor * at(a.v, a.v_strides, b, j, h, x);
                at(a.dv, a.dv_strides, b, j, h, x) += dy * q * factor * at(a.k, a.k_strides, b, j, h, i);
              }
              decayed += dy * q * factor * before;
            }
            for (Index s = j + 1; a.dlog_decay && s <= t; ++s)
              at(a.dlog_decay, a.dlog_decay_strides, b, s, h, a.decay == MatrixDecay::per_channel ? i : 0) += decayed;
          }
}

void run(const LinearAttentionForward<double>& a) {
  for (Index b = 0; b < a.batch; ++b)
    for (Index h = 0; h < a.heads; ++h) {
      const Index of_head = b * a.heads + h;
      for (Index t = 0; t < a.length; ++t) {
        double norm = 0;
        for (Index j = 0; j <= t; ++j) norm += weight(a, b, h, t, j);
        if (a.inverse_norm) a.inverse_norm[of_head * a.length + t] = 1 / norm;
        for (Index x = 0; x < a.value_width; ++x) {
          double y = 0;
          for (Index j = 0; j <= t; ++j) y += weight(a, b, h, t, j) / norm * at(a.v, a.v_strides, b, j, h, x);
          at(a.y, a.y_strides, b, t, h, x) = y;
        }
      }
      for (Index i = 0; i < a.key_width; ++i) {
        double total = 0;
        for (Index j = 0; j < a.length; ++j) total += feature(at(a.k, a.k_strides, b, j, h, i));
        if (a.final_key_sum) a.final_key_sum[of_head * a.key_width + i] = total;
        for (Index x = 0; a.final_state && x < a.value_width; ++x) {
          double s = 0;
          for (Index j = 0; j < a.length; ++j) s += feature(at(a.k, a.k_strides, b, j, h, i)) * at(a.v, a.v_strides, b, j, h, x);
          a.final_state[(of_head * a.key_width + i) * a.value_width + x] = s;
        }
      }
    }
}

void run(const LinearAttentionBackward<double>& a) {
  clear(a.dq, a.dq_strides, a.batch, a.length, a.heads, a.key_width);
  clear(a.dk, a.dk_strides, a.batch, a.length, a.heads, a.key_width);
  clear(a.dv, a.dv_strides, a.batch, a.length, a.heads, a.value_width);
  for (Index b = 0; b < a.batch; ++b)
    for (Index h = 0; h < a.heads; ++h)
      for (Index t = 0; t < a.length; ++t) {
        const double inverse = a.inverse_norm[(b * a.heads + h) * a.length + t];
        double mean = 0;
        for (Index x = 0; x < a.value_width; ++x) mean += at(a.dy, a.dy_strides, b, t, h, x) * at(a.y, a.y_strides, b, t, h, x);
        for (Index j = 0; j <= t; ++j) {
          const double p = weight(a, b, h, t, j) * inverse;
          double dweight = -mean * inverse;
          for (Index x = 0; x < a.value_width; ++x) {
            const double dy = at(a.dy, a.dy_strides, b, t, h, x);
            dweight += dy * at(a.v, a.v_strides, b, j, h, x) * inverse;
            at(a.dv, a.dv_strides, b, j, h, x) += p * dy;
          }
          for (Index i = 0; i < a.key_width; ++i) {
            const double q = at(a.q, a.q_strides, b, t, h, i);
            const double k = at(a.k, a.k_strides, b, j, h, i);
            at(a.dq, a.dq_strides, b, t, h, i) += dweight * feature_slope(q) * feature(k);
            at(a.dk, a.dk_strides, b, j, h, i) += dweight * feature(q) * feature_slope(k);
          }
        }
      }
}

void run(const LongConvolutionForward<double>& a) {
  for (Index b = 0; b < a.batch; ++b)
    for (Index i = 0; i < a.outputs; ++i)
      for (Index c = 0; c < a.channels; ++c) {
        const Index t = a.length - a.outputs + i;
        double y = 0;
        for (Index s = 0; s <= t; ++s) y += a.kernel[(t - s) * a.kernel_stride + c] * a.x[b * a.x_batch + s * a.x_stride + c];
        a.y[b * a.y_batch + i * a.y_stride + c] = y;
      }
}

void run(const LongConvolutionBackward<double>& a) {
  for (Index c = 0; c < a.channels; ++c) {
    for (Index j = 0; j < a.length; ++j) a.dkernel[j * a.dkernel_stride + c] = 0;
    for (Index b = 0; b < a.batch; ++b)
      for (Index s = 0; s < a.length; ++s) {
        double dx = 0;
        for (Index t = s; t < a.length; ++t) {
          const double dy = a.dy[b * a.dy_batch + t * a.dy_stride + c];
          dx += a.kernel[(t - s) * a.kernel_stride + c] * dy;
          a.dkernel[(t - s) * a.dkernel_stride + c] += a.x[b * a.x_batch + s * a.x_stride + c] * dy;
        }
        a.dx[b * a.dx_batch + s * a.dx_stride + c] = dx;
      }
  }
}

}  // namespace starling::kernels::reference
