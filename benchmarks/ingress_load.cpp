// A light load generator for gRPC, and a constant server in grpc++ to compare with
// (benchmarks/ingress.py builds it).
//
//   ingress_load serve PORT BYTES
//     answers every hot call with so many bytes
//   ingress_load closed ADDRESS METHOD FILE SECONDS OUTSTANDING
//     as fast as it goes
//   ingress_load open ADDRESS METHOD FILE SECONDS RATE
//     calls a second, whatever becomes of the earlier ones
//   ingress_load pauses SECONDS
//     how long the core that it runs on stands still
//
// FILE holds requests, each behind its length (uint32, little-endian), sent in turn. The result is
// one line of JSON; in the open loop a call's time counts from when it was due, so that waiting to
// be sent is not left out. How late it was sent, which is the generator's doing, stands beside it.
#include <absl/synchronization/mutex.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <sys/epoll.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "grpc_channel.h"

using Clock = std::chrono::steady_clock;

namespace {

constexpr int kChannels = 8;
const char* const kMethod = "/aigc.v1.RecommendationService/Recommend";

class Constant final : public grpc::Service {
 public:
  explicit Constant(std::size_t bytes) : slice_(std::string(bytes, 'x')) {
    AddMethod(new grpc::internal::RpcServiceMethod(kMethod, grpc::internal::RpcMethod::NORMAL_RPC,
                                                   nullptr));
    MarkMethodRawCallback(
        0, new grpc::internal::CallbackUnaryHandler<grpc::ByteBuffer, grpc::ByteBuffer>(
               [this](grpc::CallbackServerContext* context, const grpc::ByteBuffer*,
                      grpc::ByteBuffer* response) {
                 *response = grpc::ByteBuffer(&slice_, 1);
                 auto* reactor = context->DefaultReactor();
                 reactor->Finish(grpc::Status::OK);
                 return reactor;
               }));
  }

