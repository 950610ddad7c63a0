// A language model's forward pass for decoding on a CPU: many texts at once, each in a slot with
// its keys and values, each computed as if it were alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "aigc/matrix.h"
#include "aigc/worker_pool.h"

namespace aigc {

struct TextShape {
  std::size_t layers, heads, key_heads, head_size, width, hidden, vocabulary, context, slots;
  bool gated;  // SwiGLU; else ReLU squared
  float epsilon;
};

// What one layer is made of; matrices are (outputs, inputs).
struct LayerWeights {
  const float *attention_norm, *qkv, *q_norm, *k_norm, *out, *feed_norm, *up, *down;
};

// One token at its place in a text. Tokens of one text in one call stand in rising order.
struct TokenRow {
  std::uint32_t slot, token, position;
};

class TextDecoder {
 public:
  // `embedding` (vocabulary, width) and `cos`, `sin` (context, head_size / 2) are copied like all
  // else; `head` (vocabulary, width) may be `embedding`.
  TextDecoder(const TextShape& shape, const float* embedding,
              const std::vector<LayerWeights>& layers, const float* norm, const float* head,
              const float* cos, const float* sin, std::size_t threads);

  const TextShape& shape() const { return shape_; }

  // Takes in `rows`, and writes logits (vocabulary) one after another for those of `wanted`, which
  // are indices into `rows`.
  void forward(const std::vector<TokenRow>& rows, const std::vector<std::uint32_t>& wanted,
               float* logits);

  // Gives slot `target` the first `length` positions of slot `source`.
  void copy(std::size_t source, std::size_t target, std::size_t length);

 private:
  struct Layer {
    std::vector<float> attention_norm, q_norm, k_norm, feed_norm;
    PackedMatrix qkv, out, up, down;
  };

  void attend(const Layer& layer, std::size_t index, const std::vector<TokenRow>& rows,
              std::size_t key_head, std::vector<float>& scores);
  float* keys(std::size_t layer, std::size_t slot, std::size_t key_head);
  float* values(std::size_t layer, std::size_t slot, std::size_t key_head);

  TextShape shape_;
  std::size_t weights_;  // of all matrices
  std::size_t length_;   // positions a slot has room for: the context, in whole vectors
  std::vector<float> embedding_, norm_, cos_, sin_;
  std::vector<Layer> layers_;
  PackedMatrix head_;
  std::vector<float> keys_, values_;
  std::vector<float> x_, qkv_, attended_, hidden_;  // shared by the threads of a call
  std::vector<std::vector<float>> normed_, scores_;
  WorkerPool pool_;
};

}  // namespace aigc
