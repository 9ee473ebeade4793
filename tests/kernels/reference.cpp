#include "reference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace starling::kernels::reference {
namespace {

using Index = std::int64_t;
using Numbers = std::vector<double>;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
double silu(double x) { return x * sigmoid(x); }
double silu_slope(double x) { return sigmoid(x) * (1 + x * (1 - sigmoid(x))); }
double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double normal_density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0)); }

double activation(Gate gate, double x) {
  switch (gate) {
    case Gate::silu:
      return silu(x);
    case Gate::gelu:
      return x * normal_cdf(x);
    case Gate::relu:
      return x <= 0 ? 0 : x;
    case Gate::identity:
      return x;
  }
  return 0;
}

double activation_slope(Gate gate, double x) {
  switch (gate) {
    case Gate::silu:
      return silu_slope(x);
    case Gate::gelu:
      return normal_cdf(x) + x * normal_density(x);
    case Gate::relu:
      return x <= 0 ? 0 : 1;
    case Gate::identity:
      return 1;
  }
  return 0;
}

/// Input t of a short convolution, where t may be negative.
double conv_input(const double* x, const double* initial, Index batch, Index length, Index channels, Index taps, Index stride, Index t,
                  Index c) {
  if (t >= 0) return x[(batch * length + t) * stride + c];
  return initial ? initial[(batch * (taps - 1) + taps - 1 + t) * channels + c] : 0;
}

template <class Arguments>
double conv_sum(const Arguments& a, Index batch, Index t, Index c) {
  double s = 0;
  for (Index j = 0; j < a.taps; ++j)
    s += a.weight[c * a.taps + j] * conv_input(a.x, a.initial, batch, a.length, a.channels, a.taps, a.x_stride, t - (a.taps - 1) + j, c);
  return s;
}

template <class Arguments>
bool visible(const Arguments& a, Index i, Index j) {
  const Index last = a.keys - a.queries + i;
  if (a.block > 0 && j / a.block != last / a.block) return false;
  return j <= last && (a.window == 0 || j > last - a.window);
}

template <class Arguments>
double score(const Arguments& a, Index batch, Index h, Index i, Index j) {
  const double* q = a.q + batch * a.q_strides.batch + i * a.q_strides.token + h * a.q_strides.head;
  const double* k = a.k + batch * a.k_strides.batch + j * a.k_strides.token + h / (a.heads / a.key_heads) * a.k_strides.head;
  double dot = 0;
  for (Index x = 0; x < a.key_width; ++x) dot += q[x] * k[x];
  return dot * a.scale;
}

Gate activation_of(AttentionScore score) {
  if (score == AttentionScore::relu) return Gate::relu;
  if (score == AttentionScore::silu) return Gate::silu;
  return score == AttentionScore::gelu ? Gate::gelu : Gate::identity;
}

/// Weights of one query, and what the backward pass needs to know of their normaliser.
template <class Arguments>
double weights(const Arguments& a, Index batch, Index h, Index i, Numbers& p) {
  p.assign(static_cast<std::size_t>(a.keys), 0);
  double top = -std::numeric_limits<double>::infinity();
  double seen = 0;
  for (Index j = 0; j < a.keys; ++j) {
    if (!visible(a, i, j)) continue;
    top = std::max(top, score(a, batch, h, i, j));
    ++seen;
  }
  double total = 0;
  for (Index j = 0; j < a.keys; ++j) {
    if (!visible(a, i, j)) continue;
    const double s = score(a, batch, h, i, j);
    total += p[static_cast<std::size_t>(j)] =
        a.score == AttentionScore::softmax ? std::exp(s - top) : activation(activation_of(a.score), s);
  }
  if (a.score != AttentionScore::softmax && a.score != AttentionScore::linear) total = seen;
  for (double& weight : p) weight /= total;
  return a.score == AttentionScore::softmax ? top + std::log(total) : 1 / total;
}

