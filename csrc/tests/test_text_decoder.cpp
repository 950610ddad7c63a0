#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <random>

#include "aigc/simd.h"
#include "aigc/text_decoder.h"

namespace aigc {
namespace {

std::vector<float> random_values(std::size_t n, std::uint32_t seed, float spread = 0.3f) {
  std::mt19937 source(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> values(n);
  for (auto& v : values) v = normal(source);
  return values;
}

// Runs `body` on every instruction set that this processor has.
template <typename Body>
void on_every_level(Body body) {
  const std::string before = simd_level_name();
  for (const auto& level : simd_levels()) {
    SCOPED_TRACE(level);
    set_simd_level(level);
    body();
  }
  set_simd_level(before);
}

TEST(PackedMatrix, MultipliesAsAPlainLoopDoes) {
  const std::size_t n = 45, k = 19, rows = 11, panel = PackedMatrix::kPanel;
  const auto w = random_values(n * k, 1), x = random_values(rows * k, 2);
  on_every_level([&] {
    const PackedMatrix matrix(w.data(), n, k);
    ASSERT_EQ(matrix.panels(), 2u);
    std::vector<float> out(rows * 2 * panel);
    for (std::size_t p = 0; p < 2; ++p)
      matrix.multiply(p, x.data(), rows, out.data() + p * panel, 2 * panel);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t j = 0; j < 2 * panel; ++j) {
        double sum = 0;
        for (std::size_t i = 0; j < n && i < k; ++i) sum += double{x[r * k + i]} * w[j * k + i];
        EXPECT_NEAR(out[r * 2 * panel + j], sum, 1e-5);
      }
  });
}

TEST(PackedMatrix, ARowHasTheSameBitsWhateverTheOtherRowsAre) {
  const std::size_t k = 37, rows = 15, panel = PackedMatrix::kPanel;
  const auto w = random_values(panel * k, 3), x = random_values(rows * k, 4);
  on_every_level([&] {
    const PackedMatrix matrix(w.data(), panel, k);
    std::vector<float> together(rows * panel), alone(panel);
    for (std::size_t count = 1; count <= rows; ++count) {
      matrix.multiply(0, x.data(), count, together.data(), panel);
      for (std::size_t r = 0; r < count; ++r) {
        matrix.multiply(0, x.data() + r * k, 1, alone.data(), panel);
        EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.data() + r * panel));
      }
    }
  });
}

TEST(WorkerPool, EveryThreadTakesPartOnceAndMeetsTheOthers) {
  for (const std::size_t threads : {1u, 2u, 5u}) {
    WorkerPool pool(threads);
    ASSERT_EQ(pool.size(), threads);
    for (int round = 0; round < 200; ++round) {
      // What one thread writes before the meeting, another reads after it.
      std::vector<int> written(threads, -1);
      std::atomic<std::size_t> seen{0};
      pool.run([&](std::size_t thread) {
        written[thread] = round;
        pool.meet();
        if (written[(thread + 1) % threads] == round) ++seen;
      });
      EXPECT_EQ(seen, threads);
    }
  }
}

TEST(WorkerPool, EndsWithoutEverHavingWorked) { const WorkerPool pool(3); }

struct Model {
  TextShape shape;
  std::vector<float> embedding, norm, cos, sin;
  std::vector<std::vector<float>> tensors;
  std::vector<LayerWeights> layers;

  explicit Model(bool gated, std::size_t slots = 5)
      : shape{2, 4, 2, 6, 20, 24, 37, 24, slots, gated, 1e-6f} {
    const auto& s = shape;
    const std::size_t half = s.head_size / 2, qkv = (s.heads + 2 * s.key_heads) * s.head_size;
    embedding = random_values(s.vocabulary * s.width, 10, 1.0f);
    norm = random_values(s.width, 11, 1.0f);
    for (std::size_t t = 0; t < s.context; ++t)
      for (std::size_t i = 0; i < half; ++i) {
        const double angle = static_cast<double>(t) / std::pow(10000.0, 2.0 * i / s.head_size);
        cos.push_back(static_cast<float>(std::cos(angle)));
        sin.push_back(static_cast<float>(std::sin(angle)));
      }
    std::uint32_t seed = 20;
    const std::size_t sizes[] = {s.width,
                                 qkv * s.width,
                                 s.head_size,
                                 s.head_size,
                                 s.width * s.heads * s.head_size,
                                 s.width,
                                 s.hidden * (gated ? 2 : 1) * s.width,
                                 s.width * s.hidden};
    for (std::size_t l = 0; l < s.layers; ++l)
      for (const auto size : sizes) tensors.push_back(random_values(size, seed++, 0.4f));
    for (std::size_t l = 0; l < s.layers; ++l) {
      const auto at = [&](std::size_t i) { return tensors[l * 8 + i].data(); };
      layers.push_back({at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7)});
    }
  }

  TextDecoder decoder(std::size_t threads) const {
    return TextDecoder(shape, embedding.data(), layers, norm.data(), embedding.data(), cos.data(),
                       sin.data(), threads);
  }
};

