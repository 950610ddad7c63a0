// Calls passed on byte for byte to the control server: metadata, deadline, cancellation, status.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <memory>

namespace aigc::ingress {

using Stub = grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer>;

// The control server sees one peer, the ingress: who called stands in this metadata.
constexpr char kPeerKey[] = "x-aigc-peer";

// The caller's metadata and deadline for the call behind.
void pass_on(const grpc::CallbackServerContext& from, grpc::ClientContext& to);

// The trailing metadata of the call behind for the caller; the details of its status go with the
// status.
void pass_back(const grpc::ClientContext& from, grpc::CallbackServerContext& to);

// Any method, streaming or not, through `stub`.
class ProxyService : public grpc::CallbackGenericService {
 public:
  explicit ProxyService(Stub& stub) : stub_(stub) {}
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override;

 private:
  Stub& stub_;
};

}  // namespace aigc::ingress
