#include "aigc/text_decoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "aigc/simd.h"

namespace aigc {
namespace {

constexpr std::size_t kLanes = 16;
// Products below which one thread works alone: a tenth of a millisecond or so.
constexpr std::size_t kAlone = 4'000'000;

std::size_t rounded(std::size_t n, std::size_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// GCC and Clang turn these into the registers of whatever instruction set a function is compiled
// for.
typedef float Vec __attribute__((vector_size(kLanes * sizeof(float))));
typedef std::int32_t IntVec __attribute__((vector_size(kLanes * sizeof(std::int32_t))));

#define AIGC_INLINE inline __attribute__((always_inline))

AIGC_INLINE void load(Vec& v, const float* from) { std::memcpy(&v, from, sizeof v); }
AIGC_INLINE void store(float* to, const Vec& v) { std::memcpy(to, &v, sizeof v); }

// exp by 2^n times a polynomial (coefficients of Cephes, Moshier 1992), 2 units in the last place.
AIGC_INLINE void exponential(Vec& x) {
  x = x < -87.0f ? Vec{} - 87.0f : x;
  x = x > 88.0f ? Vec{} + 88.0f : x;
  const Vec n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;
  const Vec r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  Vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const IntVec bits = (__builtin_convertvector(n, IntVec) + 127) << 23;
  Vec power;
  std::memcpy(&power, &bits, sizeof power);
  x = p * power;
}

AIGC_INLINE float lane_sum(const Vec& v) {
  float s[kLanes];
  store(s, v);
  for (std::size_t half = kLanes / 2; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) s[i] += s[i + half];
  return s[0];
}

// The bodies below are compiled once an instruction set. Every sum is a chain whose order depends
// on the row's own length alone; products and sums are rounded apart (-ffp-contract=off, GCC's way
// in standard C++), so how a loop is unrolled changes nothing.
AIGC_INLINE void rms_norm_body(const float* x, const float* gain, std::size_t n, float epsilon,
                               float* out) {
  Vec sums{};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    Vec v;
    load(v, x + i);
    sums += v * v;
  }
  float sum = lane_sum(sums);
  for (; i < n; ++i) sum += x[i] * x[i];
  const float scale = 1.0f / std::sqrt(sum / static_cast<float>(n) + epsilon);
  for (i = 0; i < n; ++i) out[i] = x[i] * scale * gain[i];
}

// Keys stand in blocks of kLanes positions, within one by component, then by position.
template <std::size_t Blocks>
AIGC_INLINE void scores_of(const float* q, const float* keys, std::size_t d, float scale,
                           float* scores) {
  Vec sums[Blocks] = {};
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t b = 0; b < Blocks; ++b) {
      Vec k;
      load(k, keys + (b * d + i) * kLanes);
      sums[b] += q[i] * k;
    }
  for (std::size_t b = 0; b < Blocks; ++b) store(scores + b * kLanes, sums[b] * scale);
}

template <std::size_t Blocks>
AIGC_INLINE void mix_of(const float* scores, const float* values, std::size_t d, std::size_t count,
                        float share, float* out) {
  Vec sums[Blocks] = {};
  for (std::size_t t = 0; t < count; ++t)
    for (std::size_t b = 0; b < Blocks; ++b) {
      Vec v;
      load(v, values + t * d + b * kLanes);
      sums[b] += scores[t] * v;
    }
  for (std::size_t b = 0; b < Blocks; ++b) store(out + b * kLanes, sums[b] * share);
}

// out (d) = softmax(q · keys / √d) · values, of `count` positions. keys in blocks, values
// (positions, d); scores has room for count rounded up to kLanes.
AIGC_INLINE void attend_row_body(const float* q, const float* keys, const float* values,
                                 std::size_t d, std::size_t count, float* scores, float* out) {
  const std::size_t padded = rounded(count, kLanes);
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  std::size_t t = 0;
  for (; t + 4 * kLanes <= padded; t += 4 * kLanes)
    scores_of<4>(q, keys + t * d, d, scale, scores + t);
  for (; t < padded; t += kLanes) scores_of<1>(q, keys + t * d, d, scale, scores + t);
  for (t = count; t < padded; ++t) scores[t] = -1e30f;
  Vec highest, sums{};
  load(highest, scores);
  for (t = kLanes; t < padded; t += kLanes) {
    Vec v;
    load(v, scores + t);
    highest = v > highest ? v : highest;
  }
  float tops[kLanes];
  store(tops, highest);
  const float top = *std::max_element(tops, tops + kLanes);
  for (t = 0; t < padded; t += kLanes) {
    Vec v;
    load(v, scores + t);
    v -= top;
    exponential(v);
    store(scores + t, v);
    if (t + kLanes > count) {
      for (std::size_t l = count - t; l < kLanes; ++l) scores[t + l] = 0.0f;
      load(v, scores + t);
    }
    sums += v;
  }
  const float share = 1.0f / lane_sum(sums);
  std::size_t i = 0;
  for (; i + 4 * kLanes <= d; i += 4 * kLanes)
    mix_of<4>(scores, values + i, d, count, share, out + i);
  for (; i + kLanes <= d; i += kLanes) mix_of<1>(scores, values + i, d, count, share, out + i);
  for (; i < d; ++i) {
    float sum = 0;
    for (t = 0; t < count; ++t) sum += scores[t] * values[t * d + i];
    out[i] = sum * share;
  }
}

// A panel of 16 gates and their 16 up values → silu(gate) ⊙ up.
AIGC_INLINE void gate_body(const float* panel, float* out) {
  Vec g, u;
  load(g, panel);
  load(u, panel + kLanes);
  Vec e = -g;
  exponential(e);
  store(out, g / (1.0f + e) * u);
}

#define AIGC_TARGETS(name, parameters, arguments)                                            \
  void name##_generic parameters { name##_body arguments; }                                  \
  __attribute__((target("avx2,fma"))) void name##_avx2 parameters { name##_body arguments; } \
  __attribute__((target("avx512f,avx512dq,avx512vl"))) void name##_avx512 parameters {       \
    name##_body arguments;                                                                   \
  }                                                                                          \
  void name parameters {                                                                     \
    switch (simd_level()) {                                                                  \
      case SimdLevel::kAvx512:                                                               \
        return name##_avx512 arguments;                                                      \
      case SimdLevel::kAvx2:                                                                 \
        return name##_avx2 arguments;                                                        \
      default:                                                                               \
        return name##_generic arguments;                                                     \
    }                                                                                        \
  }

