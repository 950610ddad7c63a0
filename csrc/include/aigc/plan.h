// What a strategy asks of the Engine (Plan), and what a caller asks (Query).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace aigc {

enum class SourceKind { kItemItem, kUserUser, kPopular, kFresh, kInterests, kVector };
enum class Calibration { kMax, kRank, kNone };
enum class Reranker { kNone, kMmr, kDpp };

// All three throw std::invalid_argument that names the known values.
SourceKind parse_source_kind(const std::string& name);
Calibration parse_calibration(const std::string& name);
Reranker parse_reranker(const std::string& name);

struct Source {
  SourceKind kind = SourceKind::kPopular;
  std::string name;  // of the model, for kItemItem
  float weight = 1.0f;
  std::size_t limit = 200;
  float min_share = 0.0f;
  float max_share = 1.0f;
  bool fallback = false;
};

struct Plan {
  std::vector<Source> sources;
  Calibration calibration = Calibration::kMax;
  Reranker reranker = Reranker::kNone;
  float diversity = 0.0f;
  std::size_t rerank_candidates = 200;
  std::size_t history_limit = 100;
  float half_life_days = 0.0f;
  float fresh_half_life_days = 30.0f;
  std::size_t user_neighbours = 50;
  float max_generated_share = 1.0f;

  // Throws std::invalid_argument that names the field, the value and what is allowed.
  void verify() const;
};

struct Query {
  std::int64_t now_ms = 0;
  std::string user_id;
  std::size_t n = 20;
  std::vector<std::string> categories;
  std::vector<std::string> kinds;
  std::vector<std::string> allow;
  std::vector<std::string> deny;
  std::string context_item;
  bool exclude_seen = true;
  bool personalised = true;
  bool explain = false;
  float diversity = -1.0f;  // below 0: the plan's
  std::vector<std::uint32_t> vector_rows;
  std::vector<float> vector_scores;
};

}  // namespace aigc
