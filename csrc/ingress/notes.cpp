#include "notes.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>

namespace aigc::ingress {
namespace {

constexpr std::size_t kMostLog = 8 << 20;

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

std::string line(const char* method, const char* code, const char* reason, double seconds,
                 double waited, bool slow, const std::string& peer, std::string_view request_id) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  const auto whole = static_cast<std::time_t>(micros / 1'000'000);
  std::tm parts{};
  gmtime_r(&whole, &parts);
  char moment[32], head[512];
  std::strftime(moment, sizeof moment, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(head, sizeof head,
                "{\"method\": \"%s\", \"code\": \"%s\", \"reason\": \"%s\", \"ms\": %.3f, "
                "\"waited_ms\": %.3f, ",
                method, code, reason, seconds * 1000, waited * 1000);
  std::string out = head;
  out += "\"peer\": \"";
  json_text(peer, out);
  out += "\", \"request_id\": \"";
  if (request_id.empty())
    out += random_hex(16);
  else
    json_text(request_id, out);
  std::snprintf(head, sizeof head,
                "\", \"event\": \"%s\", \"level\": \"%s\", \"timestamp\": \"%s.%06dZ\"}\n",
                slow ? "slow call" : "call", slow ? "warning" : "info", moment,
                static_cast<int>(micros % 1'000'000));
  return out + head;
}

}  // namespace

void Notes::call(const char* method, const char* code, const char* reason, double seconds,
                 double waited, const std::string& peer, std::string_view request_id) {
  const std::string entry = logs(seconds) ? line(method, code, reason, seconds, waited,
                                                 seconds >= slow_, peer, request_id)
                                          : std::string();
  const auto bucket = static_cast<std::size_t>(
      std::lower_bound(kBuckets.begin(), kBuckets.end(), seconds) - kBuckets.begin());
  std::lock_guard lock(mutex_);
  Tally& tally = now_.tallies[{method, code, reason}];
  ++tally.counts[bucket];
  tally.seconds += seconds;
  if (now_.log.size() + entry.size() <= kMostLog)
    now_.log += entry;
  else
    ++now_.lost_lines;
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

Taken Notes::take() {
  Taken taken;
  std::lock_guard lock(mutex_);
  std::swap(taken, now_);
  return taken;
}

}  // namespace aigc::ingress
