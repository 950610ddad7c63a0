#include "notes.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>

namespace aigc::ingress {
namespace {

constexpr std::size_t kMostLog = 8 << 20;
// Taken in pieces of this size, the log stops nobody for long.
constexpr std::size_t kMuchLog = 64 << 10;

void json_text(std::string_view text, std::string& out) {
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7F) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x",
                    static_cast<unsigned>(static_cast<unsigned char>(c)));
      out.append(escaped);
    } else {
      out.push_back(c);
    }
  }
}

// The time in seconds, which is the same text for many calls.
std::string_view second_of(std::time_t whole) {
  static thread_local std::time_t last = -1;
  static thread_local char text[32];
  static thread_local std::size_t size = 0;
  if (whole != last) {
    std::tm parts{};
    gmtime_r(&whole, &parts);
    size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    last = whole;
  }
  return {text, size};
}

// At least `digits` of them, with noughts in front.
void number(std::uint64_t value, std::ptrdiff_t digits, std::string& out) {
  char text[24];
  char* const end = std::to_chars(text, text + sizeof text, value).ptr;
  for (std::ptrdiff_t i = end - text; i < digits; ++i) out.push_back('0');
  out.append(text, end);
}

void milliseconds(double seconds, std::string& out) {
  const auto micros = static_cast<std::uint64_t>(std::max(0.0, seconds) * 1e6 + 0.5);
  number(micros / 1000, 1, out);
  out.push_back('.');
  number(micros % 1000, 3, out);
}

void line(const Ended& call, bool slow, std::string& out) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  out.append("{\"method\": \"").append(call.method);
  out.append("\", \"code\": \"").append(call.code);
  out.append("\", \"reason\": \"").append(call.reason).append("\", \"ms\": ");
  milliseconds(call.seconds, out);
  out.append(", \"waited_ms\": ");
  milliseconds(call.waited, out);
  out.append(", \"peer\": \"");
  json_text(call.peer, out);
  out.append("\", \"request_id\": \"");
  if (call.request_id.empty())
    out.append(random_hex(16));
  else
    json_text(call.request_id, out);
  out.append("\", \"event\": \"").append(slow ? "slow call" : "call");
  out.append("\", \"level\": \"").append(slow ? "warning" : "info");
  out.append("\", \"timestamp\": \"")
      .append(second_of(static_cast<std::time_t>(micros / 1'000'000)));
  out.push_back('.');
  number(static_cast<std::uint64_t>(micros % 1'000'000), 6, out);
  out.append("Z\"}\n");
}

}  // namespace

void Notes::call(const Ended& call) {
  static thread_local std::string entry;
  entry.clear();
  if (logs(call.seconds)) line(call, call.seconds >= slow_, entry);
  const auto bucket = static_cast<std::size_t>(
      std::lower_bound(kBuckets.begin(), kBuckets.end(), call.seconds) - kBuckets.begin());
  const std::tuple key(call.method, call.code, call.reason);
  std::lock_guard lock(mutex_);
  auto found = now_.tallies.find(key);
  if (found == now_.tallies.end()) found = now_.tallies.emplace(key, Tally()).first;
  ++found->second.counts[bucket];
  found->second.seconds += call.seconds;
  now_.n_kept += call.n_kept;
  now_.n_shown += static_cast<double>(call.n_shown);
  if (now_.log.size() + entry.size() <= kMostLog) {
    const std::size_t before = now_.log.size();
    now_.log += entry;
    if (before < kMuchLog && now_.log.size() >= kMuchLog) much_.notify_one();
  } else {
    ++now_.lost_lines;
  }
}

void Notes::shown(std::vector<Shown>&& answers) {
  std::lock_guard lock(mutex_);
  for (Shown& answer : answers) {
    now_.n_shown += static_cast<double>(answer.items.size());
    now_.generated.insert(now_.generated.end(), answer.generated.begin(), answer.generated.end());
    if (now_.shown.size() >= capacity_) {
      now_.shown.pop_front();
      ++now_.lost_answers;
    }
    now_.shown.push_back(std::move(answer));
  }
}

void Notes::set_windows(std::vector<std::pair<double, double>> windows) {
  std::lock_guard lock(mutex_);
  windows_ = std::move(windows);
}

std::pair<double, double> Notes::totals(std::size_t window) const {
  std::lock_guard lock(mutex_);
  const auto before = window < windows_.size() ? windows_[window] : std::pair(0.0, 0.0);
  return {before.first + now_.n_shown, before.second + static_cast<double>(now_.generated.size())};
}

void Notes::wait(std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  much_.wait_for(lock, most, [this] { return now_.log.size() >= kMuchLog; });
}

Taken Notes::take() {
  Taken taken;
  std::lock_guard lock(mutex_);
  std::swap(taken, now_);
  return taken;
}

}  // namespace aigc::ingress
