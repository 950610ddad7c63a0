// The k best (score, row) pairs seen so far; ties go to the lower row.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace aigc {

struct Scored {
  float score;
  std::uint32_t row;
};

// True when a stands before b in an answer.
inline bool better(const Scored& a, const Scored& b) {
  return a.score > b.score || (a.score == b.score && a.row < b.row);
}

// A heap with the worst on top. The caller keeps the storage, so that many can share one block.
class TopK {
 public:
  TopK() = default;
  explicit TopK(std::size_t k) : k_(k) { entries_.reserve(k); }

  void reset(std::size_t k) {
    k_ = k;
    entries_.clear();
  }

  // A score that does not exceed this, of a row higher than all before, cannot enter.
  float threshold() const {
    if (k_ == 0) return std::numeric_limits<float>::infinity();
    return entries_.size() < k_ ? -std::numeric_limits<float>::infinity() : entries_.front().score;
  }

  void push(float score, std::uint32_t row) {
    const Scored entry{score, row};
    if (entries_.size() < k_) {
      entries_.push_back(entry);
      std::push_heap(entries_.begin(), entries_.end(), better);
    } else if (k_ > 0 && better(entry, entries_.front())) {
      std::pop_heap(entries_.begin(), entries_.end(), better);
      entries_.back() = entry;
      std::push_heap(entries_.begin(), entries_.end(), better);
    }
  }

  // Best first. The heap is spent afterwards.
  std::vector<Scored>& sorted() {
    std::sort(entries_.begin(), entries_.end(), better);
    return entries_;
  }

 private:
  std::size_t k_ = 0;
  std::vector<Scored> entries_;
};

}  // namespace aigc
