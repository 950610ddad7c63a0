#include "aigc/plan.h"

#include <cmath>
#include <set>
#include <stdexcept>

namespace aigc {
namespace {

template <typename T>
T parse(const char* what, const std::string& name,
        const std::vector<std::pair<const char*, T>>& known) {
  std::string names;
  for (const auto& [key, value] : known) {
    if (name == key) return value;
    names += (names.empty() ? "" : ", ") + std::string(key);
  }
  throw std::invalid_argument(std::string(what) + " is '" + name + "'; give one of " + names);
}

void within(const std::string& what, double value, double low, double high) {
  if (!(value >= low && value <= high))
    throw std::invalid_argument(what + " is " + std::to_string(value) + "; give a number from " +
                                std::to_string(low) + " to " + std::to_string(high));
}

}  // namespace

SourceKind parse_source_kind(const std::string& name) {
  return parse<SourceKind>("source kind", name,
                           {{"item_item", SourceKind::kItemItem},
                            {"user_user", SourceKind::kUserUser},
                            {"popular", SourceKind::kPopular},
                            {"fresh", SourceKind::kFresh},
                            {"interests", SourceKind::kInterests},
                            {"vector", SourceKind::kVector}});
}

Calibration parse_calibration(const std::string& name) {
  return parse<Calibration>(
      "calibration", name,
      {{"max", Calibration::kMax}, {"rank", Calibration::kRank}, {"none", Calibration::kNone}});
}

Reranker parse_reranker(const std::string& name) {
  return parse<Reranker>(
      "reranker", name,
      {{"none", Reranker::kNone}, {"mmr", Reranker::kMmr}, {"dpp", Reranker::kDpp}});
}

void Plan::verify() const {
  constexpr double kMany = 1e9;
  if (sources.empty()) throw std::invalid_argument("sources is empty; give at least one");
  if (sources.size() > 16)
    throw std::invalid_argument("sources has " + std::to_string(sources.size()) +
                                " entries; at most 16 are allowed");
  std::set<std::string> names;
  for (const auto& source : sources) {
    const std::string at = "source '" + source.name + "': ";
    if (!names.insert(source.name).second) throw std::invalid_argument(at + "stands twice");
    within(at + "weight", source.weight, 0, kMany);
    within(at + "limit", static_cast<double>(source.limit), 1, kMany);
    within(at + "min_share", source.min_share, 0, 1);
    within(at + "max_share", source.max_share, 0, 1);
  }
  within("diversity", diversity, 0, 1);
  within("rerank_candidates", static_cast<double>(rerank_candidates), 1, kMany);
  within("history_limit", static_cast<double>(history_limit), 1, kMany);
  within("half_life_days", half_life_days, 0, kMany);
  within("fresh_half_life_days", fresh_half_life_days, 1e-6, kMany);
  within("user_neighbours", static_cast<double>(user_neighbours), 1, kMany);
  within("max_generated_share", max_generated_share, 0, 1);
}

}  // namespace aigc
