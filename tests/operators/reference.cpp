#include "reference.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <functional>
#include <stdexcept>

namespace starling::reference {
namespace {

double silu(double x) { return x / (1.0 + std::exp(-x)); }
double gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }
double relu(double x) { return x > 0 ? x : 0; }
double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double softplus(double x) { return std::log1p(std::exp(x)); }

/// The feature, computed by `make` unless another LIV gave it.
Matrix feature(Features& features, const std::string& name, const std::function<Matrix()>& make) {
  if (!features.contains(name)) features[name] = make();
  return features.at(name);
}

/// W x, then its convolution where there are taps.
Matrix projected(const Matrix& x, const Weights& weights, const std::string& group) {
  const auto y = times_transposed(x, weights.at(group));
  return weights.contains(group + ".taps") ? convolved(y, weights.at(group + ".taps")) : y;
}

double initial_lambda(std::size_t position) { return 0.8 - 0.6 * std::exp(-0.3 * static_cast<double>(position - 1)); }

/// "B2" and "A2.down" as "B" and "A.down"; empty for what is no name of T₂.
std::string name_in_first_map(const std::string& name) {
  const auto end = std::min(name.find('.'), name.size());
  if (end == 0 || name[end - 1] != '2') return "";
  return name.substr(0, end - 1) + name.substr(end);
}

}  // namespace

Matrix rotated(const Matrix& x, std::size_t head_width) {
  Matrix y(x.rows, x.columns);
  const auto half = head_width / 2;
  for (std::size_t t = 0; t < x.rows; ++t) {
    for (std::size_t c = 0; c < x.columns; ++c) {
      const auto head = c / head_width;
      const auto i = c % head_width;
      const auto pair = i % half;
      const double angle = static_cast<double>(t) * std::pow(10000.0, -2.0 * static_cast<double>(pair) / static_cast<double>(head_width));
      const double first = x(t, head * head_width + pair);
      const double second = x(t, head * head_width + pair + half);
      y(t, c) = i < half ? first * std::cos(angle) - second * std::sin(angle) : second * std::cos(angle) + first * std::sin(angle);
    }
  }
  return y;
}

Matrix convolved(const Matrix& x, const Matrix& taps) {
  Matrix y(x.rows, x.columns);
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      if (i - j >= taps.columns) continue;
      for (std::size_t c = 0; c < x.columns; ++c) y(i, c) += taps(c, taps.columns - 1 - (i - j)) * x(j, c);
    }
  }
  return y;
}

Matrix softmax_attention(const Matrix& x, const Weights& weights, Features& features, std::size_t heads, std::size_t repeat) {
  const auto head_width = weights.at("q").rows / heads;
  const auto q = rotated(projected(x, weights, "q"), head_width);
  const auto k = feature(features, "k", [&] { return rotated(projected(x, weights, "k"), head_width); });
  const auto v = feature(features, "v", [&] { return projected(x, weights, "v"); });
  Matrix y(x.rows, q.columns);
  for (std::size_t head = 0; head < heads; ++head) {
    const auto query_channel = head * head_width;
    const auto key_channel = head / repeat * head_width;
    Matrix mixing(x.rows, x.rows);
    for (std::size_t i = 0; i < x.rows; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j <= i; ++j) {
        double score = 0;
        for (std::size_t c = 0; c < head_width; ++c) score += q(i, query_channel + c) * k(j, key_channel + c);
        mixing(i, j) = std::exp(score / std::sqrt(static_cast<double>(head_width)));
        sum += mixing(i, j);
      }
      for (std::size_t j = 0; j <= i; ++j) {
        for (std::size_t c = 0; c < head_width; ++c) y(i, query_channel + c) += mixing(i, j) / sum * v(j, key_channel + c);
      }
    }
  }
  return y;
}