AIGC_TARGETS(rms_norm,
             (const float* x, const float* gain, std::size_t n, float epsilon, float* out),
             (x, gain, n, epsilon, out))
AIGC_TARGETS(attend_row,
             (const float* q, const float* keys, const float* values, std::size_t d,
              std::size_t count, float* scores, float* out),
             (q, keys, values, d, count, scores, out))
AIGC_TARGETS(gate, (const float* panel, float* out), (panel, out))

#undef AIGC_TARGETS

std::vector<float> copied(const float* values, std::size_t n) { return {values, values + n}; }

// Panels of 16 gate and the 16 up outputs that belong to them, so that a thread has both.
PackedMatrix packed_gates(const float* up, std::size_t hidden, std::size_t width) {
  const std::size_t groups = (hidden + kLanes - 1) / kLanes;
  std::vector<float> mixed(groups * 2 * kLanes * width);
  for (std::size_t j = 0; j < hidden; ++j) {
    const std::size_t at = j / kLanes * 2 * kLanes + j % kLanes;
    std::copy_n(up + j * width, width, mixed.data() + at * width);
    std::copy_n(up + (hidden + j) * width, width, mixed.data() + (at + kLanes) * width);
  }
  return PackedMatrix(mixed.data(), groups * 2 * kLanes, width);
}

// The down matrix takes the hidden values with the zeros that fill the last group.
PackedMatrix packed_down(const float* down, std::size_t width, std::size_t hidden,
                         std::size_t padded) {
  std::vector<float> wide(width * padded);
  for (std::size_t i = 0; i < width; ++i)
    std::copy_n(down + i * hidden, hidden, wide.data() + i * padded);
  return PackedMatrix(wide.data(), width, padded);
}

}  // namespace

