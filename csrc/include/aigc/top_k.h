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

// True when a stands before b in an answer. An object, not a function: sorts and heaps then compare
// without a call.
struct Better {
  bool operator()(const Scored& a, const Scored& b) const {
    return a.score > b.score || (a.score == b.score && a.row < b.row);
  }
};
inline constexpr Better better{};

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

// The k best of many with scores above 0. A candidate is appended, and only when three times k wait
// are the k best of them kept: a few instructions each, where a heap takes a walk.
class TopKBuffer {
 public:
  explicit TopKBuffer(std::size_t k = 0) : k_(k) {}

  // What is below `floor` need not be pushed: it is known that it cannot enter.
  void reset(std::size_t k, float floor = 0.0f) {
    k_ = k;
    floor_ = floor;
    entries_.clear();
  }

  std::size_t size() const { return entries_.size(); }

  // A score below this cannot enter, nor one equal to it of a row higher than all before.
  float threshold() const { return floor_; }

  // Give the threshold from then on: the floor until k are known.
  float push(float score, std::uint32_t row) {
    entries_.push_back({score, row});
    if (entries_.size() >= 3 * k_) keep_best();
    return floor_;
  }

  // In no order. The buffer is spent afterwards.
  std::vector<Scored>& kept() {
    if (entries_.size() > k_) keep_best();
    return entries_;
  }

  // Best first. The buffer is spent afterwards.
  std::vector<Scored>& sorted() {
    kept();
    std::sort(entries_.begin(), entries_.end(), better);
    return entries_;
  }

 private:
  void keep_best() {
    const auto last = entries_.begin() + static_cast<std::ptrdiff_t>(k_) - 1;
    std::nth_element(entries_.begin(), last, entries_.end(), better);
    floor_ = std::max(floor_, last->score);
    entries_.resize(k_);
  }

  std::size_t k_;
  float floor_ = 0.0f;
  std::vector<Scored> entries_;
};

}  // namespace aigc
