#include "aigc/plan.h"

#include <cmath>
#include <optional>

#include "bindings.h"

namespace aigc {
namespace {

std::size_t count(py::ssize_t value, const char* name) {
  if (value < 0)
    throw py::value_error(std::string(name) + " is " + std::to_string(value) + "; give 0 or more");
  return static_cast<std::size_t>(value);
}

const char* kind_name(SourceKind kind) {
  static const char* const names[] = {"item_item", "user_user", "popular",
                                      "fresh",     "interests", "vector"};
  return names[static_cast<int>(kind)];
}

Source make_source(const std::string& kind, const std::string& name, float weight,
                   py::ssize_t limit, float min_share, float max_share, bool fallback) {
  return {
      parse_source_kind(kind), name, weight, count(limit, "limit"), min_share, max_share, fallback};
}

Plan make_plan(std::vector<Source> sources, const std::string& calibration,
               const std::string& reranker, float diversity, py::ssize_t rerank_candidates,
               py::ssize_t history_limit, float half_life_days, float fresh_half_life_days,
               py::ssize_t user_neighbours, float max_generated_share) {
  Plan plan{std::move(sources),
            parse_calibration(calibration),
            parse_reranker(reranker),
            diversity,
            count(rerank_candidates, "rerank_candidates"),
            count(history_limit, "history_limit"),
            half_life_days,
            fresh_half_life_days,
            count(user_neighbours, "user_neighbours"),
            max_generated_share};
  plan.verify();
  return plan;
}

Query make_query(std::int64_t now_ms, std::string user_id, py::ssize_t n,
                 std::vector<std::string> categories, std::vector<std::string> kinds,
                 std::vector<std::string> allow, std::vector<std::string> deny,
                 std::string context_item, bool exclude_seen, bool personalised, bool explain,
                 std::optional<float> diversity, const py::object& vector_rows,
                 const py::object& vector_scores) {
  Query query;
  query.now_ms = now_ms;
  query.user_id = std::move(user_id);
  query.n = count(n, "n");
  if (query.n == 0) throw py::value_error("n is 0; give at least 1");
  query.categories = std::move(categories);
  query.kinds = std::move(kinds);
  query.allow = std::move(allow);
  query.deny = std::move(deny);
  query.context_item = std::move(context_item);
  query.exclude_seen = exclude_seen;
  query.personalised = personalised;
  query.explain = explain;
  if (diversity.has_value()) {
    if (!(*diversity >= 0.0f && *diversity <= 1.0f))
      throw py::value_error("diversity is " + std::to_string(*diversity) +
                            "; give a number from 0 to 1");
    query.diversity = *diversity;
  }
  if (!vector_rows.is_none()) {
    const auto rows = require<std::uint32_t>(vector_rows, "vector_rows", 1);
    query.vector_rows.assign(rows.data(), rows.data() + rows.size());
  }
  if (!vector_scores.is_none()) {
    const auto scores = require<float>(vector_scores, "vector_scores", 1);
    query.vector_scores.assign(scores.data(), scores.data() + scores.size());
  }
  return query;
}

}  // namespace

void register_plan(py::module_& module) {
  py::class_<Source>(module, "Source", py::is_final())
      .def(py::init(&make_source), py::kw_only(), py::arg("kind"), py::arg("name"),
           py::arg("weight") = 1.0f, py::arg("limit") = 200, py::arg("min_share") = 0.0f,
           py::arg("max_share") = 1.0f, py::arg("fallback") = false)
      .def_property_readonly("kind", [](const Source& source) { return kind_name(source.kind); })
      .def_property_readonly("name", [](const Source& source) { return source.name; });
  py::class_<Plan>(module, "Plan", py::is_final())
      .def(py::init(&make_plan), py::kw_only(), py::arg("sources"), py::arg("calibration") = "max",
           py::arg("reranker") = "none", py::arg("diversity") = 0.0f,
           py::arg("rerank_candidates") = 200, py::arg("history_limit") = 100,
           py::arg("half_life_days") = 0.0f, py::arg("fresh_half_life_days") = 30.0f,
           py::arg("user_neighbours") = 50, py::arg("max_generated_share") = 1.0f);
  const std::vector<std::string> none;
  py::class_<Query>(module, "Query", py::is_final())
      .def(py::init(&make_query), py::kw_only(), py::arg("now_ms"), py::arg("user_id") = "",
           py::arg("n") = 20, py::arg("categories") = none, py::arg("kinds") = none,
           py::arg("allow") = none, py::arg("deny") = none, py::arg("context_item") = "",
           py::arg("exclude_seen") = true, py::arg("personalised") = true,
           py::arg("explain") = false, py::arg("diversity") = py::none(),
           py::arg("vector_rows") = py::none(), py::arg("vector_scores") = py::none());
}

}  // namespace aigc
