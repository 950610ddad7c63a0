#include "hot_call.h"

#include <algorithm>
#include <exception>
#include <map>
#include <optional>

#include "wire.h"

namespace aigc::ingress {
namespace {

const char* code_name(grpc::StatusCode code) {
  static const char* const names[] = {"OK",
                                      "CANCELLED",
                                      "UNKNOWN",
                                      "INVALID_ARGUMENT",
                                      "DEADLINE_EXCEEDED",
                                      "NOT_FOUND",
                                      "ALREADY_EXISTS",
                                      "PERMISSION_DENIED",
                                      "RESOURCE_EXHAUSTED",
                                      "FAILED_PRECONDITION",
                                      "ABORTED",
                                      "OUT_OF_RANGE",
                                      "UNIMPLEMENTED",
                                      "INTERNAL",
                                      "UNAVAILABLE",
                                      "DATA_LOSS",
                                      "UNAUTHENTICATED"};
  return code >= 0 && code <= 16 ? names[code] : "UNKNOWN";
}

// What a model made is labelled in words, which Python has.
bool any_generated(const State& state, const Answer& answer) {
  return std::any_of(answer.items.begin(), answer.items.end(), [&state](const RankedItem& item) {
    return (state.flags(item.row) & kGenerated) != 0;
  });
}

std::string_view text_of(const grpc::Slice& slice) {
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

grpc::ByteBuffer buffer_of(std::string_view bytes) {
  grpc::Slice slice(bytes.data(), bytes.size());
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace

HotCall::HotCall(Server& server, Method method, grpc::CallbackServerContext* context,
                 const grpc::ByteBuffer* request, grpc::ByteBuffer* response)
    : server_(server), method_(method), context_(context), received_(request), response_(response) {
  if (!request->DumpToSingleSlice(&request_).ok()) request_ = grpc::Slice();
}

std::string_view HotCall::request() const { return text_of(request_); }

void HotCall::begin() {
  if (!received_->Valid()) {
    // Its caller has gone, or half-closed, before there was a message. There is nothing to pass on
    // either: gRPC aborts the process that sends no buffer.
    fail(grpc::StatusCode::CANCELLED, "the call ended before its message had come", "",
         "CANCELLED");
    return;
  }
  const Limits& limits = server_.options_.limits;
  switch (method_) {
    case Method::kHealthCheck:
      answer_health();
      return;
    case Method::kRecordEvents:
      if (server_.options_.pass_all) {
        forward();
        return;
      }
      if (!server_.recording_.put(this)) refuse();
      return;
    default: {
      routes_ = server_.routes();
      if (routes_ != nullptr && answer_kept()) return;
      bool plain = false;
      if (routes_ != nullptr && method_ == Method::kRecommend) {
        if (auto one = parse_recommend(request(), *routes_, limits)) {
          std::vector<RecommendRequest> only;
          only.push_back(std::move(*one));
          ask(std::move(only));
          plain = true;
        }
      } else if (routes_ != nullptr && method_ == Method::kBatchRecommend) {
        if (auto many = parse_batch(request(), *routes_, limits)) {
          ask(std::move(*many));
          plain = true;
        }
      } else if (routes_ != nullptr) {
        if (auto query = parse_similar(request(), limits)) {
          similar_ = std::move(*query);
          plain = true;
        }
      }
      if (!plain) {
        forward();
        return;
      }
    }
  }
  if (!needs_search())
    rank();
  else if (!server_.searching_.put(this))
    refuse();
}

void HotCall::ask(std::vector<RecommendRequest> requests) {
  asked_.reserve(requests.size());
  for (RecommendRequest& request : requests) {
    Asked& asked = asked_.emplace_back();
    // Of one request alone it is known that none was kept.
    if (method_ == Method::kBatchRecommend)
      asked.kept = server_.kept_recommend_.find(request.bytes, *routes_);
    asked.request = std::move(request);
  }
}

bool HotCall::needs_search() const {
  return std::any_of(asked_.begin(), asked_.end(), [](const Asked& asked) {
    return !asked.kept && asked.request.route->vectors > 0;
  });
}

void HotCall::searches(std::vector<Search>& out) {
  for (std::size_t i = 0; i < asked_.size(); ++i) {
    const RecommendRequest& request = asked_[i].request;
    const Query& query = request.query;
    if (asked_[i].kept || request.route->vectors == 0 || !query.personalised) continue;
    asked_[i].moment.emplace(*routes_, query.user_id);
    auto vector = user_vector(*routes_->state, query.user_id, request.route->plan);
    if (!vector.empty())
      out.push_back({0, i, routes_->number, request.route->vectors, std::move(vector)});
  }
}

void HotCall::found(std::size_t place, std::vector<std::uint32_t> rows, std::vector<float> scores) {
  Query& query = asked_.at(place).request.query;
  query.vector_rows = std::move(rows);
  query.vector_scores = std::move(scores);
}

void HotCall::rank() {
  if (!server_.native_.put(this)) refuse();
}

void HotCall::refuse() {
  fail(grpc::StatusCode::RESOURCE_EXHAUSTED, server_.options_.busy_message,
       server_.options_.busy_details, "SERVER_BUSY");
}

void HotCall::work() {
  if (!wanted()) return;
  // Who asked the same at the same time may have had it made meanwhile.
  if (answer_kept()) return;
  bool done = false;
  try {
    done = method_ == Method::kSimilarItems ? answer_similar() : answer_recommend();
  } catch (const std::exception&) {
    // Whatever it was, Python finds the words for it.
  }
  if (!done) forward();
}

bool HotCall::wanted() {
  waited_ = std::chrono::steady_clock::now() - started_;
  if (context_->deadline() <= std::chrono::system_clock::now()) {
    fail(grpc::StatusCode::DEADLINE_EXCEEDED, server_.options_.late_message,
         server_.options_.late_details, "DEADLINE_EXCEEDED");
    return false;
  }
  if (cancelled_.load()) {
    fail(grpc::StatusCode::CANCELLED, "", "", "CANCELLED");
    return false;
  }
  return true;
}

void HotCall::answer_health() {
  std::string service;
  WireReader in(request());
  while (in.next()) {
    if (!in.is(1, kBytes)) break;
    service = in.bytes();
  }
  bool serving = false;
  {
    std::shared_lock lock(server_.health_mutex_);
    const auto found = server_.health_.find(service);
    if (!in.ok() || found == server_.health_.end()) {
      lock.unlock();
      forward();
      return;
    }
    serving = found->second;
  }
  // HealthCheckResponse.status: SERVING or NOT_SERVING.
  *response_ = buffer_of(serving ? "\x08\x01" : "\x08\x02");
  Finish(grpc::Status::OK);
}

// The part of each list that generated items may fill, so that over time they keep theirs
// (Exposure.room). One for all requests of a strategy, before any of them is answered.
double HotCall::generated_share(const Route& route) const {
  if (route.share_over_time >= 1.0) return route.max_generated_share;
  double wanted = 0.0;
  for (const Asked& asked : asked_)
    if (asked.request.route == &route) wanted += static_cast<double>(asked.request.query.n);
  const auto [shown, generated] = server_.notes_.totals(route.window);
  const double room = (route.share_over_time * (shown + wanted) - generated) / wanted;
  return std::min(route.max_generated_share, std::min(1.0, std::max(0.0, room)));
}

// On gRPC's own thread: it costs less than to wake another.
bool HotCall::answer_kept() {
  if (method_ == Method::kBatchRecommend) return false;
  auto& kept = method_ == Method::kRecommend ? server_.kept_recommend_ : server_.kept_similar_;
  const auto found = kept.find(request(), *routes_);
  if (!found) return false;
  *response_ = grpc::ByteBuffer(&found->response, 1);
  note(grpc::StatusCode::OK, "", 1, method_ == Method::kRecommend ? found->n_items : 0);
  Finish(grpc::Status::OK);
  return true;
}

bool HotCall::answer_recommend() {
  static thread_local std::string out, part;
  out.clear();
  std::vector<Shown> shown;
  shown.reserve(asked_.size());
  // Plans whose share of generated items is smaller just now than their strategy says.
  std::map<const Route*, std::optional<Plan>> plans;
  for (const auto& [request, kept, moment] : asked_) {
    const auto [place, is_new] = plans.try_emplace(request.route);
    if (!is_new) continue;
    const double share = generated_share(*request.route);
    if (share >= request.route->max_generated_share) continue;
    place->second = request.route->plan;
    place->second->max_generated_share = static_cast<float>(share);
  }
  WireWriter batch(out);
  std::size_t n_kept = 0, n_shown = 0;
  for (const auto& [request, kept, searched] : asked_) {
    if (kept) {
      batch.message(1, text_of(kept->response));
      ++n_kept;
      n_shown += kept->n_items;
      continue;
    }
    const Moment moment = searched ? *searched : Moment(*routes_, request.query.user_id);
    const auto& narrowed = plans[request.route];
    const Answer found =
        aigc::answer(*routes_->state, narrowed ? *narrowed : request.route->plan, request.query);
    if (any_generated(*routes_->state, found)) return false;
    part.clear();
    shown.push_back(write_answer(routes_, request, found, part));
    const KeptAnswer made{grpc::Slice(part), found.items.size()};
    // What was made by a share of just now is for just now.
    if (!narrowed) server_.kept_recommend_.keep(request.bytes, moment, made);
    if (method_ == Method::kBatchRecommend)
      batch.message(1, part);
    else
      *response_ = grpc::ByteBuffer(&made.response, 1);
  }
  if (method_ == Method::kBatchRecommend) *response_ = buffer_of(out);
  server_.notes_.shown(std::move(shown));
  note(grpc::StatusCode::OK, "", n_kept, n_shown);
  Finish(grpc::Status::OK);
  return true;
}

bool HotCall::answer_similar() {
  const State& state = *routes_->state;
  const Moment moment(*routes_, similar_.user_id);
  if (state.item_row(similar_.context_item) == kNoRow) return false;
  const Answer found = aigc::answer(state, routes_->similar, similar_);
  if (any_generated(state, found)) return false;
  std::string out;
  write_similar(state, found, out);
  const KeptAnswer made{grpc::Slice(out), found.items.size()};
  server_.kept_similar_.keep(request(), moment, made);
  *response_ = grpc::ByteBuffer(&made.response, 1);
  note(grpc::StatusCode::OK, "");
  Finish(grpc::Status::OK);
  return true;
}

void HotCall::succeed(std::string_view response) {
  *response_ = buffer_of(response);
  note(grpc::StatusCode::OK, "");
  Finish(grpc::Status::OK);
}

void HotCall::fail(grpc::StatusCode code, const std::string& message, const std::string& details,
                   const char* reason) {
  note(code, reason);
  Finish(grpc::Status(code, message, details));
}

void HotCall::forward() {
  behind_ = std::make_unique<grpc::ClientContext>();
  pass_on(*context_, *behind_);
  forwarded_.store(behind_.get());
  if (cancelled_.load()) behind_->TryCancel();
  server_.stub_.UnaryCall(
      behind_.get(), method_path(method_), {}, received_, response_, [this](grpc::Status status) {
        for (const auto& [key, value] : behind_->GetServerInitialMetadata())
          context_->AddInitialMetadata({key.data(), key.size()}, {value.data(), value.size()});
        pass_back(*behind_, *context_);
        Finish(std::move(status));
      });
}

void HotCall::OnCancel() {
  cancelled_.store(true);
  if (grpc::ClientContext* behind = forwarded_.load()) behind->TryCancel();
}

void HotCall::OnDone() {
  Pollers& pollers = server_.pollers_;
  delete this;
  // gRPC has still to let go of the call, which costs nobody anything.
  pollers.stand_by();
}

void HotCall::note(grpc::StatusCode code, const char* reason, std::size_t n_kept,
                   std::size_t n_shown) {
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  std::string peer;
  std::string_view request_id;
  if (server_.notes_.logs(seconds)) {
    peer = context_->peer();
    const auto& metadata = context_->client_metadata();
    const auto found = metadata.find("x-request-id");
    if (found != metadata.end()) request_id = {found->second.data(), found->second.size()};
  }
  server_.notes_.call({method_path(method_), code_name(code), reason, seconds, waited_.count(),
                       peer, request_id, n_kept, n_shown});
}

}  // namespace aigc::ingress
