#include "aigc/text_decoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "aigc/simd.h"

namespace aigc {
namespace {

constexpr std::size_t kLanes = 16;

std::size_t rounded(std::size_t n, std::size_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// exp by 2^n times a polynomial (coefficients of Cephes, Moshier 1992), 2 units in the last place;
// without a branch, so that it runs in vectors.
inline __attribute__((always_inline)) float exp_of(float x) {
  x = std::min(std::max(x, -87.0f), 88.0f);
  const float shifted = x * 1.44269504f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  std::int32_t bits = (static_cast<std::int32_t>(n) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return p * power;
}

// The bodies below are compiled once an instruction set. Sums run in kLanes lanes, in an order that
// depends on a row's own length alone.
inline __attribute__((always_inline)) float lane_sum(const float* lanes) {
  float s[kLanes];
  std::copy(lanes, lanes + kLanes, s);
  for (std::size_t half = kLanes / 2; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) s[i] += s[i + half];
  return s[0];
}

inline __attribute__((always_inline)) void rms_norm_body(const float* x, const float* gain,
                                                         std::size_t n, float epsilon, float* out) {
  float lanes[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (std::size_t l = 0; l < kLanes; ++l) lanes[l] += x[i + l] * x[i + l];
  float sum = lane_sum(lanes);
  for (; i < n; ++i) sum += x[i] * x[i];
  const float scale = 1.0f / std::sqrt(sum / static_cast<float>(n) + epsilon);
  for (i = 0; i < n; ++i) out[i] = x[i] * scale * gain[i];
}

// out (d) = softmax(q · keys / √d) · values. keys (d, stride) by component, values (positions, d);
// `count` positions; scores has room for count rounded up to kLanes.
inline __attribute__((always_inline)) void attend_row_body(const float* q, const float* keys,
                                                       const float* values, std::size_t d,
                                                       std::size_t stride, std::size_t count,
                                                       float* scores, float* out) {
  const std::size_t padded = rounded(count, kLanes);
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  for (std::size_t t = 0; t < padded; t += kLanes) {
    float sums[kLanes] = {};
    for (std::size_t i = 0; i < d; ++i)
      for (std::size_t l = 0; l < kLanes; ++l) sums[l] += q[i] * keys[i * stride + t + l];
    for (std::size_t l = 0; l < kLanes; ++l) scores[t + l] = sums[l] * scale;
  }
  for (std::size_t t = count; t < padded; ++t) scores[t] = -1e30f;
  float highest[kLanes], lanes[kLanes] = {};
  std::copy(scores, scores + kLanes, highest);
  for (std::size_t t = kLanes; t < padded; t += kLanes)
    for (std::size_t l = 0; l < kLanes; ++l)
      highest[l] = highest[l] > scores[t + l] ? highest[l] : scores[t + l];
  const float top = *std::max_element(highest, highest + kLanes);
  for (std::size_t t = 0; t < padded; t += kLanes)
    for (std::size_t l = 0; l < kLanes; ++l) {
      scores[t + l] = exp_of(scores[t + l] - top);
      lanes[l] += t + l < count ? scores[t + l] : 0.0f;
    }
  const float share = 1.0f / lane_sum(lanes);
  std::size_t i = 0;
  for (; i + kLanes <= d; i += kLanes) {
    float sums[kLanes] = {};
    for (std::size_t t = 0; t < count; ++t)
      for (std::size_t l = 0; l < kLanes; ++l) sums[l] += scores[t] * values[t * d + i + l];
    for (std::size_t l = 0; l < kLanes; ++l) out[i + l] = sums[l] * share;
  }
  for (; i < d; ++i) {
    float sum = 0;
    for (std::size_t t = 0; t < count; ++t) sum += scores[t] * values[t * d + i];
    out[i] = sum * share;
  }
}

// gate and up halves of a panel → kPanel / 2 values of silu(gate) ⊙ up; or relu² of all.
inline __attribute__((always_inline)) void gate_body(const float* panel, float* out) {
  for (std::size_t l = 0; l < kLanes; ++l)
    out[l] = panel[l] / (1.0f + exp_of(-panel[l])) * panel[kLanes + l];
}

#define AIGC_TARGETS(name, parameters, arguments)                                          \
  void name##_generic parameters { name##_body arguments; }                                \
  __attribute__((target("avx2,fma"))) void name##_avx2 parameters { name##_body arguments; } \
  __attribute__((target("avx512f,avx512dq,avx512vl"))) void name##_avx512 parameters {     \
    name##_body arguments;                                                                 \
  }                                                                                        \
  void name parameters {                                                                   \
    switch (simd_level()) {                                                                \
      case SimdLevel::kAvx512:                                                             \
        return name##_avx512 arguments;                                                    \
      case SimdLevel::kAvx2:                                                               \
        return name##_avx2 arguments;                                                      \
      default:                                                                             \
        return name##_generic arguments;                                                   \
    }                                                                                      \
  }

AIGC_TARGETS(rms_norm,
             (const float* x, const float* gain, std::size_t n, float epsilon, float* out),
             (x, gain, n, epsilon, out))
AIGC_TARGETS(attend_row,
             (const float* q, const float* keys, const float* values, std::size_t d,
              std::size_t stride, std::size_t count, float* scores, float* out),
             (q, keys, values, d, stride, count, scores, out))
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
    layers_.push_back({copied(w.attention_norm, c), copied(w.q_norm, d), copied(w.k_norm, d),
                       copied(w.feed_norm, c),
                       PackedMatrix(w.qkv, (shape.heads + 2 * shape.key_heads) * d, c),
                       PackedMatrix(w.out, c, shape.heads * d),
                       shape.gated ? packed_gates(w.up, shape.hidden, c)
                                   : PackedMatrix(w.up, shape.hidden, c),
                       packed_down(w.down, c, shape.hidden, padded)});
}

float* TextDecoder::keys(std::size_t layer, std::size_t slot, std::size_t key_head) {
  return keys_.data() + ((layer * shape_.slots + slot) * shape_.key_heads + key_head) * length_ *
                            shape_.head_size;
}

float* TextDecoder::values(std::size_t layer, std::size_t slot, std::size_t key_head) {
  return values_.data() + ((layer * shape_.slots + slot) * shape_.key_heads + key_head) * length_ *
                              shape_.head_size;
}

void TextDecoder::copy(std::size_t source, std::size_t target, std::size_t length) {
  const std::size_t d = shape_.head_size;
  for (std::size_t layer = 0; layer < shape_.layers; ++layer)
    for (std::size_t head = 0; head < shape_.key_heads; ++head) {
      const float* from = keys(layer, source, head);
      float* to = keys(layer, target, head);
      for (std::size_t i = 0; i < d; ++i) std::copy_n(from + i * length_, length, to + i * length_);
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
    float* column = keys(index, rows[r].slot, key_head) + rows[r].position;
    for (std::size_t i = 0; i < d; ++i) column[i * length_] = key[i];
    std::copy_n(row + (shape_.heads + shape_.key_heads + key_head) * d, d,
                values(index, rows[r].slot, key_head) + rows[r].position * d);
  }
  for (std::size_t r = 0; r < rows.size(); ++r)
    for (std::size_t h = key_head * shared; h < (key_head + 1) * shared; ++h)
      attend_row(qkv_.data() + r * stride + h * d, keys(index, rows[r].slot, key_head),
                 values(index, rows[r].slot, key_head), d, length_, rows[r].position + 1,
                 scores.data(), attended_.data() + (r * shape_.heads + h) * d);
}

void TextDecoder::forward(const std::vector<TokenRow>& rows, const std::vector<std::uint32_t>& wanted,
                          float* logits) {
  const std::size_t n = rows.size(), c = shape_.width, panel = PackedMatrix::kPanel;
  const std::size_t hidden = rounded(shape_.hidden, panel);
  const std::size_t threads = pool_.size();
  x_.resize(n * c);
  qkv_.resize(n * rounded((shape_.heads + 2 * shape_.key_heads) * shape_.head_size, panel));
  attended_.resize(n * shape_.heads * shape_.head_size);
  hidden_.assign(n * hidden, 0.0f);
  for (auto& own : normed_) own.resize(n * c);
  for (std::size_t r = 0; r < n; ++r)
    std::copy_n(embedding_.data() + rows[r].token * c, c, x_.data() + r * c);

  pool_.run([&](std::size_t thread) {
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
          for (std::size_t j = 0; j < width; ++j)
            x_[r * c + p * panel + j] += block[r * panel + j];
      });
    };
    for (std::size_t index = 0; index < layers_.size(); ++index) {
      const Layer& layer = layers_[index];
      normalise(layer.attention_norm);
      const std::size_t stride = layer.qkv.panels() * panel;
      share(layer.qkv.panels(), [&](std::size_t p) {
        layer.qkv.multiply(p, normed, n, qkv_.data() + p * panel, stride);
      });
      pool_.meet();
      share(shape_.key_heads, [&](std::size_t head) {
        attend(layer, index, rows, head, scores_[thread]);
      });
      pool_.meet();
      add(layer.out, attended_.data());
      pool_.meet();
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
      pool_.meet();
      add(layer.down, hidden_.data());
      pool_.meet();
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
  });
}

}  // namespace aigc
