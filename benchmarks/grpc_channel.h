// Unary gRPC calls over one HTTP/2 connection with nghttp2, in one thread that never sleeps. It is as
// light as a load generator has to be that is not to be late itself: gRPC's own client takes a core at
// twice the calls that the server answers with one.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

struct Call {
  std::chrono::steady_clock::time_point due;
  const std::string* request = nullptr;  // behind gRPC's prefix of five bytes
  std::size_t sent = 0, received = 0;    // bytes, the prefix among them
  int status = -1;                       // gRPC's, of the trailers
};

class GrpcChannel {
 public:
  // address: numbers only, "127.0.0.1:50051". done: is given each call once, with its status;
  // UNAVAILABLE (14) is what ended without one.
  GrpcChannel(const std::string& address, const std::string& method, std::function<void(Call*)> done)
      : authority_(address), method_(method), done_(std::move(done)) {
    const std::size_t colon = address.rfind(':');
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address.c_str() + colon + 1)));
    if (inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr) != 1)
      throw std::invalid_argument("no address in numbers: " + address);
    socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
    if (connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
      throw std::runtime_error("nobody listens at " + address);
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    nghttp2_session_callbacks* callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_client_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1u << 24}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, 2);
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, 1 << 30);
    header(":method", "POST");
    header(":scheme", "http");
    header(":path", method_);
    header(":authority", authority_);
    header("te", "trailers");
    header("content-type", "application/grpc");
    header("user-agent", "ingress_load");
  }
  GrpcChannel(const GrpcChannel&) = delete;
  GrpcChannel& operator=(const GrpcChannel&) = delete;

  int socket() const { return socket_; }

  // It is on its way after flush().
  void begin(Call* call) {
    nghttp2_data_provider body{};
    body.source.ptr = call;
    body.read_callback = read_request;
    if (ended_ || nghttp2_submit_request(session_, nullptr, headers_.data(), headers_.size(), &body,
                                         call) < 0)
      fail(call);
  }

  void flush() {
    const std::uint8_t* data;
    for (ssize_t n; (n = nghttp2_session_mem_send(session_, &data)) > 0;)
      out_.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(n));
    while (!ended_ && !out_.empty()) {
      const ssize_t n = ::send(socket_, out_.data(), out_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0) {
        ended_ = errno != EAGAIN && errno != EINTR;
        return;
      }
      out_.erase(0, static_cast<std::size_t>(n));
    }
  }

  // What is there by now; false when the connection is at its end.
  bool read() {
    static std::uint8_t buffer[1 << 18];
    while (!ended_) {
      const ssize_t n = recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
      ended_ = n <= 0 || nghttp2_session_mem_recv(session_, buffer, static_cast<std::size_t>(n)) < 0;
      if (n < static_cast<ssize_t>(sizeof buffer)) break;
    }
    return !ended_;
  }

 private:
  // Both outlive the session.
  void header(const char* name, std::string_view value) {
    const auto bytes = [](const char* text) {
      return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text));
    };
    headers_.push_back({bytes(name), bytes(value.data()), std::strlen(name), value.size(),
                        NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE});
  }

  void fail(Call* call) {
    call->status = 14;
    done_(call);
  }

  static ssize_t read_request(nghttp2_session*, std::int32_t, std::uint8_t* out, std::size_t room,
                              std::uint32_t* flags, nghttp2_data_source* source, void*) {
    auto* call = static_cast<Call*>(source->ptr);
    const std::size_t n = std::min(room, call->request->size() - call->sent);
    std::memcpy(out, call->request->data() + call->sent, n);
    call->sent += n;
    if (call->sent == call->request->size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(n);
  }

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame,
                       const std::uint8_t* name, std::size_t size, const std::uint8_t* value,
                       std::size_t value_size, std::uint8_t, void*) {
    if (size != 11 || std::memcmp(name, "grpc-status", 11) != 0) return 0;
    if (auto* call = static_cast<Call*>(
            nghttp2_session_get_stream_user_data(session, frame->hd.stream_id)))
      call->status = std::atoi(std::string(reinterpret_cast<const char*>(value), value_size).c_str());
    return 0;
  }

  static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t stream,
                     const std::uint8_t*, std::size_t size, void*) {
    if (auto* call = static_cast<Call*>(nghttp2_session_get_stream_user_data(session, stream)))
      call->received += size;
    return 0;
  }

  static int on_close(nghttp2_session* session, std::int32_t stream, std::uint32_t, void* self) {
    auto* call = static_cast<Call*>(nghttp2_session_get_stream_user_data(session, stream));
    if (call == nullptr) return 0;
    if (call->status < 0) call->status = 14;
    static_cast<GrpcChannel*>(self)->done_(call);
    return 0;
  }

  const std::string authority_, method_;
  const std::function<void(Call*)> done_;
  int socket_ = -1;
  nghttp2_session* session_ = nullptr;
  std::vector<nghttp2_nv> headers_;
  std::string out_;
  bool ended_ = false;
};