Matrix linear_attention(const Matrix& x, const Weights& weights, Features& features, std::size_t heads) {
  const auto phi = [](double value) { return value > 0 ? value + 1 : std::exp(value); };
  const auto q = times_transposed(x, weights.at("q"));
  const auto k = feature(features, "k", [&] { return times_transposed(x, weights.at("k")); });
  const auto v = feature(features, "v", [&] { return times_transposed(x, weights.at("v")); });
  const auto head_width = q.columns / heads;
  Matrix y(x.rows, q.columns);
  for (std::size_t first = 0; first < q.columns; first += head_width) {
    for (std::size_t i = 0; i < x.rows; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j <= i; ++j) {
        double mixing = 0;
        for (std::size_t c = first; c < first + head_width; ++c) mixing += phi(q(i, c)) * phi(k(j, c));
        sum += mixing;
        for (std::size_t c = first; c < first + head_width; ++c) y(i, c) += mixing * v(j, c);
      }
      for (std::size_t c = first; c < first + head_width; ++c) y(i, c) /= sum;
    }
  }
  return y;
}

double differential_lambda(const Weights& weights, std::size_t position) {
  const auto& vectors = weights.at("lambda");
  const auto product = [&](std::size_t a, std::size_t b) {
    double sum = 0;
    for (std::size_t i = 0; i < vectors.columns; ++i) sum += vectors(a, i) * vectors(b, i);
    return sum;
  };
  return std::exp(product(0, 1)) - std::exp(product(2, 3)) + initial_lambda(position);
}

Matrix differential_attention(const Matrix& x, const Weights& weights, Features& features, const Setting& setting, std::size_t repeat) {
  const auto width = weights.at("q").rows / setting.heads;
  const auto half = width / 2;
  const auto q = rotated(projected(x, weights, "q"), half);
  const auto k = feature(features, "k", [&] { return rotated(projected(x, weights, "k"), half); });
  const auto v = feature(features, "v", [&] { return projected(x, weights, "v"); });
  const double lambda = differential_lambda(weights, setting.position);
  Matrix y(x.rows, q.columns);
  for (std::size_t head = 0; head < setting.heads; ++head) {
    const auto group = head / repeat;
    for (std::size_t i = 0; i < x.rows; ++i) {
      std::vector<double> row(width, 0.0);
      for (const std::size_t map : {0u, 1u}) {
        // Sub-heads that read one head of v: first those of map 0 of all its query heads.
        const auto query_channel = (2 * group * repeat + map * repeat + head % repeat) * half;
        const auto key_channel = (2 * group + map) * half;
        std::vector<double> mixing(i + 1);
        double sum = 0;
        for (std::size_t j = 0; j <= i; ++j) {
          double score = 0;
          for (std::size_t c = 0; c < half; ++c) score += q(i, query_channel + c) * k(j, key_channel + c);
          sum += mixing[j] = std::exp(score / std::sqrt(static_cast<double>(half)));
        }
        for (std::size_t j = 0; j <= i; ++j) {
          const double weight = (map == 0 ? 1.0 : -lambda) * mixing[j] / sum;
          for (std::size_t c = 0; c < width; ++c) row[c] += weight * v(j, group * width + c);
        }
      }
      double squares = 0;
      for (const double value : row) squares += value * value;
      const double scale = (1.0 - initial_lambda(setting.position)) / std::sqrt(squares / static_cast<double>(width) + 1e-5);
      for (std::size_t c = 0; c < width; ++c) y(i, head * width + c) = scale * row[c];
    }
  }
  return y;
}

Matrix differential(const Weights& weights, Features& features, std::size_t position,
                    const std::function<Matrix(const Weights&, Features&)>& base) {
  const auto second = [](const auto& all) {
    auto renamed = all;
    for (const auto& [name, value] : all) {
      if (const auto first = name_in_first_map(name); !first.empty()) renamed[first] = value;
    }
    return renamed;
  };
  // What belongs to no map (v) is the same in both.
  const auto modulates = [&](const std::string& name) {
    return features.contains(name + "2") || std::any_of(weights.begin(), weights.end(), [&](const auto& weight) {
             return weight.first == name + "2" || weight.first.starts_with(name + "2.");
           });
  };
  auto others = features;
  for (const auto& [name, value] : features) {
    if (modulates(name)) others.erase(name);
  }
  others = second(others);
  auto y = base(weights, features);
  const auto subtracted = base(second(weights), others);
  for (const auto& [name, value] : others) {
    if (modulates(name)) features[name + "2"] = value;
  }
  const double lambda = differential_lambda(weights, position);
  for (std::size_t i = 0; i < y.values.size(); ++i) y.values[i] -= lambda * subtracted.values[i];
  return y;
}

