// Rows times a matrix whose layout suits it, row by row to the last bit.
#pragma once

#include <cstddef>
#include <vector>

namespace aigc {

// W (n, k), packed in panels of kPanel outputs: panel p holds, for each input, its kPanel weights.
// Every output is one chain of additions over the inputs in their order, so a row's result depends
// neither on how many rows there are nor on which.
class PackedMatrix {
 public:
  static constexpr std::size_t kPanel = 32;

  PackedMatrix() = default;
  // `weights` is (n, k), rows one after another; missing outputs of the last panel are zeros.
  PackedMatrix(const float* weights, std::size_t n, std::size_t k);

  std::size_t inputs() const { return k_; }
  std::size_t panels() const { return panels_; }

  // out[r * stride + j] for the panel's kPanel outputs j of `rows` rows x (rows, k).
  void multiply(std::size_t panel, const float* x, std::size_t rows, float* out,
                std::size_t stride) const;

 private:
  std::size_t k_ = 0, panels_ = 0;
  std::vector<float> data_;
};

}  // namespace aigc
