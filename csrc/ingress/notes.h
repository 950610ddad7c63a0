// What native calls leave behind, until Python takes it: figures, lines of the access log, answers.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "answers.h"

namespace aigc::ingress {

constexpr std::array<double, 14> kBuckets = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05,
                                             0.1,    0.2,   0.5,   1.0,   2.0,  5.0,  10.0};

enum class LogLevel { kNone, kSlow, kAll };

struct Tally {
  std::array<std::uint64_t, kBuckets.size() + 1> counts{};  // one a bucket, then above all
  double seconds = 0.0;
};

// A call that was answered. What it gave of kept answers is counted here; new ones are `shown`.
struct Ended {
  std::string_view method, code, reason;
  double seconds, waited;
  std::string_view peer, request_id;
  std::size_t n_kept = 0, n_shown = 0;  // answers, and items in them
};

struct Taken {
  std::map<std::tuple<std::string, std::string, std::string>, Tally, std::less<>>
      tallies;      // method, code, reason
  std::string log;  // JSON, a line a call
  std::deque<Shown> shown;
  double n_shown = 0.0;                // items in all answers, lost and kept ones too
  std::uint64_t n_kept = 0;            // answers that were given again
  std::vector<std::string> generated;  // those that a model made
  std::uint64_t lost_answers = 0, lost_lines = 0;
};

class Notes {
 public:
  // Args: log: which lines; slow_seconds: calls to warn of; capacity: answers that may wait, the
  // oldest goes first.
  Notes(LogLevel log, double slow_seconds, std::size_t capacity)
      : log_(log), slow_(slow_seconds), capacity_(capacity) {}

  // Is there a line for a call that took so long?
  bool logs(double seconds) const {
    return log_ == LogLevel::kAll || (log_ == LogLevel::kSlow && seconds >= slow_);
  }
  void call(const Ended& call);
  void shown(std::vector<Shown>&& answers);

  // Items shown, and generated ones among them: before the last take, as Python counts them over
  // each window, and since.
  void set_windows(std::vector<std::pair<double, double>> windows);
  std::pair<double, double> totals(std::size_t window) const;

  // Wait until there is much to take, or so long.
  void wait(std::chrono::milliseconds most);

  Taken take();

 private:
  const LogLevel log_;
  const double slow_;
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable much_;
  Taken now_;
  std::vector<std::pair<double, double>> windows_;
};

}  // namespace aigc::ingress
