#include "searching.h"

#include <stdexcept>
#include <string>

#include "hot_call.h"

namespace aigc::ingress {

Searching::Searching(Server& server, const Batching& batching, const Delay& delay)
    : server_(server), waiting_(batching, delay, 1) {}

std::vector<Search> Searching::take() {
  std::vector<Search> searches;
  if (taken_ > 0) waiting_.worked(taken_, std::chrono::steady_clock::now() - taken_at_);
  taken_ = 0;
  while (searches.empty()) {
    const std::vector<HotCall*> calls = waiting_.take();
    if (calls.empty()) break;
    taken_at_ = std::chrono::steady_clock::now();
    for (HotCall* call : calls) {
      if (!call->wanted()) continue;
      const std::size_t before = searches.size();
      call->searches(searches);
      if (searches.size() == before) {
        call->rank();  // nobody with a history: there is nothing to search for
        continue;
      }
      ++taken_;
      std::lock_guard lock(mutex_);
      with_python_[++last_number_] = call;
      for (std::size_t i = before; i < searches.size(); ++i) searches[i].call = last_number_;
    }
  }
  return searches;
}

void Searching::answer(std::vector<Found> found, const std::vector<std::uint64_t>& unable) {
  std::map<std::uint64_t, HotCall*> calls;
  {
    std::lock_guard lock(mutex_);
    const auto check = [this](std::uint64_t number) {
      if (with_python_.count(number) == 0)
        throw std::invalid_argument("call " + std::to_string(number) + " waits for no search");
    };
    for (const Found& one : found) check(one.call);
    for (const std::uint64_t number : unable) check(number);
    for (const Found& one : found)
      if (const auto node = with_python_.extract(one.call)) calls[node.key()] = node.mapped();
    for (const std::uint64_t number : unable) {
      if (const auto node = with_python_.extract(number)) calls[node.key()] = node.mapped();
    }
  }
  for (const std::uint64_t number : unable) {
    const auto node = calls.extract(number);
    if (node) node.mapped()->forward();
  }
  for (Found& one : found) {
    const auto place = calls.find(one.call);
    if (place != calls.end())
      place->second->found(one.place, std::move(one.rows), std::move(one.scores));
  }
  for (const auto& [number, call] : calls) call->rank();
}

}  // namespace aigc::ingress