using Doubles = std::vector<double>;

Doubles times(const float* w, std::size_t n, const Doubles& x) {
  Doubles out(n);
  for (std::size_t j = 0; j < n; ++j)
    for (std::size_t i = 0; i < x.size(); ++i) out[j] += w[j * x.size() + i] * x[i];
  return out;
}

Doubles normed(const double* x, const float* gain, std::size_t n, double epsilon) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += x[i] * x[i];
  Doubles out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = x[i] / std::sqrt(sum / n + epsilon) * gain[i];
  return out;
}

// The same model with plain loops in float64: logits after the last of `text`.
Doubles reference(const Model& m, const std::vector<std::uint32_t>& text) {
  const auto& s = m.shape;
  const std::size_t d = s.head_size, half = d / 2, c = s.width, length = text.size();
  std::vector<Doubles> x;
  for (const auto token : text)
    x.emplace_back(m.embedding.begin() + token * c, m.embedding.begin() + (token + 1) * c);
  for (const auto& w : m.layers) {
    std::vector<Doubles> qkv;
    for (std::size_t t = 0; t < length; ++t) {
      qkv.push_back(times(w.qkv, (s.heads + 2 * s.key_heads) * d,
                          normed(x[t].data(), w.attention_norm, c, s.epsilon)));
      for (std::size_t h = 0; h < s.heads + s.key_heads; ++h) {
        double* at = qkv[t].data() + h * d;
        const auto v = normed(at, h < s.heads ? w.q_norm : w.k_norm, d, s.epsilon);
        for (std::size_t i = 0; i < half; ++i) {
          const double co = m.cos[t * half + i], si = m.sin[t * half + i];
          at[i] = v[i] * co - v[half + i] * si;
          at[half + i] = v[half + i] * co + v[i] * si;
        }
      }
    }
    for (std::size_t t = 0; t < length; ++t) {
      Doubles mixed(s.heads * d);
      for (std::size_t h = 0; h < s.heads; ++h) {
        const std::size_t key = (s.heads + h / (s.heads / s.key_heads)) * d;
        const std::size_t value = key + s.key_heads * d;
        Doubles odds(t + 1);
        double total = 0;
        for (std::size_t u = 0; u <= t; ++u) {
          for (std::size_t i = 0; i < d; ++i) odds[u] += qkv[t][h * d + i] * qkv[u][key + i];
          total += odds[u] = std::exp(odds[u] / std::sqrt(static_cast<double>(d)));
        }
        for (std::size_t u = 0; u <= t; ++u)
          for (std::size_t i = 0; i < d; ++i)
            mixed[h * d + i] += odds[u] / total * qkv[u][value + i];
      }
      const auto added = times(w.out, c, mixed);
      for (std::size_t i = 0; i < c; ++i) x[t][i] += added[i];
      const auto up =
          times(w.up, s.hidden * (s.gated ? 2 : 1), normed(x[t].data(), w.feed_norm, c, s.epsilon));
      Doubles hidden(s.hidden);
      for (std::size_t i = 0; i < s.hidden; ++i)
        hidden[i] = s.gated ? up[i] / (1 + std::exp(-up[i])) * up[s.hidden + i]
                            : std::pow(std::max(up[i], 0.0), 2);
      const auto down = times(w.down, c, hidden);
      for (std::size_t i = 0; i < c; ++i) x[t][i] += down[i];
    }
  }
  return times(m.embedding.data(), s.vocabulary,
               normed(x.back().data(), m.norm.data(), c, s.epsilon));
}

// Logits after each token of `text` in slot `slot`, taken in one token a call.
std::vector<std::vector<float>> alone(TextDecoder& decoder, std::uint32_t slot,
                                      const std::vector<std::uint32_t>& text) {
  std::vector<std::vector<float>> all;
  for (std::uint32_t t = 0; t < text.size(); ++t) {
    all.emplace_back(decoder.shape().vocabulary);
    decoder.forward({{slot, text[t], t}}, {0}, all.back().data());
  }
  return all;
}

std::vector<std::uint32_t> random_text(std::size_t length, std::uint32_t seed) {
  std::mt19937 source(seed);
  std::vector<std::uint32_t> text(length);
  for (auto& token : text) token = source() % 37;
  return text;
}

