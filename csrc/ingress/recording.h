// RecordEvents calls on their way through Python: gathered, handed over as batches, and answered on
// a thread of their own, so that whoever has the answers goes on at once.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "waiting.h"

namespace aigc::ingress {

class HotCall;

// What a call is told: a response, or a status with its reason.
struct Outcome {
  std::uint64_t number = 0;
  std::string response;
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string message, details, reason;
};

class Recording {
 public:
  explicit Recording(const Batching& batching);
  ~Recording();

  // False when as many wait as may, or all is over.
  bool put(HotCall* call);

  // For one thread: calls by number, with the bytes of their requests; none once closed and empty.
  //
  // Who was answered comes back: while calls are with Python, and for `delay` after the last of
  // them was told, a batch waits to become as large as the one before (at least `preferred`). So
  // callers in a loop share one commit, and one who is alone never waits (after PostgreSQL's
  // commit_siblings).
  std::vector<std::pair<std::uint64_t, std::string>> take();

  // Throws std::invalid_argument, and answers nobody, when one of the numbers does not wait.
  void answer(std::vector<Outcome> outcomes);

  std::size_t size() const;

  // Takes no more; take() gives what waits, then nothing. What is inside can still be answered.
  void close();

 private:
  struct Answer {
    HotCall* call;
    Outcome outcome;
  };

  std::vector<HotCall*> gather();
  void tell();

  const Batching batching_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<HotCall*> calls_;
  std::size_t wanted_ = 1;  // so many wake the thread in take()
  std::size_t last_ = 1;    // calls in the batch before
  std::size_t inside_ = 0;  // calls taken and not told yet
  bool closed_ = false;

  std::mutex numbers_mutex_;
  std::map<std::uint64_t, HotCall*> with_python_;
  std::uint64_t last_number_ = 0;

  std::mutex answers_mutex_;
  std::condition_variable answered_;
  std::vector<Answer> answers_;
  bool ended_ = false;
  std::thread teller_;
};

}  // namespace aigc::ingress