TextDecoder::TextDecoder(const TextShape& shape, const float* embedding,
                         const std::vector<LayerWeights>& layers, const float* norm,
                         const float* head, const float* cos, const float* sin, std::size_t threads)
    : shape_(shape),
      weights_(shape.vocabulary * shape.width +
               shape.layers * shape.width *
                   ((2 * shape.heads + 2 * shape.key_heads) * shape.head_size +
                    shape.hidden * (shape.gated ? 3 : 2))),
      length_(rounded(shape.context, kLanes)),
      embedding_(copied(embedding, shape.vocabulary * shape.width)),
      norm_(copied(norm, shape.width)),
      cos_(copied(cos, shape.context * shape.head_size / 2)),
      sin_(copied(sin, shape.context * shape.head_size / 2)),
      head_(head, shape.vocabulary, shape.width),
      keys_(shape.layers * shape.slots * shape.key_heads * length_ * shape.head_size),
      values_(keys_.size()),
      normed_(std::max<std::size_t>(threads, 1)),
      scores_(normed_.size(), std::vector<float>(length_)),
      pool_(normed_.size()) {
  const std::size_t c = shape.width, d = shape.head_size;
  const std::size_t padded = rounded(shape.hidden, PackedMatrix::kPanel);
  for (const auto& w : layers)
    layers_.push_back(
        {copied(w.attention_norm, c), copied(w.q_norm, d), copied(w.k_norm, d),
         copied(w.feed_norm, c), PackedMatrix(w.qkv, (shape.heads + 2 * shape.key_heads) * d, c),
         PackedMatrix(w.out, c, shape.heads * d),
         shape.gated ? packed_gates(w.up, shape.hidden, c) : PackedMatrix(w.up, shape.hidden, c),
         packed_down(w.down, c, shape.hidden, padded)});
}

float* TextDecoder::keys(std::size_t layer, std::size_t slot, std::size_t key_head) {
  return keys_.data() +
         ((layer * shape_.slots + slot) * shape_.key_heads + key_head) * length_ * shape_.head_size;
}

float* TextDecoder::values(std::size_t layer, std::size_t slot, std::size_t key_head) {
  return values_.data() +
         ((layer * shape_.slots + slot) * shape_.key_heads + key_head) * length_ * shape_.head_size;
}

void TextDecoder::copy(std::size_t source, std::size_t target, std::size_t length) {
  const std::size_t d = shape_.head_size;
  for (std::size_t layer = 0; layer < shape_.layers; ++layer)
    for (std::size_t head = 0; head < shape_.key_heads; ++head) {
      const float* from = keys(layer, source, head);
      float* to = keys(layer, target, head);
      std::copy_n(from, rounded(length, kLanes) * d, to);
      std::copy_n(values(layer, source, head), length * d, values(layer, target, head));
    }
}

// One key head with the query heads that share it: first every row's key and value go to the cache,
// then every row looks at its own text up to itself.
void TextDecoder::attend(const Layer& layer, std::size_t index, const std::vector<TokenRow>& rows,
                         std::size_t key_head, std::vector<float>& scores) {
  const std::size_t d = shape_.head_size, half = d / 2, shared = shape_.heads / shape_.key_heads;
  const std::size_t stride = layer.qkv.panels() * PackedMatrix::kPanel;
  const auto turn = [&](float* vector, const float* gain, std::size_t position) {
    rms_norm(vector, gain, d, shape_.epsilon, vector);
    const float *c = cos_.data() + position * half, *s = sin_.data() + position * half;
    for (std::size_t i = 0; i < half; ++i) {
      const float a = vector[i], b = vector[half + i];
      vector[i] = a * c[i] - b * s[i];
      vector[half + i] = b * c[i] + a * s[i];
    }
  };
  for (std::size_t r = 0; r < rows.size(); ++r) {
    float* row = qkv_.data() + r * stride;
    for (std::size_t h = 0; h < shared; ++h)
      turn(row + (key_head * shared + h) * d, layer.q_norm.data(), rows[r].position);
    float* key = row + (shape_.heads + key_head) * d;
    turn(key, layer.k_norm.data(), rows[r].position);
    const std::size_t position = rows[r].position;
    float* column = keys(index, rows[r].slot, key_head) + position / kLanes * kLanes * d;
    for (std::size_t i = 0; i < d; ++i) column[i * kLanes + position % kLanes] = key[i];
    std::copy_n(row + (shape_.heads + shape_.key_heads + key_head) * d, d,
                values(index, rows[r].slot, key_head) + rows[r].position * d);
  }
  for (std::size_t r = 0; r < rows.size(); ++r)
    for (std::size_t h = key_head * shared; h < (key_head + 1) * shared; ++h)
      attend_row(qkv_.data() + r * stride + h * d, keys(index, rows[r].slot, key_head),
                 values(index, rows[r].slot, key_head), d, rows[r].position + 1, scores.data(),
                 attended_.data() + (r * shape_.heads + h) * d);
}