TEST(TextDecoder, GivesTheLogitsOfPlainLoops) {
  for (const bool gated : {true, false}) {
    const Model model(gated);
    on_every_level([&] {
      const auto text = random_text(21, 1);
      auto decoder = model.decoder(1);
      const auto logits = alone(decoder, 0, text);
      for (const std::size_t length : {1u, 2u, 17u, 21u}) {
        const auto expected = reference(model, {text.begin(), text.begin() + length});
        for (std::size_t v = 0; v < expected.size(); ++v)
          EXPECT_NEAR(logits[length - 1][v], expected[v], 2e-4 * (1 + std::abs(expected[v])));
      }
    });
  }
}

// Five texts of other lengths join one after another, their beginnings in one piece.
TEST(TextDecoder, ARowHasTheSameBitsAloneAndInABatch) {
  const Model model(true);
  on_every_level([&] {
    std::vector<std::vector<std::uint32_t>> texts;
    std::vector<std::vector<std::vector<float>>> expected;
    for (std::uint32_t i = 0; i < 5; ++i) {
      texts.push_back(random_text(12 + 2 * i, 100 + i));
      auto decoder = model.decoder(1);
      expected.push_back(alone(decoder, 0, texts.back()));
    }
    auto decoder = model.decoder(1);
    std::vector<std::size_t> taken(5);
    for (std::size_t step = 0; step < 30; ++step) {
      std::vector<TokenRow> rows;
      std::vector<std::uint32_t> wanted;
      std::vector<std::pair<std::size_t, std::size_t>> whose;
      for (std::uint32_t i = 0; i < 5; ++i) {
        if (step < i || taken[i] == texts[i].size()) continue;
        const std::size_t piece =
            std::min<std::size_t>(taken[i] ? 1 : 5 + i, texts[i].size() - taken[i]);
        for (std::size_t p = 0; p < piece; ++p, ++taken[i])
          rows.push_back({i, texts[i][taken[i]], static_cast<std::uint32_t>(taken[i])});
        wanted.push_back(static_cast<std::uint32_t>(rows.size() - 1));
        whose.push_back({i, taken[i] - 1});
      }
      std::vector<float> logits(wanted.size() * model.shape.vocabulary);
      decoder.forward(rows, wanted, logits.data());
      for (std::size_t w = 0; w < whose.size(); ++w) {
        const auto& own = expected[whose[w].first][whose[w].second];
        EXPECT_TRUE(std::equal(own.begin(), own.end(), logits.data() + w * model.shape.vocabulary))
            << "text " << whose[w].first << ", token " << whose[w].second;
      }
    }
  });
}

TEST(TextDecoder, ACopiedBeginningGoesOnAsIfItHadBeenComputed) {
  const Model model(true);
  const auto text = random_text(20, 7);
  auto decoder = model.decoder(1);
  const auto expected = alone(decoder, 1, text);
  for (const std::size_t length : {1u, 15u, 16u, 17u}) {
    alone(decoder, 3, random_text(24, 8));  // what was in the slot is forgotten
    decoder.copy(1, 3, length);
    std::vector<float> logits(model.shape.vocabulary);
    for (std::uint32_t t = static_cast<std::uint32_t>(length); t < text.size(); ++t) {
      decoder.forward({{3, text[t], t}}, {0}, logits.data());
      EXPECT_EQ(logits, expected[t]);
    }
  }
}

// Enough rows that the threads share the work: a smaller call is one thread's.
TEST(TextDecoder, ManyThreadsGiveTheBitsOfOneTextAlone) {
  const Model model(true, 30);
  std::vector<TokenRow> rows;
  std::vector<std::uint32_t> wanted;
  std::vector<std::vector<float>> expected;
  for (std::uint32_t slot = 0; slot < 30; ++slot) {
    const auto text = random_text(24, 200 + slot);
    for (std::uint32_t t = 0; t < text.size(); ++t) rows.push_back({slot, text[t], t});
    wanted.push_back(static_cast<std::uint32_t>(rows.size() - 1));
    auto single = model.decoder(1);
    expected.push_back(alone(single, 0, text).back());
  }
  std::vector<float> logits(wanted.size() * model.shape.vocabulary);
  auto several = model.decoder(4);
  several.forward(rows, wanted, logits.data());
  for (std::size_t i = 0; i < wanted.size(); ++i)
    EXPECT_TRUE(std::equal(expected[i].begin(), expected[i].end(),
                           logits.data() + i * model.shape.vocabulary));
}

}  // namespace
}  // namespace aigc
