#include "support.hpp"

namespace starling::kernels {
namespace {

class Attention : public AtEachLevel {};

struct Shape {
  std::int64_t batch;
  std::int64_t heads;
  std::int64_t key_heads;
  std::int64_t value_heads;
  std::int64_t queries;
  std::int64_t keys;
  std::int64_t key_width;
  std::int64_t value_width;
  std::int64_t window = 0;
  std::int64_t block = 0;
  AttentionScore score = AttentionScore::softmax;
};

/// Rows with a gap between heads, as in a slice of a joint projection.
HeadStrides gapped(std::int64_t tokens, std::int64_t heads, std::int64_t width) {
  return {tokens * heads * (width + 3), heads * (width + 3), width + 3};
}

template <class T, class Engine>
Arrays run_case(const Shape& s, const Arrays& in, Engine engine, bool rounds_out = false) {
  const auto q = as<T>(in.at("q")), k = as<T>(in.at("k")), v = as<T>(in.at("v")), dout = as<T>(in.at("dout"));
  std::vector<T> out = zeros_like(dout), dq = zeros_like(q), dk = zeros_like(k), dv = zeros_like(v);
  std::vector<Compute<T>> lse(s.batch * s.heads * s.queries);
  const HeadStrides of_q = gapped(s.queries, s.heads, s.key_width), of_k = gapped(s.keys, s.key_heads, s.key_width),
                    of_v = gapped(s.keys, s.value_heads, s.value_width), of_out = gapped(s.queries, s.heads, s.value_width);
  const auto scale = static_cast<Compute<T>>(1 / std::sqrt(static_cast<double>(s.key_width)));
  engine(AttentionForward<T>{q.data(), k.data(),    v.data(),      out.data(), lse.data(),  of_q,          of_k,
                             of_v,     of_out,      s.batch,       s.heads,    s.key_heads, s.value_heads, s.queries,
                             s.keys,   s.key_width, s.value_width, s.window,   scale,       s.score,       s.block});
  if (rounds_out) round_in_place(out);
  engine(AttentionBackward<T>{q.data(),      k.data(), v.data(), out.data(),  lse.data(),    dout.data(), dq.data(), dk.data(),
                              dv.data(),     of_q,     of_k,     of_v,        of_out,        of_out,      of_q,      of_k,
                              of_v,          s.batch,  s.heads,  s.key_heads, s.value_heads, s.queries,   s.keys,    s.key_width,
                              s.value_width, s.window, scale,    s.score,     s.block});
  // What the other scores divide by is the test's own number.
  if (s.score != AttentionScore::softmax && s.score != AttentionScore::linear) lse.clear();
  return {{"out", numbers_of(out)}, {"lse", numbers_of(lse)}, {"dq", numbers_of(dq)}, {"dk", numbers_of(dk)}, {"dv", numbers_of(dv)}};
}

Arrays inputs(const Shape& s, double scale = 1.5) {
  Stream stream = test_stream(static_cast<std::uint64_t>(s.queries * 1000 + s.keys * 10 + s.key_width));
  return {{"q", normal_numbers(stream, s.batch * s.queries * s.heads * (s.key_width + 3), scale)},
          {"k", normal_numbers(stream, s.batch * s.keys * s.key_heads * (s.key_width + 3), scale)},
          {"v", normal_numbers(stream, s.batch * s.keys * s.value_heads * (s.value_width + 3))},
          {"dout", normal_numbers(stream, s.batch * s.queries * s.heads * (s.value_width + 3))}};
}

TEST_P(Attention, AgreesWithTheReferenceOnAnyShape) {
  const Shape shapes[] = {{1, 1, 1, 1, 1, 1, 4, 4},           {2, 2, 2, 2, 5, 5, 8, 8},        {1, 4, 2, 2, 37, 37, 24, 24},
                          {1, 4, 1, 2, 48, 48, 16, 20},       {2, 4, 4, 2, 130, 130, 12, 24},  {1, 2, 1, 1, 97, 193, 32, 32},
                          {1, 1, 1, 1, 200, 260, 33, 65},     {1, 4, 1, 1, 1, 70, 24, 24},     {1, 2, 2, 2, 3, 131, 20, 36},
                          {1, 2, 1, 1, 140, 140, 16, 16, 50}, {1, 2, 1, 2, 60, 150, 8, 8, 7},  {1, 1, 1, 1, 2, 90, 8, 8, 7},
                          {1, 1, 1, 1, 100, 100, 8, 8, 1},    {1, 2, 2, 2, 300, 300, 128, 128}};
  for (const Shape& s : shapes) {
    SCOPED_TRACE(s.queries * 1000 + s.keys);
    const Arrays in = inputs(s);
    const Arrays expected = run_case<double>(s, in, naive);
    expect_close(run_case<float>(s, in, kernel), expected, 3e-5);
    expect_close(run_case<double>(s, in, kernel), expected, 1e-11);
  }
}

TEST_P(Attention, GradientsAreCentralDifferences) {
  for (const Shape& s : {Shape{1, 2, 1, 2, 5, 5, 3, 4}, Shape{1, 2, 1, 1, 4, 6, 4, 4, 2}, Shape{1, 2, 1, 1, 4, 6, 4, 4, 0, 4}})
    expect_gradients([&](const Arrays& in) { return run_case<double>(s, in, kernel); }, inputs(s), "out", "dout");
}

constexpr AttentionScore other_scores[] = {AttentionScore::linear, AttentionScore::relu, AttentionScore::silu, AttentionScore::gelu};

/// Linear scores are divided by their sum: it must not cancel.
Arrays inputs_of_score(const Shape& s) {
  auto in = inputs(s);
  if (s.score != AttentionScore::linear) return in;
  for (const char* name : {"q", "k"})
    for (double& x : in.at(name)) x = static_cast<float>(std::abs(x) + 0.1);
  return in;
}

TEST_P(Attention, OtherScoresWindowsAndBlocksAgreeWithTheReference) {
  const Shape shapes[] = {{1, 1, 1, 1, 1, 1, 4, 4},           {2, 4, 2, 2, 37, 37, 24, 24},          {1, 2, 1, 2, 130, 130, 12, 20},
                          {1, 2, 1, 1, 140, 140, 16, 16, 50}, {1, 4, 1, 2, 140, 140, 16, 16, 0, 50}, {1, 2, 2, 1, 200, 200, 8, 8, 0, 64},
                          {1, 2, 1, 1, 60, 150, 8, 8, 7},     {1, 2, 1, 1, 60, 150, 8, 8, 0, 70},    {1, 1, 1, 1, 2, 90, 8, 8, 0, 89},
                          {1, 1, 1, 1, 100, 100, 8, 8, 0, 1}, {1, 1, 1, 1, 90, 90, 8, 8, 0, 500},    {1, 2, 1, 1, 1, 70, 24, 24, 0, 69}};
  for (Shape s : shapes) {
    SCOPED_TRACE(s.queries * 100000 + s.keys * 100 + s.block);
    const Arrays in = inputs(s);
    const Arrays expected = run_case<double>(s, in, naive);
    expect_close(run_case<float>(s, in, kernel), expected, 3e-5);
    expect_close(run_case<double>(s, in, kernel), expected, 1e-11);
    for (const AttentionScore score : other_scores) {
      s.score = score;
      SCOPED_TRACE(static_cast<int>(score));
      const Arrays of_score = inputs_of_score(s);
      const Arrays other = run_case<double>(s, of_score, naive);
      expect_close(run_case<float>(s, of_score, kernel), other, 3e-5);
      expect_close(run_case<double>(s, of_score, kernel), other, 1e-11);
    }
  }
}

TEST_P(Attention, GradientsOfOtherScoresAreCentralDifferences) {
  for (const AttentionScore score : other_scores)
    for (const Shape& s : {Shape{1, 2, 1, 2, 5, 5, 3, 4, 0, 0, score}, Shape{1, 2, 1, 1, 4, 6, 4, 4, 2, 0, score},
                           Shape{1, 2, 2, 1, 4, 6, 4, 4, 0, 4, score}})
      expect_gradients([&](const Arrays& in) { return run_case<double>(s, in, kernel); }, inputs_of_score(s), "out", "dout");
}

TEST_P(Attention, OneQueryAtATimeGivesTheWholeSequence) {
  const Shape whole{1, 4, 2, 2, 150, 150, 24, 24};
  const Arrays in = inputs(whole);
  const Numbers expected = run_case<double>(whole, in, naive).at("out");
  const std::int64_t q_row = 4 * 27, k_row = 2 * 27;
  const auto slice = [&](const char* name, std::int64_t begin, std::int64_t end, std::int64_t row) {
    return Numbers(in.at(name).begin() + begin * row, in.at(name).begin() + end * row);
  };
  for (std::int64_t t = 0; t < 150; ++t) {
    const Shape step{1, 4, 2, 2, 1, t + 1, 24, 24};
    const Arrays now{{"q", slice("q", t, t + 1, q_row)},
                     {"k", slice("k", 0, t + 1, k_row)},
                     {"v", slice("v", 0, t + 1, k_row)},
                     {"dout", slice("dout", t, t + 1, q_row)}};
    expect_close(run_case<float>(step, now, kernel).at("out"), Numbers(expected.begin() + t * q_row, expected.begin() + (t + 1) * q_row),
                 1e-5, "token " + std::to_string(t));
  }
}

TEST_P(Attention, ALaterTokenMovesNoEarlierOutput) {
  const Shape s{1, 2, 1, 1, 200, 200, 16, 16};
  Arrays in = inputs(s);
  const Numbers before = run_case<float>(s, in, kernel).at("out");
  constexpr std::int64_t changed = 131;
  for (std::int64_t i = changed * 19; i < (changed + 1) * 19; ++i) in.at("k")[i] = in.at("v")[i] = 1000;
  const Numbers after = run_case<float>(s, in, kernel).at("out");
  const std::int64_t row = 2 * 19;
  for (std::int64_t i = 0; i < changed * row; ++i) ASSERT_EQ(before[i], after[i]) << i;
  EXPECT_NE(before[changed * row], after[changed * row]);
}

TEST_P(Attention, HugeScoresStayFinite) {
  const Shape s{1, 1, 1, 1, 90, 90, 16, 16};
  const Arrays out = run_case<float>(s, inputs(s, 200), kernel);
  for (const auto& [name, numbers] : out)
    for (double x : numbers) ASSERT_TRUE(std::isfinite(x)) << name;
}

TEST_P(Attention, ANaNInAQueryOrKeyShowsInTheOutput) {
  const Shape s{1, 1, 1, 1, 90, 90, 16, 16};
  Arrays in = inputs(s);
  in.at("q")[70 * 19 + 3] = not_a_number;
  Numbers out = run_case<float>(s, in, kernel).at("out");
  for (std::int64_t i = 0; i < 90; ++i) EXPECT_EQ(std::isnan(out[i * 19]), i == 70) << i;
  in = inputs(s);
  in.at("k")[70 * 19 + 3] = not_a_number;
  const Arrays all = run_case<float>(s, in, kernel);
  for (std::int64_t i = 70; i < 90; ++i) EXPECT_TRUE(std::isnan(all.at("out")[i * 19])) << i;
  EXPECT_TRUE(std::isnan(all.at("dq")[80 * 19]));
}

TEST_P(Attention, InBfloat16IsTheSameRounded) {
  for (Shape s : {Shape{1, 4, 2, 2, 37, 37, 24, 24}, Shape{2, 4, 4, 2, 130, 130, 12, 24}, Shape{1, 2, 1, 1, 140, 140, 16, 16, 50},
                  Shape{1, 4, 1, 1, 1, 70, 24, 24}, Shape{1, 2, 2, 2, 3, 131, 20, 36}, Shape{1, 2, 1, 1, 140, 140, 16, 16, 0, 50}})
    for (const auto score : {AttentionScore::softmax, AttentionScore::linear, AttentionScore::silu}) {
      s.score = score;
      Arrays in = rounded(inputs_of_score(s));
      expect_rounded(run_case<bfloat16>(s, in, kernel), run_case<float>(s, in, kernel, true));
      in.at("q")[0] = not_a_number;
      in.at("k")[in.at("k").size() - 4] = not_a_number;
      expect_rounded(run_case<bfloat16>(s, in, kernel), run_case<float>(s, in, kernel, true));
    }
}

INSTANTIATE_TEST_SUITE_P(Levels, Attention, ::testing::ValuesIn(supported_levels()), level_label);

}  // namespace
}  // namespace starling::kernels