/// Gradients of the scores of one query, of the gradients of its weights.
Numbers score_gradients(const AttentionBackward<double>& a, Index batch, Index h, Index i, const Numbers& p, const Numbers& dp, double mean,
                        double normaliser) {
  Numbers ds(p.size(), 0);
  for (Index j = 0; j < a.keys; ++j) {
    if (!visible(a, i, j)) continue;
    const auto at = static_cast<std::size_t>(j);
    if (a.score == AttentionScore::softmax) {
      ds[at] = p[at] * (dp[at] - mean);
    } else if (a.score == AttentionScore::linear) {
      ds[at] = normaliser * (dp[at] - mean);
    } else {
      ds[at] = normaliser * activation_slope(activation_of(a.score), score(a, batch, h, i, j)) * dp[at];
    }
  }
  return ds;
}

void zero_heads(double* to, const HeadStrides& s, Index batches, Index tokens, Index heads, Index width) {
  for (Index b = 0; b < batches; ++b)
    for (Index t = 0; t < tokens; ++t)
      for (Index h = 0; h < heads; ++h)
        for (Index x = 0; x < width; ++x) to[b * s.batch + t * s.token + h * s.head + x] = 0;
}

}  // namespace

void run(const RmsNormForward<double>& a) {
  for (Index r = 0; r < a.rows; ++r) {
    double squares = 0;
    for (Index i = 0; i < a.width; ++i) squares += a.x[r * a.width + i] * a.x[r * a.width + i];
    const double inverse = 1 / std::sqrt(squares / static_cast<double>(a.width) + a.epsilon);
    if (a.inverse_rms) a.inverse_rms[r] = inverse;
    for (Index i = 0; i < a.width; ++i) a.y[r * a.width + i] = a.x[r * a.width + i] * inverse * a.weight[i];
  }
}

void run(const RmsNormBackward<double>& a) {
  for (Index r = 0; r < a.rows; ++r) {
    const double inverse = a.inverse_rms[r];
    double mean = 0;
    for (Index i = 0; i < a.width; ++i) mean += a.dy[r * a.width + i] * a.weight[i] * a.x[r * a.width + i] / static_cast<double>(a.width);
    for (Index i = 0; i < a.width; ++i) {
      const double x = a.x[r * a.width + i];
      if (a.dweight) a.dweight[i] += a.dy[r * a.width + i] * x * inverse;
      a.dx[r * a.width + i] = inverse * (a.dy[r * a.width + i] * a.weight[i] - x * inverse * inverse * mean);
    }
  }
}

void run(const GatedUnitForward<double>& a) {
  for (Index r = 0; r < a.rows; ++r)
    for (Index i = 0; i < a.width; ++i)
      a.y[r * a.y_stride + i] = activation(a.activation, a.gate[r * a.gate_stride + i]) * a.value[r * a.value_stride + i];
}

void run(const GatedUnitBackward<double>& a) {
  for (Index r = 0; r < a.rows; ++r)
    for (Index i = 0; i < a.width; ++i) {
      const double gate = a.gate[r * a.gate_stride + i];
      const double value = a.value[r * a.value_stride + i];
      const double dy = a.dy[r * a.dy_stride + i];
      a.dgate[r * a.dgate_stride + i] = dy * value * activation_slope(a.activation, gate);
      a.dvalue[r * a.dvalue_stride + i] = dy * activation(a.activation, gate);
    }
}

void run(const ShortConvForward<double>& a) {
  Numbers final;
  for (Index b = 0; b < a.batch; ++b)
    for (Index t = a.length - (a.taps - 1); t < a.length; ++t)
      for (Index c = 0; c < a.channels; ++c) final.push_back(conv_input(a.x, a.initial, b, a.length, a.channels, a.taps, a.x_stride, t, c));
  for (Index b = 0; b < a.batch; ++b)
    for (Index t = 0; t < a.length; ++t)
      for (Index c = 0; c < a.channels; ++c) {
        const double s = conv_sum(a, b, t, c);
        a.y[(b * a.length + t) * a.y_stride + c] = a.activation == ShortConvActivation::silu ? silu(s) : s;
      }
  if (a.final) std::copy(final.begin(), final.end(), a.final);
}