Matrix selective_state_space(const Matrix& x, const Weights& weights, Features& features) {
  const auto v = feature(features, "v", [&] {
    auto y = projected(x, weights, "v");
    for (auto& value : y.values) value = silu(value);
    return y;
  });
  const auto z = feature(features, "z", [&] { return times_transposed(x, weights.at("z")); });
  const auto b = feature(features, "B", [&] { return times_transposed(v, weights.at("B")); });
  const auto c = feature(features, "C", [&] { return times_transposed(v, weights.at("C")); });
  auto step = times_transposed(times_transposed(v, weights.at("A.down")), weights.at("A.up"));
  for (std::size_t t = 0; t < step.rows; ++t) {
    for (std::size_t channel = 0; channel < step.columns; ++channel) {
      step(t, channel) = softplus(step(t, channel) + weights.at("A.bias").values[channel]);
    }
  }
  const auto& a_log = weights.at("A.log");
  Matrix y(x.rows, v.columns);
  for (std::size_t channel = 0; channel < v.columns; ++channel) {
    // T_ij = Σ_n C_i (Π_{j < s ≤ i} exp(Δ_s A)) Δ_j B_j, and D on the diagonal.
    for (std::size_t i = 0; i < x.rows; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        double mixing = i == j ? weights.at("D").values[channel] : 0.0;
        for (std::size_t n = 0; n < a_log.columns; ++n) {
          double decay = 1;
          for (std::size_t s = j + 1; s <= i; ++s) decay *= std::exp(-step(s, channel) * std::exp(a_log(channel, n)));
          mixing += c(i, n) * decay * step(j, channel) * b(j, n);
        }
        y(i, channel) += mixing * v(j, channel);
      }
      y(i, channel) *= silu(z(i, channel));
    }
  }
  return y;
}

Matrix gated_recurrence(const Matrix& x, const Weights& weights, Features& features) {
  const auto v = feature(features, "v", [&] { return times_transposed(x, weights.at("v")); });
  const auto b = feature(features, "B", [&] { return times_transposed(x, weights.at("B")); });
  const auto c = feature(features, "C", [&] { return times_transposed(x, weights.at("C")); });
  auto a = times_transposed(x, weights.at("A"));
  for (std::size_t t = 0; t < a.rows; ++t) {
    for (std::size_t i = 0; i < a.columns; ++i) a(t, i) = sigmoid(a(t, i) + weights.at("A.bias").values[i]);
  }
  Matrix y(x.rows, v.columns);
  for (std::size_t channel = 0; channel < v.columns; ++channel) {
    // T_ij = Σ_n C_i (Π_{j < s ≤ i} a_s) (1 − a_j) B_j.
    for (std::size_t i = 0; i < x.rows; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        double mixing = 0;
        for (std::size_t n = 0; n < b.columns; ++n) {
          const auto state = n * v.columns + channel;
          double decay = 1;
          for (std::size_t s = j + 1; s <= i; ++s) decay *= a(s, state);
          mixing += c(i, n) * decay * (1.0 - a(j, state)) * b(j, n);
        }
        y(i, channel) += mixing * v(j, channel);
      }
    }
  }
  return y;
}

Matrix gated_convolution(const Matrix& x, const Weights& weights, Features& features) {
  const auto v = times_transposed(x, weights.at("v"));
  const auto b = feature(features, "B", [&] { return times_transposed(x, weights.at("B")); });
  const auto c = feature(features, "C", [&] { return times_transposed(x, weights.at("C")); });
  const auto& taps = weights.at("K");
  Matrix y(x.rows, v.columns);
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t lag = 0; lag < taps.columns && lag <= i; ++lag) {
      const auto j = i - lag;
      for (std::size_t channel = 0; channel < v.columns; ++channel) {
        y(i, channel) += c(i, channel) * taps(channel, taps.columns - 1 - lag) * b(j, channel) * v(j, channel);
      }
    }
  }
  return y;
}

