#include "recording.h"

#include <algorithm>
#include <stdexcept>

#include "hot_call.h"

namespace aigc::ingress {
namespace {

// A batch ends with the call that brings it over this, some 25,000 events: others wait for its
// commit too.
constexpr std::size_t kBatchBytes = 2u << 20;

}  // namespace

Recording::Recording(const Batching& batching) : batching_(batching), teller_([this] { tell(); }) {}

Recording::~Recording() {
  {
    std::lock_guard lock(answers_mutex_);
    ended_ = true;
    answered_.notify_all();
  }
  teller_.join();
}

bool Recording::put(HotCall* call) {
  std::lock_guard lock(mutex_);
  if (closed_ || calls_.size() >= batching_.queue) return false;
  calls_.push_back(call);
  if (calls_.size() >= wanted_) changed_.notify_one();
  return true;
}

std::size_t Recording::size() const {
  std::lock_guard lock(mutex_);
  return calls_.size();
}

std::vector<HotCall*> Recording::gather() {
  const auto enough = [this] { return closed_ || calls_.size() >= wanted_; };
  std::unique_lock lock(mutex_);
  wanted_ = 1;
  changed_.wait(lock, enough);
  if (batching_.delay.count() > 0) {
    wanted_ = std::min(std::max(batching_.preferred, last_), batching_.maximum);
    changed_.wait(lock, [this, enough] { return inside_ == 0 || enough(); });
    changed_.wait_for(lock, batching_.delay, enough);
  }
  std::vector<HotCall*> taken;
  std::size_t bytes = 0;
  while (!calls_.empty() && taken.size() < batching_.maximum && bytes < kBatchBytes) {
    taken.push_back(calls_.front());
    bytes += calls_.front()->request().size();
    calls_.pop_front();
  }
  last_ = std::max<std::size_t>(1, taken.size());
  inside_ += taken.size();
  return taken;
}

std::vector<std::pair<std::uint64_t, std::string>> Recording::take() {
  std::vector<std::pair<std::uint64_t, std::string>> batch;
  while (batch.empty()) {
    const std::vector<HotCall*> calls = gather();
    if (calls.empty()) break;
    for (HotCall* call : calls) {
      if (!call->wanted()) continue;
      std::lock_guard lock(numbers_mutex_);
      with_python_[++last_number_] = call;
      batch.emplace_back(last_number_, std::string(call->request()));
    }
    std::lock_guard lock(mutex_);
    inside_ -= calls.size() - batch.size();
  }
  return batch;
}

void Recording::answer(std::vector<Outcome> outcomes) {
  std::vector<Answer> found;
  found.reserve(outcomes.size());
  {
    std::lock_guard lock(numbers_mutex_);
    for (const Outcome& outcome : outcomes)
      if (with_python_.count(outcome.number) == 0)
        throw std::invalid_argument("call " + std::to_string(outcome.number) +
                                    " is not waiting for a reply");
    for (Outcome& outcome : outcomes) {
      const auto place = with_python_.find(outcome.number);
      if (place == with_python_.end()) continue;  // named twice
      found.push_back({place->second, std::move(outcome)});
      with_python_.erase(place);
    }
  }
  std::lock_guard lock(answers_mutex_);
  std::move(found.begin(), found.end(), std::back_inserter(answers_));
  answered_.notify_one();
}

void Recording::tell() {
  std::unique_lock lock(answers_mutex_);
  while (true) {
    answered_.wait(lock, [this] { return ended_ || !answers_.empty(); });
    if (answers_.empty()) return;
    std::vector<Answer> answers;
    answers.swap(answers_);
    lock.unlock();
    for (const auto& [call, outcome] : answers) {
      if (outcome.code == grpc::StatusCode::OK)
        call->succeed(outcome.response);
      else
        call->fail(outcome.code, outcome.message, outcome.details, outcome.reason.c_str());
    }
    {
      std::lock_guard told(mutex_);
      inside_ -= answers.size();
      changed_.notify_one();
    }
    lock.lock();
  }
}

void Recording::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

}  // namespace aigc::ingress