void run(const ShortConvBackward<double>& a) {
  for (Index b = 0; b < a.batch; ++b)
    for (Index t = 0; t < a.length; ++t)
      for (Index c = 0; c < a.channels; ++c) a.dx[(b * a.length + t) * a.dx_stride + c] = 0;
  for (Index b = 0; b < a.batch; ++b)
    for (Index t = 0; t < a.length; ++t)
      for (Index c = 0; c < a.channels; ++c) {
        double ds = a.dy[(b * a.length + t) * a.dy_stride + c];
        if (a.activation == ShortConvActivation::silu) ds *= silu_slope(conv_sum(a, b, t, c));
        for (Index j = 0; j < a.taps; ++j) {
          const Index from = t - (a.taps - 1) + j;
          a.dweight[c * a.taps + j] += ds * conv_input(a.x, a.initial, b, a.length, a.channels, a.taps, a.x_stride, from, c);
          if (from >= 0) a.dx[(b * a.length + from) * a.dx_stride + c] += ds * a.weight[c * a.taps + j];
        }
      }
}

void run(const SelectiveScanForward<double>& a) {
  const Index chunks = (a.length + scan_chunk - 1) / scan_chunk;
  for (Index b = 0; b < a.batch; ++b)
    for (Index c = 0; c < a.width; ++c) {
      Numbers h(static_cast<std::size_t>(a.states));
      for (Index s = 0; s < a.states; ++s) h[s] = a.initial ? a.initial[(b * a.width + c) * a.states + s] : 0;
      for (Index t = 0; t < a.length; ++t) {
        const Index token = b * a.length + t;
        if (a.checkpoints && t % scan_chunk == 0)
          for (Index s = 0; s < a.states; ++s) a.checkpoints[((b * chunks + t / scan_chunk) * a.states + s) * a.width + c] = h[s];
        const double step = softplus(a.delta[token * a.delta_stride + c] + (a.bias ? a.bias[c] : 0));
        const double v = a.v[token * a.v_stride + c];
        double y = a.skip ? a.skip[c] * v : 0;
        for (Index s = 0; s < a.states; ++s) {
          h[s] = std::exp(-step * std::exp(a.a_log[c * a.states + s])) * h[s] + step * a.b[token * a.b_stride + s] * v;
          y += a.c[token * a.c_stride + s] * h[s];
        }
        a.y[token * a.y_stride + c] = a.z ? y * silu(a.z[token * a.z_stride + c]) : y;
      }
      if (a.final)
        for (Index s = 0; s < a.states; ++s) a.final[(b * a.width + c) * a.states + s] = h[s];
    }
}

