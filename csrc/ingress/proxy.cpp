#include "proxy.h"

#include <atomic>
#include <mutex>
#include <string>

namespace aigc::ingress {
namespace {

bool starts_with(const std::string& text, const char* prefix) { return text.rfind(prefix, 0) == 0; }

std::string text_of(const grpc::string_ref& ref) { return {ref.data(), ref.size()}; }

// One call in two halves: towards the caller (this) and towards the control server (Behind). It
// ends when both have.
class Proxy final : public grpc::ServerGenericBidiReactor {
 public:
  Proxy(Stub& stub, grpc::GenericCallbackServerContext* context) : context_(context) {
    pass_on(*context, client_context_);
    stub.PrepareBidiStreamingCall(&client_context_, context->method(), {}, &behind_);
    // Reads and writes behind are started from the caller's side: each holds the call open.
    behind_.AddMultipleHolds(2);
    behind_.StartCall();
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    std::lock_guard lock(mutex_);
    if (!writing_) return;
    if (ok) {
      behind_.StartWrite(&request_);
    } else {
      behind_.StartWritesDone();
      end_writing();
    }
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    if (ok) {
      behind_.StartRead(&response_);
    } else {
      client_context_.TryCancel();
      end_reading();
      end_writing();
    }
  }

  void OnCancel() override { client_context_.TryCancel(); }
  void OnDone() override { let_go(); }

 private:
  class Behind final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
   public:
    explicit Behind(Proxy& proxy) : proxy_(proxy) {}

    void OnReadInitialMetadataDone(bool ok) override {
      if (ok) {
        for (const auto& [key, value] : proxy_.client_context_.GetServerInitialMetadata())
          proxy_.context_->AddInitialMetadata(text_of(key), text_of(value));
        proxy_.StartSendInitialMetadata();
      }
      StartRead(&proxy_.response_);
    }

    void OnReadDone(bool ok) override {
      std::lock_guard lock(proxy_.mutex_);
      if (ok) {
        proxy_.StartWrite(&proxy_.response_);
      } else {
        // What is still sent has no reader.
        proxy_.end_reading();
        proxy_.end_writing();
      }
    }

    void OnWriteDone(bool ok) override {
      if (ok) {
        proxy_.StartRead(&proxy_.request_);
        return;
      }
      std::lock_guard lock(proxy_.mutex_);
      proxy_.end_writing();
    }

    void OnDone(const grpc::Status& status) override {
      pass_back(proxy_.client_context_, *proxy_.context_);
      proxy_.Finish(status);
      proxy_.let_go();
    }

   private:
    Proxy& proxy_;
  };

  void end_writing() {
    if (!writing_) return;
    writing_ = false;
    behind_.RemoveHold();
  }

  void end_reading() {
    if (!reading_) return;
    reading_ = false;
    behind_.RemoveHold();
  }

  void let_go() {
    if (halves_.fetch_sub(1) == 1) delete this;
  }

  grpc::GenericCallbackServerContext* context_;
  grpc::ClientContext client_context_;
  grpc::ByteBuffer request_, response_;
  Behind behind_{*this};
  // Recursive: what is started may end before the call that starts it returns.
  std::recursive_mutex mutex_;
  bool writing_ = true, reading_ = true;
  std::atomic<int> halves_{2};
};

}  // namespace

void pass_on(const grpc::CallbackServerContext& from, grpc::ClientContext& to) {
  for (const auto& [key_ref, value] : from.client_metadata()) {
    const std::string key = text_of(key_ref);
    if (key == kPeerKey || key == "user-agent" || starts_with(key, "grpc-") ||
        starts_with(key, ":"))
      continue;
    to.AddMetadata(key, text_of(value));
  }
  to.AddMetadata(kPeerKey, from.peer());
  const auto deadline = from.deadline();
  if (deadline != std::chrono::system_clock::time_point::max()) to.set_deadline(deadline);
}

void pass_back(const grpc::ClientContext& from, grpc::CallbackServerContext& to) {
  for (const auto& [key_ref, value] : from.GetServerTrailingMetadata()) {
    const std::string key = text_of(key_ref);
    if (starts_with(key, "grpc-") || starts_with(key, ":")) continue;
    to.AddTrailingMetadata(key, text_of(value));
  }
}

grpc::ServerGenericBidiReactor* ProxyService::CreateReactor(
    grpc::GenericCallbackServerContext* context) {
  return new Proxy(stub_, context);
}

}  // namespace aigc::ingress
