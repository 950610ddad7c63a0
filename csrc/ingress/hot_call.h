// One hot unary call, from its arrival to its answer.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server.h"

namespace aigc::ingress {

class HotCall final : public grpc::ServerUnaryReactor {
 public:
  HotCall(Server& server, Method method, grpc::CallbackServerContext* context,
          const grpc::ByteBuffer* request, grpc::ByteBuffer* response);

  // Where the call goes: a queue, the answer at once, or the control server.
  void begin();

  // On a worker's thread.
  void work();

  // True when its caller still waits; else the call is ended here, and must not be touched again.
  bool wanted();

  std::string_view request() const;

  // The searches that the call's requests need, none where there is no history to search by.
  void searches(std::vector<Search>& out);
  void found(std::size_t place, std::vector<std::uint32_t> rows, std::vector<float> scores);

  // To the threads that rank.
  void rank();

  void succeed(std::string_view response);
  void fail(grpc::StatusCode code, const std::string& message, const std::string& details,
            const char* reason);
  void forward();

  void OnCancel() override;
  void OnDone() override;
  // Both reactions take no time of those at work, so that gRPC need not wake a thread of its pool
  // for them.
  bool InternalInlineable() override { return true; }

 private:
  // A request, with its answer where one was kept when it came, else with what its answer depends
  // on.
  struct Asked {
    RecommendRequest request;
    std::optional<KeptAnswer> kept;
    std::optional<Moment> moment;
  };

  void ask(std::vector<RecommendRequest> requests);
  bool needs_search() const;
  void refuse();
  void answer_health();
  bool answer_kept();
  bool answer_recommend();
  double generated_share(const Route& route) const;
  bool answer_similar();
  void note(grpc::StatusCode code, const char* reason, std::size_t n_kept = 0,
            std::size_t n_shown = 0);

  Server& server_;
  const Method method_;
  grpc::CallbackServerContext* context_;
  const grpc::ByteBuffer* received_;
  grpc::ByteBuffer* response_;
  grpc::Slice request_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::chrono::duration<double> waited_{0.0};
  std::shared_ptr<const Routes> routes_;
  std::vector<Asked> asked_;
  Query similar_;
  std::atomic<bool> cancelled_{false};
  std::unique_ptr<grpc::ClientContext> behind_;
  std::atomic<grpc::ClientContext*> forwarded_{nullptr};
};

}  // namespace aigc::ingress