void run(const SelectiveScanBackward<double>& a) {
  const Index chunks = (a.length + scan_chunk - 1) / scan_chunk;
  for (Index token = 0; token < a.batch * a.length; ++token)
    for (Index s = 0; s < a.states; ++s) a.db[token * a.db_stride + s] = a.dc[token * a.dc_stride + s] = 0;
  for (Index b = 0; b < a.batch; ++b)
    for (Index c = 0; c < a.width; ++c) {
      const double skip = a.skip ? a.skip[c] : 0;
      // States of the whole sequence: [t] before token t.
      std::vector<Numbers> h(static_cast<std::size_t>(a.length + 1), Numbers(static_cast<std::size_t>(a.states)));
      for (Index s = 0; s < a.states; ++s) h[0][s] = a.checkpoints[(b * chunks * a.states + s) * a.width + c];
      const auto step_of = [&](Index t) { return softplus(a.delta[(b * a.length + t) * a.delta_stride + c] + (a.bias ? a.bias[c] : 0)); };
      for (Index t = 0; t < a.length; ++t)
        for (Index s = 0; s < a.states; ++s)
          h[t + 1][s] = std::exp(-step_of(t) * std::exp(a.a_log[c * a.states + s])) * h[t][s] +
                        step_of(t) * a.b[(b * a.length + t) * a.b_stride + s] * a.v[(b * a.length + t) * a.v_stride + c];
      Numbers g(static_cast<std::size_t>(a.states));
      for (Index t = a.length - 1; t >= 0; --t) {
        const Index token = b * a.length + t;
        const double step = step_of(t);
        const double v = a.v[token * a.v_stride + c];
        const double dy = a.dy[token * a.dy_stride + c];
        const double z = a.z ? a.z[token * a.z_stride + c] : 0;
        const double u = a.z ? dy * silu(z) : dy;
        double y = skip * v;
        double dv = skip * u;
        double dstep = 0;
        for (Index s = 0; s < a.states; ++s) {
          const double decay = -std::exp(a.a_log[c * a.states + s]);
          const double factor = std::exp(step * decay);
          const double b_s = a.b[token * a.b_stride + s];
          const double c_s = a.c[token * a.c_stride + s];
          y += c_s * h[t + 1][s];
          g[s] += c_s * u;
          a.dc[token * a.dc_stride + s] += u * h[t + 1][s];
          a.db[token * a.db_stride + s] += g[s] * step * v;
          dv += g[s] * step * b_s;
          dstep += g[s] * (decay * factor * h[t][s] + b_s * v);
          a.da_log[c * a.states + s] += g[s] * step * factor * h[t][s] * decay;
          g[s] *= factor;
        }
        if (a.z) a.dz[token * a.dz_stride + c] = dy * y * silu_slope(z);
        if (a.dskip) a.dskip[c] += u * v;
        a.dv[token * a.dv_stride + c] = dv;
        const double raw = a.delta[token * a.delta_stride + c] + (a.bias ? a.bias[c] : 0);
        a.ddelta[token * a.ddelta_stride + c] = dstep * sigmoid(raw);
        if (a.dbias) a.dbias[c] += dstep * sigmoid(raw);
      }
    }
}

void run(const Rope<double>& a) {
  const Index half = a.head_width / 2;
  for (Index b = 0; b < a.batch; ++b)
    for (Index t = 0; t < a.length; ++t)
      for (Index h = 0; h < a.heads; ++h)
        for (Index i = 0; i < half; ++i) {
          const double* x = a.x + b * a.x_batch_stride + t * a.x_token_stride + h * a.x_head_stride;
          double* y = a.y + b * a.y_batch_stride + t * a.y_token_stride + h * a.y_head_stride;
          const double c = a.cosine[t * half + i];
          const double s = a.inverse ? -a.sine[t * half + i] : a.sine[t * half + i];
          const double first = x[i];
          const double second = x[half + i];
          y[i] = first * c - second * s;
          y[half + i] = second * c + first * s;
        }
}

void run(const CrossEntropy<double>& a) {
  CrossEntropySums sums;
  for (Index r = 0; r < a.rows; ++r) {
    const double* row = a.logits + r * a.logits_stride;
    const Index argmax = std::max_element(row, row + a.vocabulary) - row;
    const bool counted = a.targets[r] != ignored_target;
    double total = 0;
    for (Index v = 0; v < a.vocabulary; ++v) total += std::exp(row[v] - row[argmax]);
    const double loss = counted ? std::log(total) + row[argmax] - row[a.targets[r]] : 0;
    if (a.predictions) a.predictions[r] = argmax;
    if (a.losses) a.losses[r] = loss;
    if (a.dlogits)
      for (Index v = 0; v < a.vocabulary; ++v)
        a.dlogits[r * a.dlogits_stride + v] =
            counted ? a.gradient_scale * (std::exp(row[v] - row[argmax]) / total - (v == a.targets[r] ? 1 : 0)) : 0;
    sums.loss += loss;
    sums.count += counted;
    sums.correct += counted && argmax == a.targets[r];
  }
  *a.sums = sums;
}