 private:
  grpc::Slice slice_;
};

int serve(const char* port, const char* bytes) {
  Constant service(std::strtoul(bytes, nullptr, 10));
  grpc::ServerBuilder builder;
  builder.AddListeningPort(std::string("127.0.0.1:") + port, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  auto server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  server->Wait();
  return 0;
}

// A thread that only looks at the clock: what it misses, no server on this core can give. A call
// that comes at any moment and costs nothing would be answered at the end of the pause it fell in.
int pauses(double seconds) {
  constexpr double kShortest = 0.05;  // ms
  std::vector<double> found;
  found.reserve(1 << 20);
  const auto start = Clock::now();
  double last = 0.0, total = 0.0, longest = 0.0;
  while (last < seconds * 1000) {
    const double now = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    if (now - last >= kShortest && found.size() < found.capacity()) found.push_back(now - last);
    last = now;
  }
  for (const double pause : found) {
    total += pause;
    longest = std::max(longest, pause);
  }
  // The wait that one call in a hundred exceeds: the time left in pauses, above it, is 1 %.
  double low = 0.0, high = longest;
  for (int i = 0; i < 50; ++i) {
    const double middle = (low + high) / 2;
    double above = 0.0;
    for (const double pause : found) above += std::max(0.0, pause - middle);
    (above > seconds * 10 ? low : high) = middle;
  }
  std::printf("{\"pauses\": %zu, \"ms_a_second\": %.3f, \"longest_ms\": %.2f, \"p99_ms\": %.3f}\n",
              found.size(), total / seconds, longest, high);
  return 0;
}

// Each behind the prefix of a gRPC message: not compressed, its length.
std::vector<std::string> read_requests(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::string all((std::istreambuf_iterator<char>(file)), {});
  std::vector<std::string> requests;
  for (std::size_t at = 0; at + 4 <= all.size();) {
    std::uint32_t size;
    std::memcpy(&size, all.data() + at, 4);
    std::string request(1, '\0');
    for (int shift = 24; shift >= 0; shift -= 8) request.push_back(static_cast<char>(size >> shift));
    requests.push_back(request + all.substr(at + 4, size));
    at += 4 + size;
  }
  return requests;
}

// Empty, with pages behind so many numbers.
std::vector<double> room(std::size_t numbers) {
  std::vector<double> made(numbers);
  made.clear();
  return made;
}

double quantile(std::vector<double>& sorted, double q) {
  if (sorted.empty()) return 0.0;
  return sorted[std::min(sorted.size() - 1,
                         static_cast<std::size_t>(q * static_cast<double>(sorted.size())))];
}

int load(bool open, char** argv) {
  const std::string address = argv[0], method = argv[1];
  const auto requests = read_requests(argv[2]);
  const double seconds = std::atof(argv[3]), level = std::atof(argv[4]);
  std::size_t sent = 0, outstanding = 0, bytes = 0, most = 0;
  // In memory that is there already: what grows while it measures is late in sending.
  const double rate = open ? level : 100'000.0;
  const auto expected = static_cast<std::size_t>(rate * (seconds + 1.0));
  auto times = room(expected), refusals = room(expected), late = room(open ? expected : 0);
  std::vector<std::vector<double>> by_second;
  for (int i = 0; i <= static_cast<int>(seconds); ++i)
    by_second.push_back(room(static_cast<std::size_t>(rate * 1.1)));
  std::map<int, std::size_t> codes;
  std::vector<std::unique_ptr<GrpcChannel>> channels;
  const auto send = [&](Clock::time_point due) {
    auto* call = new Call;
    call->due = due;
    call->request = &requests[sent % requests.size()];
    most = std::max(most, ++outstanding);
    channels[sent++ % kChannels]->begin(call);
  };
  const auto start = Clock::now();
  const auto warm = start + std::chrono::milliseconds(500);
  const auto end =
      warm + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  const std::function<void(Call*)> done = [&](Call* call) {
    const auto now = Clock::now();
    --outstanding;
    if (now >= warm && now <= end) {
      ++codes[call->status];
      const double took = std::chrono::duration<double, std::milli>(now - call->due).count();
      (call->status == 0 ? times : refusals).push_back(took);
      // In the second it was due in, so that who waits long is not counted later.
      const auto second =
          std::chrono::duration_cast<std::chrono::seconds>(call->due - warm).count();
      if (call->status == 0 && call->due >= warm)
        by_second[static_cast<std::size_t>(second)].push_back(took);
      bytes += call->received - std::min<std::size_t>(call->received, 5);
    }
    delete call;
    if (!open && now < end) send(now);
  };
  const int events = epoll_create1(0);
  for (int i = 0; i < kChannels; ++i) {
    channels.push_back(std::make_unique<GrpcChannel>(address, method, done));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = channels.back().get();
    epoll_ctl(events, EPOLL_CTL_ADD, channels.back()->socket(), &event);
  }
  const std::chrono::duration<double> gap(1.0 / level);
  const auto due_at = [&](std::size_t i) {
    return start + std::chrono::duration_cast<Clock::duration>(gap * static_cast<double>(i));
  };
  if (!open)
    for (int i = 0; i < static_cast<int>(level); ++i) send(Clock::now());
  // Waits by asking again: a sleeping thread would wake up late and be counted against the server.
  for (std::size_t next = 0;;) {
    const auto now = Clock::now();
    for (; open && due_at(next) <= now && due_at(next) < end; ++next) {
      if (due_at(next) >= warm)
        late.push_back(std::chrono::duration<double, std::milli>(now - due_at(next)).count());
      send(due_at(next));
    }
    if (now >= end && (outstanding == 0 || now > end + std::chrono::seconds(10))) break;
    for (const auto& channel : channels) channel->flush();
    epoll_event ready[kChannels];
    const int n = epoll_wait(events, ready, kChannels, 0);
    for (int i = 0; i < n; ++i) {
      auto* channel = static_cast<GrpcChannel*>(ready[i].data.ptr);
      if (!channel->read()) epoll_ctl(events, EPOLL_CTL_DEL, channel->socket(), nullptr);
    }
  }
  std::sort(times.begin(), times.end());
  std::sort(refusals.begin(), refusals.end());
  std::sort(late.begin(), late.end());
  std::printf(
      "{\"rate\": %.1f, \"p50_ms\": %.4f, \"p99_ms\": %.4f, \"p999_ms\": %.4f, \"bytes\": %.1f, "
      "\"most\": %zu, "
      "\"refused_p99_ms\": %.4f, \"late_p99_ms\": %.4f, \"codes\": {",
      static_cast<double>(times.size()) / seconds, quantile(times, 0.5), quantile(times, 0.99),
      quantile(times, 0.999),
      static_cast<double>(bytes) / static_cast<double>(std::max<std::size_t>(1, times.size())),
      most, quantile(refusals, 0.99), quantile(late, 0.99));
  bool first = true;
  for (const auto& [code, count] : codes) {
    std::printf("%s\"%d\": %zu", first ? "" : ", ", code, count);
    first = false;
  }
  std::printf("}, \"p99_ms_by_second\": [");
  for (std::size_t i = 0; i + 1 < by_second.size(); ++i) {
    std::sort(by_second[i].begin(), by_second[i].end());
    std::printf("%s%.4f", i == 0 ? "" : ", ", quantile(by_second[i], 0.99));
  }
  std::printf("]}\n");
  std::fflush(stdout);
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  // As in the ingress: locks are not looked at for cycles, which Debian's Abseil does.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  if (argc == 4 && std::strcmp(argv[1], "serve") == 0) return serve(argv[2], argv[3]);
  if (argc == 3 && std::strcmp(argv[1], "pauses") == 0) return pauses(std::atof(argv[2]));
  if (argc == 7 && (std::strcmp(argv[1], "closed") == 0 || std::strcmp(argv[1], "open") == 0))
    return load(argv[1][0] == 'o', argv + 2);
  std::fprintf(stderr, "see the head of ingress_load.cpp\n");
  return 2;
}