void TextDecoder::forward(const std::vector<TokenRow>& rows,
                          const std::vector<std::uint32_t>& wanted, float* logits) {
  const std::size_t n = rows.size(), c = shape_.width, panel = PackedMatrix::kPanel;
  const std::size_t hidden = rounded(shape_.hidden, panel);
  // Threads change no bit of the result; for little work they cost more than they save.
  const std::size_t threads = n * weights_ < kAlone ? 1 : pool_.size();
  x_.resize(n * c);
  qkv_.resize(n * rounded((shape_.heads + 2 * shape_.key_heads) * shape_.head_size, panel));
  attended_.resize(n * shape_.heads * shape_.head_size);
  hidden_.assign(n * hidden, 0.0f);
  for (auto& own : normed_) own.resize(n * c);
  for (std::size_t r = 0; r < n; ++r)
    std::copy_n(embedding_.data() + rows[r].token * c, c, x_.data() + r * c);

  const auto meet = [&] {
    if (threads > 1) pool_.meet();
  };
  const auto work = [&](std::size_t thread) {
    float* normed = normed_[thread].data();
    std::vector<float> block(n * panel);
    const auto share = [&](std::size_t count, auto&& each) {
      for (std::size_t i = count * thread / threads; i < count * (thread + 1) / threads; ++i)
        each(i);
    };
    const auto normalise = [&](const std::vector<float>& gain) {
      for (std::size_t r = 0; r < n; ++r)
        rms_norm(x_.data() + r * c, gain.data(), c, shape_.epsilon, normed + r * c);
    };
    // x += input · matrix, each thread its own columns.
    const auto add = [&](const PackedMatrix& matrix, const float* input) {
      share(matrix.panels(), [&](std::size_t p) {
        matrix.multiply(p, input, n, block.data(), panel);
        const std::size_t width = std::min(panel, c - p * panel);
        for (std::size_t r = 0; r < n; ++r)
          for (std::size_t j = 0; j < width; ++j) x_[r * c + p * panel + j] += block[r * panel + j];
      });
    };
    for (std::size_t index = 0; index < layers_.size(); ++index) {
      const Layer& layer = layers_[index];
      normalise(layer.attention_norm);
      const std::size_t stride = layer.qkv.panels() * panel;
      share(layer.qkv.panels(), [&](std::size_t p) {
        layer.qkv.multiply(p, normed, n, qkv_.data() + p * panel, stride);
      });
      meet();
      share(shape_.key_heads,
            [&](std::size_t head) { attend(layer, index, rows, head, scores_[thread]); });
      meet();
      add(layer.out, attended_.data());
      meet();
      normalise(layer.feed_norm);
      share(layer.up.panels(), [&](std::size_t p) {
        layer.up.multiply(p, normed, n, block.data(), panel);
        for (std::size_t r = 0; r < n; ++r) {
          const float* from = block.data() + r * panel;
          if (shape_.gated) {
            gate(from, hidden_.data() + r * hidden + p * panel / 2);
          } else {
            for (std::size_t j = 0; j < panel; ++j) {
              const float positive = std::max(from[j], 0.0f);
              hidden_[r * hidden + p * panel + j] = positive * positive;
            }
          }
        }
      });
      meet();
      add(layer.down, hidden_.data());
      meet();
    }
    // Only the rows whose logits are wanted go on; they move together.
    for (std::size_t i = 0; i < wanted.size(); ++i)
      rms_norm(x_.data() + wanted[i] * c, norm_.data(), c, shape_.epsilon, normed + i * c);
    share(head_.panels(), [&](std::size_t p) {
      head_.multiply(p, normed, wanted.size(), block.data(), panel);
      const std::size_t width = std::min(panel, shape_.vocabulary - p * panel);
      for (std::size_t i = 0; i < wanted.size(); ++i)
        std::copy_n(block.data() + i * panel, width, logits + i * shape_.vocabulary + p * panel);
    });
  };
  if (threads == 1)
    work(0);
  else
    pool_.run(work);
}

}  // namespace aigc