Matrix implicit_kernel(const Weights& weights, std::size_t kernel_length) {
  Matrix hidden(kernel_length, 9);
  for (std::size_t t = 0; t < kernel_length; ++t) {
    const double time = static_cast<double>(t) / static_cast<double>(kernel_length);
    hidden(t, 0) = time;
    for (std::size_t k = 1; k <= 4; ++k) {
      hidden(t, k) = std::cos(2 * std::acos(-1.0) * static_cast<double>(k) * time);
      hidden(t, 4 + k) = std::sin(2 * std::acos(-1.0) * static_cast<double>(k) * time);
    }
  }
  for (const std::string layer : {"K.1", "K.2", "K.3"}) {
    hidden = times_transposed(hidden, weights.at(layer));
    for (std::size_t t = 0; t < hidden.rows; ++t) {
      for (std::size_t i = 0; i < hidden.columns; ++i) hidden(t, i) = std::sin(hidden(t, i) + weights.at(layer + ".bias").values[i]);
    }
  }
  auto kernel = times_transposed(hidden, weights.at("K.out"));
  for (std::size_t channel = 0; channel < kernel.columns; ++channel) {
    const double place = static_cast<double>(channel) / static_cast<double>(kernel.columns - 1);
    const double decay = std::log(100.0) * ((1 - place) / 1.5 + place / 0.3);
    for (std::size_t lag = 0; lag < kernel_length; ++lag) {
      kernel(lag, channel) *= std::exp(-decay * static_cast<double>(lag) / static_cast<double>(kernel_length));
    }
  }
  return kernel;
}

Matrix implicit_convolution(const Matrix& x, const Weights& weights, Features& features, std::size_t kernel_length) {
  const auto v = times_transposed(x, weights.at("v"));
  const auto b = feature(features, "B", [&] { return times_transposed(x, weights.at("B")); });
  const auto c = feature(features, "C", [&] { return times_transposed(x, weights.at("C")); });
  const auto kernel = implicit_kernel(weights, kernel_length);
  Matrix y(x.rows, v.columns);
  for (std::size_t channel = 0; channel < v.columns; ++channel) {
    for (std::size_t i = 0; i < x.rows; ++i) {
      for (std::size_t lag = 0; lag < kernel_length && lag <= i; ++lag) {
        y(i, channel) += c(i, channel) * kernel(lag, channel) * b(i - lag, channel) * v(i - lag, channel);
      }
    }
  }
  return y;
}

Matrix state_space(const Matrix& x, const Weights& weights, Features& features) {
  using Complex = std::complex<double>;
  const auto number = [](const Matrix& both, std::size_t n, std::size_t channel) {
    return Complex(both(n, channel), both(both.rows / 2 + n, channel));
  };
  const auto v = feature(features, "v", [&] { return through(x, weights, "v"); });
  const auto z = feature(features, "z", [&] { return through(x, weights, "z"); });
  const auto b = feature(features, "B", [&] { return weights.at("B"); });
  const auto c = feature(features, "C", [&] { return weights.at("C"); });
  const bool liquid = weights.contains("A.liquid");
  Matrix y(x.rows, v.columns);
  for (std::size_t channel = 0; channel < v.columns; ++channel) {
    const double step = std::exp(weights.at("A.step").values[channel]);
    for (std::size_t i = 0; i < x.rows; ++i) y(i, channel) = weights.at("D").values[channel] * v(i, channel);
    // T_ij = 2 Re Σ_n C_n (Π_{j < s ≤ i} a_s) (Ā_n − 1) / A_n B_n, and D on the diagonal.
    for (std::size_t n = 0; n < b.rows / 2; ++n) {
      const Complex a(-std::exp(weights.at("A.log")(n, channel)), weights.at("A.imaginary")(n, channel));
      const Complex decay = std::exp(step * a);
      const Complex input = (decay - 1.0) / a * number(b, n, channel);
      Complex bend = 0;
      if (liquid) {
        const auto raw = number(weights.at("A.liquid"), n, channel);
        bend = (1 - std::abs(decay)) * raw / std::sqrt(1 + std::norm(raw));
      }
      for (std::size_t j = 0; j < x.rows; ++j) {
        Complex kept = 1;
        for (std::size_t i = j; i < x.rows; ++i) {
          if (i > j) kept *= decay + bend * std::tanh(v(i, channel));
          y(i, channel) += 2 * (number(c, n, channel) * kept * input).real() * v(j, channel);
        }
      }
    }
    for (std::size_t i = 0; i < x.rows; ++i) y(i, channel) *= silu(z(i, channel));
  }
  return y;
}

