#include "server.h"

#include <absl/synchronization/mutex.h>
#include <grpcpp/security/server_credentials.h>
#include <sys/resource.h>
#include <unistd.h>

#include <stdexcept>

#include "hot_call.h"

namespace aigc::ingress {
namespace {

std::shared_ptr<grpc::Channel> channel_to(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

std::shared_ptr<grpc::ServerCredentials> credentials_of(const Tls& tls) {
  if (tls.certificate.empty()) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options(
      tls.authority.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                            : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = tls.authority;
  options.pem_key_cert_pairs.push_back({tls.key, tls.certificate});
  return grpc::SslServerCredentials(options);
}

}  // namespace

const char* method_path(Method method) {
  static const char* const paths[] = {
      "/aigc.v1.RecommendationService/Recommend", "/aigc.v1.RecommendationService/BatchRecommend",
      "/aigc.v1.RecommendationService/SimilarItems", "/aigc.v1.EventService/RecordEvents",
      "/grpc.health.v1.Health/Check"};
  return paths[static_cast<std::size_t>(method)];
}

// The hot methods by name, their messages as bytes.
class Server::HotService final : public grpc::Service {
 public:
  explicit HotService(Server& server) {
    for (std::size_t i = 0; i < kMethods; ++i) {
      const auto method = static_cast<Method>(i);
      AddMethod(new grpc::internal::RpcServiceMethod(
          method_path(method), grpc::internal::RpcMethod::NORMAL_RPC, nullptr));
      MarkMethodRawCallback(
          static_cast<int>(i),
          new grpc::internal::CallbackUnaryHandler<grpc::ByteBuffer, grpc::ByteBuffer>(
              [&server, method](grpc::CallbackServerContext* context,
                                const grpc::ByteBuffer* request, grpc::ByteBuffer* response) {
                Pollers::here();
                auto* call = new HotCall(server, method, context, request, response);
                call->begin();
                return call;
              }));
    }
  }
};

Server::Server(Options options)
    : options_(std::move(options)),
      notes_(options_.log, options_.slow_seconds, options_.logged_answers),
      pollers_(options_.pollers),
      kept_recommend_(options_.kept_bytes, options_.kept_age),
      kept_similar_(options_.kept_bytes / 4, options_.kept_age),
      native_(options_.native, options_.delay, options_.threads),
      searching_(*this, options_.searches, options_.delay),
      recording_(options_.events),
      stub_(channel_to(options_.behind)),
      proxy_(stub_),
      hot_(std::make_unique<HotService>(*this)) {
  // An Abseil built for debugging, as Debian's, looks at each lock of gRPC's for cycles: a
  // twentieth of what a kept answer costs.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options_.listen, credentials_of(options_.tls), &port_);
  builder.SetMaxReceiveMessageSize(options_.max_message_bytes);
  builder.SetMaxSendMessageSize(options_.max_message_bytes);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  for (const auto& [name, value] : options_.connection) builder.AddChannelArgument(name, value);
  builder.RegisterService(hot_.get());
  builder.RegisterCallbackGenericService(&proxy_);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || port_ == 0)
    throw std::runtime_error("the port " + options_.listen + " cannot be used");
  for (std::size_t i = 0; i < options_.threads; ++i) workers_.emplace_back([this] { work(); });
}

Server::~Server() { stop(0); }

std::uint64_t Server::set_routes(std::shared_ptr<Routes> routes, bool same_strategies) {
  const auto now = this->routes();
  if (same_strategies && now != nullptr && now->state != routes->state) {
    routes->before = now->number;
    routes->left = now->state->versions();
    routes->begun = routes->state->versions();
  }
  std::shared_ptr<const Routes> before;  // ends after the lock, if this was its last holder
  std::lock_guard lock(routes_mutex_);
  routes->number = ++routes_set_;
  before = std::exchange(routes_, std::move(routes));
  return routes_set_;
}

std::shared_ptr<const Routes> Server::routes() const {
  std::lock_guard lock(routes_mutex_);
  return routes_;
}

void Server::set_health(const std::string& service, bool serving) {
  std::unique_lock lock(health_mutex_);
  health_[service] = serving;
}

void Server::work() {
  // Whom there is no time for is told so at once, however much there is to do.
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()),
              getpriority(PRIO_PROCESS, 0) + options_.niceness);
  while (true) {
    const std::vector<HotCall*> calls = native_.take();
    if (calls.empty()) return;
    const auto began = std::chrono::steady_clock::now();
    for (HotCall* call : calls) call->work();
    native_.worked(calls.size(), std::chrono::steady_clock::now() - began);
  }
}

void Server::stop(int grace_ms) {
  if (stopped_.exchange(true)) return;
  // Each thread that stands by has a call, which is to end.
  pollers_.release();
  if (server_ != nullptr)
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(grace_ms));
  native_.close();
  searching_.close();
  recording_.close();
  for (std::thread& worker : workers_) worker.join();
}

}  // namespace aigc::ingress
