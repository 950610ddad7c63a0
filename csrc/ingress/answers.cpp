#include "answers.h"

#include <sys/random.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "wire.h"

namespace aigc::ingress {
namespace {

constexpr std::uint64_t kDefaultN = 20;
constexpr std::uint64_t kNeighbourItem = 1, kNeighbourUser = 2;

// Valid UTF-8 (no surrogate, nothing overlong) without a control character.
bool is_printable(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t j) { return static_cast<std::uint8_t>(text[j]); };
    const std::uint8_t first = byte(i);
    if (first < 0x80) {
      if (first < 0x20 || first == 0x7F) return false;
      ++i;
      continue;
    }
    const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || i + length > text.size()) return false;
    std::uint32_t point = first & (0xFFu >> (length + 1));
    for (std::size_t j = 1; j < length; ++j) {
      if ((byte(i + j) & 0xC0) != 0x80) return false;
      point = point << 6 | (byte(i + j) & 0x3F);
    }
    static constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < kLeast[length] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000) ||
        point < 0xA0)
      return false;
    i += length;
  }
  return true;
}

bool is_id(std::string_view text, const Limits& limits) {
  return !text.empty() && text.size() <= limits.id_bytes && is_printable(text);
}

bool read_n(WireReader& in, const Limits& limits, std::size_t& n) {
  std::uint64_t value = in.varint();
  if (value == 0) value = kDefaultN;
  n = static_cast<std::size_t>(value);
  return in.ok() && value <= limits.n;
}

bool add_id(WireReader& in, const Limits& limits, std::vector<std::string>& ids) {
  const std::string_view id = in.bytes();
  if (!in.ok() || !is_id(id, limits) || ids.size() >= limits.ids) return false;
  ids.emplace_back(id);
  return true;
}

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void write_reasons(const State& state, const Plan& plan, const RankedItem& item, std::string& out) {
  std::vector<std::pair<float, const std::string*>> sources;
  for (std::size_t s = 0; s < item.shares.size(); ++s)
    if (item.shares[s] > 0.0f) sources.emplace_back(item.shares[s], &plan.sources[s].name);
  if (sources.empty()) return;
  std::sort(sources.begin(), sources.end(), [](const auto& a, const auto& b) {
    return a.first > b.first || (a.first == b.first && *a.second < *b.second);
  });
  std::string reasons, part;
  WireWriter all(reasons), one(part);
  for (const auto& [share, name] : sources) {
    part.clear();
    one.text(1, *name);
    one.number(2, share);
    all.message(1, part);
  }
  for (const ItemShare& near : item.items) {
    part.clear();
    one.text(1, state.item_id(near.row));
    one.text(2, state.item_title(near.row));
    one.integer(3, kNeighbourItem);
    one.number(4, near.share);
    all.message(2, part);
  }
  for (const ItemShare& near : item.users) {
    part.clear();
    one.text(1, state.base().user_ids()[near.row]);
    one.integer(3, kNeighbourUser);
    one.number(4, near.share);
    all.message(2, part);
  }
  WireWriter(out).message(6, reasons);
}

void write_item(const State& state, const RankedItem& item, std::string& out) {
  WireWriter to(out);
  to.text(1, state.item_id(item.row));
  to.text(2, state.item_title(item.row));
  to.text(3, state.kind_name(state.item_kind(item.row)));
  to.number(4, item.score);
  to.integer(5, (state.flags(item.row) & kGenerated) != 0 ? 1 : 0);
}

}  // namespace

