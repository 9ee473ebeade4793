#include <starling/run/records.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>

#include <starling/base/error.hpp>

#include "sample_run.hpp"

namespace starling::run {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::uint64_t bits(double value) { return std::bit_cast<std::uint64_t>(value); }

template <class T>
T round_trip(const T& record) {
  return std::get<T>(decode(encode(record)));
}

// Doubles of every kind: any 64 bits are one.
double any_double(Stream& stream) {
  constexpr double special[] = {0.0,
                                -0.0,
                                1.5,
                                std::numeric_limits<double>::infinity(),
                                -std::numeric_limits<double>::infinity(),
                                std::numeric_limits<double>::quiet_NaN(),
                                std::numeric_limits<double>::denorm_min(),
                                std::numeric_limits<double>::max()};
  if (stream.chance(0.3)) return special[stream.below(std::size(special))];
  return std::bit_cast<double>(stream.next64());
}

std::string any_text(Stream& stream) {
  std::string text(stream.below(40), '\0');
  for (auto& c : text) c = static_cast<char>(stream.below(256));
  return text;
}

TEST(Records, RoundTripWithEveryBitOfEveryField) {
  Stream stream(3, Purpose::test);
  for (int i = 0; i < 300; ++i) {
    EvaluationRecorded record;
    record.outcome.id = stream.next64();
    record.outcome.status = static_cast<search::Status>(stream.below(5));
    for (auto n = stream.below(4); n > 0; --n) record.outcome.objectives.push_back(any_double(stream));
    record.attempt = stream();
    record.reason = any_text(stream);
    record.worker = any_text(stream);
    record.training_seed = stream.next64();
    record.steps = static_cast<std::int64_t>(stream.next64());
    record.tokens = static_cast<std::int64_t>(stream.next64());
    record.micro_batch_tokens = static_cast<std::int64_t>(stream.next64());
    record.started_utc = any_text(stream);
    record.duration_s = any_double(stream);
    record.peak_mem_bytes = stream.next64();
    record.loss = any_double(stream);
    record.bits_per_byte = any_double(stream);
    record.accuracy = any_double(stream);
    record.parameters = static_cast<std::int64_t>(stream.next64());
    record.cache_bytes = static_cast<std::int64_t>(stream.next64());
    for (auto n = stream.below(5); n > 0; --n) {
      record.curve.push_back({static_cast<std::int64_t>(stream.next64()), static_cast<std::int64_t>(stream.next64()), any_double(stream),
                              any_double(stream), any_double(stream), any_double(stream), any_double(stream)});
    }
    record.checkpoint = {any_text(stream), stream.next64(), stream()};

    const auto back = round_trip(record);
    EXPECT_EQ(back.outcome.id, record.outcome.id);
    EXPECT_EQ(back.outcome.status, record.outcome.status);
    ASSERT_EQ(back.outcome.objectives.size(), record.outcome.objectives.size());
    for (std::size_t k = 0; k < back.outcome.objectives.size(); ++k) {
      EXPECT_EQ(bits(back.outcome.objectives[k]), bits(record.outcome.objectives[k]));
    }
    EXPECT_EQ(back.attempt, record.attempt);
    EXPECT_EQ(back.reason, record.reason);
    EXPECT_EQ(back.worker, record.worker);
    EXPECT_EQ(back.training_seed, record.training_seed);
    EXPECT_EQ(back.steps, record.steps);
    EXPECT_EQ(back.tokens, record.tokens);
    EXPECT_EQ(back.micro_batch_tokens, record.micro_batch_tokens);
    EXPECT_EQ(back.started_utc, record.started_utc);
    EXPECT_EQ(bits(back.duration_s), bits(record.duration_s));
    EXPECT_EQ(back.peak_mem_bytes, record.peak_mem_bytes);
    EXPECT_EQ(bits(back.loss), bits(record.loss));
    EXPECT_EQ(bits(back.bits_per_byte), bits(record.bits_per_byte));
    EXPECT_EQ(bits(back.accuracy), bits(record.accuracy));
    EXPECT_EQ(back.parameters, record.parameters);
    EXPECT_EQ(back.cache_bytes, record.cache_bytes);
    ASSERT_EQ(back.curve.size(), record.curve.size());
    for (std::size_t k = 0; k < back.curve.size(); ++k) {
      const auto &a = back.curve[k], &b = record.curve[k];
      EXPECT_EQ(a.step, b.step);
      EXPECT_EQ(a.tokens, b.tokens);
      EXPECT_EQ(bits(a.train_loss), bits(b.train_loss));
      EXPECT_EQ(bits(a.val_loss), bits(b.val_loss));
      EXPECT_EQ(bits(a.learning_rate), bits(b.learning_rate));
      EXPECT_EQ(bits(a.grad_norm), bits(b.grad_norm));
      EXPECT_EQ(bits(a.elapsed_s), bits(b.elapsed_s));
    }
    EXPECT_EQ(back.checkpoint.path, record.checkpoint.path);
    EXPECT_EQ(back.checkpoint.bytes, record.checkpoint.bytes);
    EXPECT_EQ(back.checkpoint.crc32c, record.checkpoint.crc32c);
  }
}

TEST(Records, EncodeTheSameAfterARoundTripWhateverTheKind) {
  std::vector<bool> kinds(std::variant_size_v<Record>);
  for (const auto& record : testing::sample_run({200, 3, 8})) {
    kinds[record.index()] = true;
    const auto bytes = encode(record);
    const auto back = decode(bytes);
    EXPECT_EQ(back.index(), record.index());
    EXPECT_EQ(encode(back), bytes);
  }
  EXPECT_THAT(kinds, ::testing::Each(true));
}

TEST(Records, KeepCandidatesWhole) {
  search::Candidate c;
  c.id = 41;
  c.index = 40;
  c.attempt = 3;
  c.origin = search::Origin::user;
  c.name = "mine";
  c.genome.livs = {{2, 1, 2, 1, 1}, {12, 3, 1, 2, 4}};
  c.hash = ~std::uint64_t{0};
  c.parents = {7, 9};
  c.generation = 2.5;
  c.repairs = {1, 2, 3, 4, 5, 6, 7, 8};
  c.changed_genes = -1;
  const auto back = round_trip(CandidateAccepted{c, 123, "2026-01-31T12:34:56.789Z"});
  EXPECT_EQ(back.candidate.id, c.id);
  EXPECT_EQ(back.candidate.index, c.index);
  EXPECT_EQ(back.candidate.attempt, c.attempt);
  EXPECT_EQ(back.candidate.origin, c.origin);
  EXPECT_EQ(back.candidate.name, c.name);
  EXPECT_EQ(back.candidate.genome, c.genome);
  EXPECT_EQ(back.candidate.hash, c.hash);
  EXPECT_EQ(back.candidate.parents, c.parents);
  EXPECT_EQ(back.candidate.generation, c.generation);
  EXPECT_EQ(back.candidate.repairs, c.repairs);
  EXPECT_EQ(back.candidate.changed_genes, c.changed_genes);
  EXPECT_EQ(back.parameters, 123);
}

TEST(Records, KeepPathsAndRoutesOfAGenome) {
  CandidateAccepted accepted;
  accepted.candidate.genome = genome::parse_genome("1111110-8111111-12.1.1.1.1.0.1-81111");
  EXPECT_EQ(round_trip(accepted).candidate.genome, accepted.candidate.genome);
  auto object = nlohmann::json::from_cbor(encode(accepted));
  object["candidate"]["genome"] = "11111-8111";
  EXPECT_THAT([&] { decode(nlohmann::json::to_cbor(object)); }, ThrowsMessage<Failure>(HasSubstr("field 'genome': genome, LIV 2")));
}

TEST(Records, KeepSegmentsOfAGenome) {
  CandidateAccepted accepted;
  accepted.candidate.genome = genome::parse_genome("11111:00200::004000-81111-12.1.1.1.1:::::34.0.0.0.0.0");
  EXPECT_EQ(round_trip(accepted).candidate.genome, accepted.candidate.genome);
}

TEST(Records, ReadThoseWrittenBeforePathsRoutesAndSegments) {
  CandidateAccepted accepted;
  accepted.candidate.genome = genome::parse_genome("11111-81112");
  accepted.candidate.repairs = {1, 2, 3, 4, 5, 6, 7, 8};
  auto object = nlohmann::json::from_cbor(encode(accepted));
  EXPECT_EQ(object["candidate"]["genome"], (nlohmann::json{1, 1, 1, 1, 1, 8, 1, 1, 1, 2})) << "a plain genome is written as ever";
  for (const auto* later : {"lonely_path", "illegal_operator", "illegal_featurizer"}) {
    EXPECT_EQ(object["candidate"]["repairs"].erase(later), 1u) << later;
  }
  const auto back = std::get<CandidateAccepted>(decode(nlohmann::json::to_cbor(object)));
  EXPECT_EQ(back.candidate.genome, accepted.candidate.genome);
  EXPECT_EQ(back.candidate.repairs, (genome::Repairs{1, 2, 3, 4, 5, 0}));
  object["candidate"]["repairs"].erase("composition");
  EXPECT_THAT([&] { decode(nlohmann::json::to_cbor(object)); }, ThrowsMessage<Failure>(HasSubstr("'composition'")));
}

TEST(Records, ReadThoseWrittenBeforeMicroBatches) {
  EvaluationRecorded record;
  record.tokens = 5;
  record.micro_batch_tokens = 3;
  auto object = nlohmann::json::from_cbor(encode(record));
  object.erase("micro_batch_tokens");
  const auto back = std::get<EvaluationRecorded>(decode(nlohmann::json::to_cbor(object)));
  EXPECT_EQ(back.tokens, 5);
  EXPECT_EQ(back.micro_batch_tokens, 0);
}

TEST(Records, ReadThoseWrittenBeforeRunsWereExtended) {
  auto accepted = nlohmann::json::from_cbor(encode(CandidateAccepted{{}, 5, "t", 96, 3}));
  EXPECT_EQ(std::get<CandidateAccepted>(decode(nlohmann::json::to_cbor(accepted))).width, 96);
  EXPECT_EQ(std::get<CandidateAccepted>(decode(nlohmann::json::to_cbor(accepted))).matched_to, 3u);
  for (const auto* name : {"width", "matched_to"}) accepted.erase(name);
  EXPECT_EQ(std::get<CandidateAccepted>(decode(nlohmann::json::to_cbor(accepted))).width, 0);
  TestRecorded tested;
  tested.asked_tokens = 9;
  auto test = nlohmann::json::from_cbor(encode(tested));
  test.erase("asked_tokens");
  EXPECT_EQ(std::get<TestRecorded>(decode(nlohmann::json::to_cbor(test))).asked_tokens, 0);
}

TEST(Records, IgnoreFieldsTheyDoNotKnow) {
  auto object = nlohmann::json::from_cbor(encode(RunEnded{"budget", "t", 1, 2, 3, true}));
  object["later_invention"] = {1, 2, 3};
  const auto back = std::get<RunEnded>(decode(nlohmann::json::to_cbor(object)));
  EXPECT_EQ(back.reason, "budget");
  EXPECT_TRUE(back.complete);
}

TEST(Records, RefuseWhatIsMissingOrOfTheWrongKindByName) {
  const auto good = nlohmann::json::from_cbor(encode(testing::sample_run()[0]));
  for (const auto& [key, value] : good.items()) {
    auto object = good;
    object.erase(key);
    EXPECT_THAT([&] { decode(nlohmann::json::to_cbor(object)); }, ThrowsMessage<Failure>(HasSubstr("'" + key + "'")));
    object[key] = nullptr;
    EXPECT_THAT([&] { decode(nlohmann::json::to_cbor(object)); }, ThrowsMessage<Failure>(HasSubstr("'" + key + "'")));
  }
  auto object = nlohmann::json::from_cbor(encode(AttemptLost{}));
  object["attempt"] = std::uint64_t{1} << 32;
  EXPECT_THAT([&] { decode(nlohmann::json::to_cbor(object)); }, ThrowsMessage<Failure>(HasSubstr("out of range")));
  object["type"] = "invention";
  EXPECT_THAT([&] { decode(nlohmann::json::to_cbor(object)); }, ThrowsMessage<Failure>(HasSubstr("'invention'")));
}

TEST(Records, NeverDecodeBytesThatWereCutOff) {
  for (const auto& record : testing::sample_run({4, 2, 8})) {
    const auto bytes = encode(record);
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_THROW(decode(std::span(bytes).first(cut)), Failure);
  }
}

TEST(Records, SurviveAnyBytesWithAFailureAtMost) {
  Stream stream(5, Purpose::test);
  const auto records = testing::sample_run({12, 2, 8});
  for (int i = 0; i < 3000; ++i) {
    auto bytes = encode(records[stream.below(records.size())]);
    for (auto n = 1 + stream.below(4); n > 0; --n) bytes[stream.below(bytes.size())] = static_cast<std::uint8_t>(stream.below(256));
    try {
      decode(bytes);
    } catch (const Failure&) {
    }
  }
}

TEST(Times, AreIsoWithMilliseconds) {
  EXPECT_TRUE(std::regex_match(now_utc(), std::regex(R"(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ)")));
  EXPECT_EQ(later_utc("2026-01-31T23:59:59.900Z", 0.25), "2026-02-01T00:00:00.150Z");
  EXPECT_EQ(later_utc("1970-01-01T00:00:00.000Z", -0.001), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(later_utc("2026-01-31T23:59:59Z", 1), "");
  EXPECT_EQ(later_utc("2026-01-31T23:59:59.900Z", none), "");
  EXPECT_EQ(later_utc("", 1), "");
}

}  // namespace
}  // namespace starling::run
