#include "kept_answers.h"

#include <functional>

namespace aigc::ingress {
namespace {

constexpr std::size_t kUsualBytes = 1024;
// Above this an answer is worth more as room for others.
constexpr std::size_t kMostOfOne = 8192;

std::size_t sets_for(std::size_t bytes) {
  std::size_t sets = 1;
  while (sets * 4 * kUsualBytes < bytes) sets *= 2;
  return bytes == 0 ? 0 : sets;
}

}  // namespace

Moment::Moment(const Routes& of, std::string_view user)
    : routes(of.number),
      slot(of.state->user_slot(user)),
      version(of.state->version(slot)),
      at(std::chrono::steady_clock::now()) {}

KeptAnswers::KeptAnswers(std::size_t bytes, std::chrono::milliseconds age)
    : most_bytes_(bytes), age_(age), sets_(sets_for(bytes)) {}

std::optional<KeptAnswer> KeptAnswers::find(std::string_view request, const Routes& routes) {
  if (sets_.empty()) return std::nullopt;
  const std::uint64_t hash = std::hash<std::string_view>{}(request);
  const std::size_t place = hash & (sets_.size() - 1);
  std::lock_guard lock(mutexes_[place % mutexes_.size()]);
  for (Entry& entry : sets_[place]) {
    if (!entry.made || entry.hash != hash || entry.request != request) continue;
    Moment& made = *entry.made;
    const std::uint64_t version = routes.state->version(made.slot);
    // An answer of the snapshot before is as good as on the day before, and goes by its age: else
    // each new snapshot would be a burst of all answers at once.
    if (made.routes == routes.before && routes.before != 0 &&
        made.version == routes.left.of(made.slot) && version == routes.begun.of(made.slot)) {
      made.routes = routes.number;
      made.version = version;
    }
    // Not all to the day: what was made together is not to be made anew together.
    const auto age = age_ - age_ * static_cast<int>(hash >> 56) / 512;
    if (made.routes != routes.number || made.version != version ||
        std::chrono::steady_clock::now() - made.at >= age) {
      free(entry);
      return std::nullopt;
    }
    return entry.answer;
  }
  return std::nullopt;
}

void KeptAnswers::keep(std::string_view request, const Moment& made, const KeptAnswer& answer) {
  const std::size_t size = request.size() + answer.response.size();
  if (sets_.empty() || size > kMostOfOne) return;
  const std::uint64_t hash = std::hash<std::string_view>{}(request);
  const std::size_t place = hash & (sets_.size() - 1);
  std::lock_guard lock(mutexes_[place % mutexes_.size()]);
  Entry* chosen = nullptr;
  for (Entry& entry : sets_[place]) {
    if (entry.made && entry.hash == hash && entry.request == request) {
      chosen = &entry;
      break;
    }
    // A free place, or else the oldest.
    if (chosen == nullptr || (chosen->made && (!entry.made || entry.made->at < chosen->made->at)))
      chosen = &entry;
  }
  free(*chosen);
  for (Entry& entry : sets_[place])
    if (bytes_.load(std::memory_order_relaxed) + size > most_bytes_) free(entry);
  if (bytes_.fetch_add(size, std::memory_order_relaxed) + size > most_bytes_) {
    bytes_.fetch_sub(size, std::memory_order_relaxed);
    return;
  }
  chosen->hash = hash;
  chosen->request = request;
  chosen->answer = answer;
  chosen->made = made;
}

void KeptAnswers::free(Entry& entry) {
  if (!entry.made) return;
  bytes_.fetch_sub(entry.bytes(), std::memory_order_relaxed);
  entry = Entry();
}

}  // namespace aigc::ingress