void run(const AttentionForward<double>& a) {
  Numbers p;
  for (Index b = 0; b < a.batch; ++b)
    for (Index h = 0; h < a.heads; ++h)
      for (Index i = 0; i < a.queries; ++i) {
        const double normaliser = weights(a, b, h, i, p);
        if (a.normaliser) a.normaliser[(b * a.heads + h) * a.queries + i] = normaliser;
        const double* v = a.v + b * a.v_strides.batch + h / (a.heads / a.value_heads) * a.v_strides.head;
        double* out = a.out + b * a.out_strides.batch + i * a.out_strides.token + h * a.out_strides.head;
        for (Index x = 0; x < a.value_width; ++x) {
          out[x] = 0;
          for (Index j = 0; j < a.keys; ++j)
            if (visible(a, i, j)) out[x] += p[j] * v[j * a.v_strides.token + x];
        }
      }
}

void run(const AttentionBackward<double>& a) {
  zero_heads(a.dq, a.dq_strides, a.batch, a.queries, a.heads, a.key_width);
  zero_heads(a.dk, a.dk_strides, a.batch, a.keys, a.key_heads, a.key_width);
  zero_heads(a.dv, a.dv_strides, a.batch, a.keys, a.value_heads, a.value_width);
  Numbers p;
  for (Index b = 0; b < a.batch; ++b)
    for (Index h = 0; h < a.heads; ++h)
      for (Index i = 0; i < a.queries; ++i) {
        const double normaliser = weights(a, b, h, i, p);
        const Index hk = h / (a.heads / a.key_heads);
        const Index hv = h / (a.heads / a.value_heads);
        const double* dout = a.dout + b * a.dout_strides.batch + i * a.dout_strides.token + h * a.dout_strides.head;
        Numbers dp(p.size());
        double mean = 0;
        for (Index j = 0; j < a.keys; ++j) {
          for (Index x = 0; x < a.value_width; ++x) {
            dp[j] += dout[x] * a.v[b * a.v_strides.batch + j * a.v_strides.token + hv * a.v_strides.head + x];
            a.dv[b * a.dv_strides.batch + j * a.dv_strides.token + hv * a.dv_strides.head + x] += p[j] * dout[x];
          }
          mean += p[j] * dp[j];
        }
        const Numbers ds = score_gradients(a, b, h, i, p, dp, mean, normaliser);
        for (Index j = 0; j < a.keys; ++j)
          for (Index x = 0; x < a.key_width; ++x) {
            a.dq[b * a.dq_strides.batch + i * a.dq_strides.token + h * a.dq_strides.head + x] +=
                a.scale * ds[j] * a.k[b * a.k_strides.batch + j * a.k_strides.token + hk * a.k_strides.head + x];
            a.dk[b * a.dk_strides.batch + j * a.dk_strides.token + hk * a.dk_strides.head + x] +=
                a.scale * ds[j] * a.q[b * a.q_strides.batch + i * a.q_strides.token + h * a.q_strides.head + x];
          }
      }
}

void run(const AdamW<double>& a) {
  for (Index i = 0; i < a.count; ++i) {
    const double g = a.gradient[i] * a.gradient_scale;
    a.first[i] = a.beta1 * a.first[i] + (1 - a.beta1) * g;
    a.second[i] = a.beta2 * a.second[i] + (1 - a.beta2) * g * g;
    const double m = a.first[i] / (1 - std::pow(a.beta1, static_cast<double>(a.step)));
    const double v = a.second[i] / (1 - std::pow(a.beta2, static_cast<double>(a.step)));
    a.parameter[i] = a.parameter[i] * (1 - a.learning_rate * a.weight_decay) - a.learning_rate * m / (std::sqrt(v) + a.epsilon);
  }
}

void run(const DiagonalScanForward<double>& a) {
  for (Index b = 0; b < a.batch; ++b)
    for (Index c = 0; c < a.channels; ++c) {
      double h = a.initial ? a.initial[b * a.channels + c] : 0;
      for (Index t = 0; t < a.length; ++t) {
        const Index at = (b * a.length + t) * a.channels + c;
        a.h[at] = h = a.a[at] * h + a.b[at];
      }
      if (a.final) a.final[b * a.channels + c] = h;
    }
}

