// A greedy choice, one candidate at a time, whose gains fall as more is chosen (Minoux 1978): an
// old gain is a bound, so only those that still lead by their bounds are computed anew.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace aigc {

class LazyGreedy {
 public:
  virtual ~LazyGreedy() = default;

  // The index of the next candidate, -1 when there is no other. Ties go to the lower index.
  virtual std::int32_t next();

 protected:
  static constexpr double kOut = -std::numeric_limits<double>::infinity();

  // `gains`: of each candidate before anything is chosen; kOut is never chosen.
  explicit LazyGreedy(const std::vector<double>& gains);

  // The gain of i now that `chosen()` is chosen, or kOut. It was last asked when the first `known`
  // of them were.
  virtual double gain(std::size_t i, std::size_t known) = 0;
  const std::vector<std::uint32_t>& chosen() const { return chosen_; }

  // Compute all gains anew: they may have risen.
  void renew();

 private:
  struct Bound {
    double gain;
    std::uint32_t i;

    bool before(const Bound& other) const {
      return gain > other.gain || (gain == other.gain && i < other.i);
    }
  };

  void renew(Bound& bound);
  void heap();
  void sink();

  std::vector<Bound> bounds_;  // a heap, the one that leads on top
  std::vector<std::uint32_t> known_;
  std::vector<std::uint32_t> chosen_;
};

}  // namespace aigc