Matrix gated_memoryless(const Matrix& x, const Weights& weights, Features& features, double (*activation)(double)) {
  const auto gate = feature(features, "gate", [&] { return times_transposed(x, weights.at("gate")); });
  auto y = times_transposed(x, weights.at("value"));
  for (std::size_t i = 0; i < y.values.size(); ++i) y.values[i] *= activation(gate.values[i]);
  return y;
}

Matrix mixed(const std::string& class_name, const Matrix& x, const Weights& weights, Features& features, const Setting& setting) {
  if (class_name == "SA-1" || class_name == "SA-5") return softmax_attention(x, weights, features, setting.heads, 1);
  if (class_name == "SA-2") return linear_attention(x, weights, features, setting.heads);
  if (class_name == "SA-4") return softmax_attention(x, weights, features, setting.heads, 2);
  if (class_name == "SA-3") return softmax_attention(x, weights, features, setting.heads, 4);
  if (class_name == "Rec-1") return selective_state_space(x, weights, features);
  if (class_name == "Rec-2") return gated_recurrence(x, weights, features);
  if (class_name == "GConv-1") return gated_convolution(x, weights, features);
  if (class_name == "GConv-2") return implicit_convolution(x, weights, features, setting.length);
  if (class_name == "S4-1" || class_name == "S4-2" || class_name == "S4-Monarch") return state_space(x, weights, features);
  if (class_name == "GMemless") return gated_memoryless(x, weights, features, silu);
  if (class_name == "GMemless-2") return gated_memoryless(x, weights, features, gelu);
  if (class_name == "GMemless-3") return gated_memoryless(x, weights, features, relu);
  if (class_name == "SA-1-Diff" || class_name == "SA-5-Diff") return differential_attention(x, weights, features, setting, 1);
  if (class_name == "SA-3-Diff") return differential_attention(x, weights, features, setting, 4);
  if (class_name == "SA-4-Diff") return differential_attention(x, weights, features, setting, 2);
  if (class_name.ends_with("-Diff")) {
    const auto base = [&](const Weights& of_map, Features& shared) {
      const auto name = class_name.substr(0, class_name.size() - 5);
      return mixed(name == "S4" ? "S4-1" : name, x, of_map, shared, setting);
    };
    return differential(weights, features, setting.position, base);
  }
  throw std::invalid_argument("class " + class_name + " has no reference");
}

Matrix through(const Matrix& x, const Weights& weights, const std::string& name) {
  if (!weights.contains(name + ".right")) return times_transposed(x, weights.at(name));
  const auto& right = weights.at(name + ".right");
  const auto& left = weights.at(name + ".left");
  const auto block = right.columns;
  const auto blocks = right.rows / block;
  const auto block_outputs = left.rows / block;
  // Pᵀ L P R as one matrix: the entry of output (o, k) and input (β, j), o and β slow.
  Matrix dense(block_outputs * block, blocks * block);
  for (std::size_t o = 0; o < block_outputs; ++o) {
    for (std::size_t k = 0; k < block; ++k) {
      for (std::size_t beta = 0; beta < blocks; ++beta) {
        for (std::size_t j = 0; j < block; ++j) {
          dense(o * block + k, beta * block + j) = left(k * block_outputs + o, beta) * right(beta * block + k, j);
        }
      }
    }
  }
  return times_transposed(x, dense);
}

Matrix rms_norm(const Matrix& x, const Matrix& weight) {
  Matrix y(x.rows, x.columns);
  for (std::size_t i = 0; i < x.rows; ++i) {
    double squares = 0;
    for (std::size_t c = 0; c < x.columns; ++c) squares += x(i, c) * x(i, c);
    for (std::size_t c = 0; c < x.columns; ++c) {
      y(i, c) = x(i, c) / std::sqrt(squares / static_cast<double>(x.columns) + 1e-5) * weight.values[c];
    }
  }
  return y;
}

}  // namespace starling::reference
