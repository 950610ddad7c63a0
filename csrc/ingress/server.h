// The ingress: owns the public port, answers the hot calls, passes the rest on.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "answers.h"
#include "kept_answers.h"
#include "notes.h"
#include "pollers.h"
#include "proxy.h"
#include "recording.h"
#include "searching.h"
#include "waiting.h"

namespace aigc::ingress {

enum class Method { kRecommend, kBatchRecommend, kSimilarItems, kRecordEvents, kHealthCheck };
constexpr std::size_t kMethods = 5;
const char* method_path(Method method);

struct Tls {
  std::string key, certificate, authority;  // PEM; authority: callers must show a certificate
};

struct Options {
  std::string listen, behind;  // HOST:PORT; the control server's address
  Tls tls;
  int max_message_bytes = 32'000'000;
  std::map<std::string, int> connection;  // gRPC's channel arguments for the public port
  std::size_t threads = 1;
  std::size_t pollers = 2;  // of gRPC's threads, that wait for the network
  Limits limits;
  Batching native, searches, events;
  Delay delay;  // of native calls
  int niceness =
      0;  // by which the threads that answer them stand back behind those that receive them
  bool pass_all = false;  // RecordEvents goes to the control server too
  LogLevel log = LogLevel::kAll;
  double slow_seconds = 1.0;
  std::size_t logged_answers = 20'000;  // that may wait for Python to log them
  std::size_t kept_bytes = 0;           // of answers that may be given again
  std::chrono::milliseconds kept_age{0};
  // google.rpc.Status of a full queue and of a deadline that passed, as bytes, with their messages.
  std::string busy_message, busy_details, late_message, late_details;
};

class HotCall;

class Server {
 public:
  // Throws std::runtime_error when the port cannot be had.
  explicit Server(Options options);
  ~Server();

  int port() const { return port_; }

  // What natively answers; until there is one every call is passed on.
  // Gives the number of the routes. same_strategies: nothing is new but the snapshot, and nobody
  // writes to either state meanwhile.
  std::uint64_t set_routes(std::shared_ptr<Routes> routes, bool same_strategies);
  void set_health(const std::string& service, bool serving);

  // Calls of RecordEvents, which Python answers.
  Recording& recording() { return recording_; }

  // Calls that wait for a search, which Python does.
  Searching& searching() { return searching_; }

  void wait_notes(std::chrono::milliseconds most) { notes_.wait(most); }
  Taken take_notes() { return notes_.take(); }
  void set_windows(std::vector<std::pair<double, double>> windows) {
    notes_.set_windows(std::move(windows));
  }
  std::size_t waiting() const { return native_.size() + searching_.size() + recording_.size(); }

  // Accept nothing more; what was accepted has `grace_ms` to end. Then end the threads.
  void stop(int grace_ms);

 private:
  friend class HotCall;
  class HotService;

  std::shared_ptr<const Routes> routes() const;
  void work();

  const Options options_;
  Notes notes_;
  Pollers pollers_;
  KeptAnswers kept_recommend_, kept_similar_;
  Waiting<HotCall> native_;
  Searching searching_;
  Recording recording_;
  Stub stub_;
  ProxyService proxy_;
  std::unique_ptr<HotService> hot_;

  mutable std::mutex routes_mutex_;  // held for the copy of one pointer
  std::shared_ptr<const Routes> routes_;
  std::uint64_t routes_set_ = 0;
  mutable std::shared_mutex health_mutex_;
  std::map<std::string, bool, std::less<>> health_;

  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  std::vector<std::thread> workers_;
  std::atomic<bool> stopped_{false};
};

}  // namespace aigc::ingress