void run(const DiagonalScanBackward<double>& a) {
  for (Index b = 0; b < a.batch; ++b)
    for (Index c = 0; c < a.channels; ++c) {
      double carried = 0;
      for (Index t = a.length - 1; t >= 0; --t) {
        const Index at = (b * a.length + t) * a.channels + c;
        const double before = t > 0 ? a.h[at - a.channels] : a.initial ? a.initial[b * a.channels + c] : 0;
        const double g = a.dh[at] + carried;
        carried = g * a.a[at];
        a.db[at] = g;
        a.da[at] = g * before;
      }
      if (a.dinitial) a.dinitial[b * a.channels + c] = carried;
    }
}

void run(const GatedScanForward<double>& a) {
  for (Index batch = 0; batch < a.batch; ++batch)
    for (Index c = 0; c < a.width; ++c) {
      std::vector<double> h(static_cast<std::size_t>(a.states), 0.0);
      for (Index n = 0; n < a.states; ++n)
        if (a.initial) h[n] = a.initial[(batch * a.states + n) * a.width + c];
      for (Index t = 0; t < a.length; ++t) {
        const Index token = batch * a.length + t;
        double y = 0;
        for (Index n = 0; n < a.states; ++n) {
          const Index chunks = (a.length + gated_scan_chunk - 1) / gated_scan_chunk;
          if (a.checkpoints && t % gated_scan_chunk == 0)
            a.checkpoints[((batch * chunks + t / gated_scan_chunk) * a.states + n) * a.width + c] = h[n];
          const double decay = 1 / (1 + std::exp(-a.gate[token * a.gate_stride + n * a.width + c] - a.bias[n * a.width + c]));
          h[n] = decay * h[n] + (1 - decay) * a.b[token * a.b_stride + n] * a.v[token * a.v_stride + c];
          y += a.c[token * a.c_stride + n] * h[n];
        }
        a.y[token * a.y_stride + c] = y;
      }
      for (Index n = 0; n < a.states; ++n)
        if (a.final) a.final[(batch * a.states + n) * a.width + c] = h[n];
    }
}

void run(const GatedScanBackward<double>& a) {
  const Index chunks = (a.length + gated_scan_chunk - 1) / gated_scan_chunk;
  for (Index token = 0; token < a.batch * a.length; ++token) {
    for (Index n = 0; n < a.states; ++n) a.db[token * a.db_stride + n] = a.dc[token * a.dc_stride + n] = 0;
    for (Index c = 0; c < a.width; ++c) a.dv[token * a.dv_stride + c] = 0;
  }
  for (Index batch = 0; batch < a.batch; ++batch)
    for (Index n = 0; n < a.states; ++n)
      for (Index c = 0; c < a.width; ++c) {
        std::vector<double> h{a.checkpoints[(batch * chunks * a.states + n) * a.width + c]}, decay;
        for (Index t = 0; t < a.length; ++t) {
          const Index token = batch * a.length + t;
          decay.push_back(1 / (1 + std::exp(-a.gate[token * a.gate_stride + n * a.width + c] - a.bias[n * a.width + c])));
          h.push_back(decay[t] * h[t] + (1 - decay[t]) * a.b[token * a.b_stride + n] * a.v[token * a.v_stride + c]);
        }
        double carried = 0;
        for (Index t = a.length - 1; t >= 0; --t) {
          const Index token = batch * a.length + t;
          const double b = a.b[token * a.b_stride + n], v = a.v[token * a.v_stride + c], dy = a.dy[token * a.dy_stride + c];
          const double g = a.c[token * a.c_stride + n] * dy + carried;
          carried = decay[t] * g;
          const double dgate = decay[t] * (1 - decay[t]) * g * (h[t] - b * v);
          a.dgate[token * a.dgate_stride + n * a.width + c] = dgate;
          a.dbias[n * a.width + c] += dgate;
          a.dv[token * a.dv_stride + c] += (1 - decay[t]) * g * b;
          a.db[token * a.db_stride + n] += (1 - decay[t]) * g * v;
          a.dc[token * a.dc_stride + n] += dy * h[t + 1];
        }
      }
}

}  // namespace starling::kernels::reference