std::string random_hex(std::size_t bytes) {
  // One system call for many ids.
  static thread_local std::uint8_t pool[256];
  static thread_local std::size_t used = sizeof pool;
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes);
  while (text.size() < 2 * bytes) {
    if (used == sizeof pool) {
      for (std::size_t got = 0; got < sizeof pool;) {
        const ssize_t more = getrandom(pool + got, sizeof pool - got, 0);
        if (more > 0) got += static_cast<std::size_t>(more);
      }
      used = 0;
    }
    const std::uint8_t byte = pool[used++];
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

std::optional<RecommendRequest> parse_recommend(std::string_view bytes, const Routes& routes,
                                                const Limits& limits) {
  RecommendRequest request;
  Query& query = request.query;
  std::string_view strategy;
  query.n = kDefaultN;
  WireReader in(bytes);
  while (in.next()) {
    if (in.is(1, kBytes)) {
      const auto user = in.bytes();
      if (!user.empty() && !is_id(user, limits)) return std::nullopt;
      query.user_id = user;
    } else if (in.is(2, kVarint)) {
      if (!read_n(in, limits, query.n)) return std::nullopt;
    } else if (in.is(3, kBytes)) {
      strategy = in.bytes();
    } else if (in.is(4, kBytes)) {
      if (!add_id(in, limits, query.categories)) return std::nullopt;
    } else if (in.is(5, kBytes)) {
      if (!add_id(in, limits, query.kinds)) return std::nullopt;
    } else if (in.is(6, kBytes)) {
      if (!add_id(in, limits, query.allow)) return std::nullopt;
    } else if (in.is(7, kBytes)) {
      if (!add_id(in, limits, query.deny)) return std::nullopt;
    } else if (in.is(8, kBytes)) {
      const auto context = in.bytes();
      if (!context.empty() && !is_id(context, limits)) return std::nullopt;
      query.context_item = context;
    } else if (in.is(9, kVarint)) {
      query.exclude_seen = in.varint() == 0;
    } else if (in.is(10, kFixed32)) {
      query.diversity = in.fixed32();
      if (!(query.diversity >= 0.0f && query.diversity <= 1.0f)) return std::nullopt;
    } else if (in.is(11, kVarint)) {
      query.personalised = in.varint() == 0;
    } else if (in.is(12, kVarint)) {
      query.explain = in.varint() != 0;
    } else {
      return std::nullopt;
    }
  }
  if (!in.ok()) return std::nullopt;
  if (strategy.empty()) {
    if (routes.experiment && !query.user_id.empty()) return std::nullopt;
    strategy = "default";
  }
  const auto route = routes.by_name.find(strategy);
  if (route == routes.by_name.end()) return std::nullopt;
  request.route = &route->second;
  request.bytes = bytes;
  query.now_ms = now_ms();
  return request;
}

std::optional<std::vector<RecommendRequest>> parse_batch(std::string_view bytes,
                                                         const Routes& routes,
                                                         const Limits& limits) {
  std::vector<RecommendRequest> requests;
  WireReader in(bytes);
  while (in.next()) {
    if (!in.is(1, kBytes) || requests.size() >= limits.batch) return std::nullopt;
    auto request = parse_recommend(in.bytes(), routes, limits);
    if (!request) return std::nullopt;
    requests.push_back(std::move(*request));
  }
  if (!in.ok()) return std::nullopt;
  return requests;
}

std::optional<Query> parse_similar(std::string_view bytes, const Limits& limits) {
  Query query;
  query.n = kDefaultN;
  query.personalised = false;
  WireReader in(bytes);
  while (in.next()) {
    if (in.is(1, kBytes)) {
      query.context_item = in.bytes();
    } else if (in.is(2, kVarint)) {
      if (!read_n(in, limits, query.n)) return std::nullopt;
    } else if (in.is(3, kBytes)) {
      if (!add_id(in, limits, query.categories)) return std::nullopt;
    } else if (in.is(4, kBytes)) {
      if (!add_id(in, limits, query.kinds)) return std::nullopt;
    } else {
      return std::nullopt;
    }
  }
  if (!in.ok() || !is_id(query.context_item, limits)) return std::nullopt;
  query.now_ms = now_ms();
  return query;
}

Shown write_answer(const std::shared_ptr<const Routes>& routes, const RecommendRequest& request,
                   const Answer& answer, std::string& out) {
  static thread_local std::string part;
  const State& state = *routes->state;
  Shown shown{
      random_hex(12), request.query.user_id, request.route, routes, request.query.now_ms, {}, {}};
  shown.items.reserve(answer.items.size());
  WireWriter to(out);
  for (const RankedItem& item : answer.items) {
    part.clear();
    write_item(state, item, part);
    if (request.query.explain) write_reasons(state, request.route->plan, item, part);
    to.message(1, part);
    shown.items.emplace_back(state.item_id(item.row));
    if ((state.flags(item.row) & kGenerated) != 0) shown.generated.push_back(shown.items.back());
  }
  to.text(2, shown.id);
  out.append(request.route->tail);
  return shown;
}

void write_similar(const State& state, const Answer& answer, std::string& out) {
  std::string part;
  WireWriter to(out);
  for (const RankedItem& item : answer.items) {
    part.clear();
    write_item(state, item, part);
    to.message(1, part);
  }
}

}  // namespace aigc::ingress
