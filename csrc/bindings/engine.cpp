#include "aigc/engine.h"

#include <algorithm>

#include "bindings.h"

namespace aigc {
namespace {

struct Results {
  std::shared_ptr<State> state;
  py::array_t<std::int32_t> counts;
  py::array_t<std::uint32_t> rows;
  py::array_t<float> scores, shares;
  py::array_t<std::int64_t> neighbour_items;
  py::array_t<float> neighbour_item_shares;
  py::list neighbour_users;
};

Results to_results(std::shared_ptr<State> state, const std::vector<Answer>& answers,
                   const std::vector<Query>& queries, std::size_t n_sources) {
  const std::size_t b = answers.size(), h = kExplainNeighbours;
  std::size_t n = 0;
  bool explained = false;
  for (const Query& query : queries) explained = explained || query.explain;
  for (const Answer& answer : answers) n = std::max(n, answer.items.size());
  std::vector<std::int32_t> counts(b);
  std::vector<std::uint32_t> rows(b * n);
  std::vector<float> scores(b * n);
  std::vector<float> shares(explained ? b * n * n_sources : 0);
  std::vector<std::int64_t> items(explained ? b * n * h : 0, -1);
  std::vector<float> item_shares(explained ? b * n * h : 0);
  py::list users;
  for (std::size_t i = 0; i < b; ++i) {
    counts[i] = static_cast<std::int32_t>(answers[i].items.size());
    py::list of_query;
    for (std::size_t j = 0; j < answers[i].items.size(); ++j) {
      const RankedItem& item = answers[i].items[j];
      rows[i * n + j] = item.row;
      scores[i * n + j] = item.score;
      if (!explained) continue;
      std::copy(item.shares.begin(), item.shares.end(),
                shares.begin() + static_cast<std::ptrdiff_t>((i * n + j) * n_sources));
      for (std::size_t k = 0; k < item.items.size(); ++k) {
        items[(i * n + j) * h + k] = item.items[k].row;
        item_shares[(i * n + j) * h + k] = item.items[k].share;
      }
      py::list of_item;
      for (const ItemShare& user : item.users) {
        const auto id = state->base().user_ids()[user.row];
        of_item.append(py::make_tuple(py::str(id.data(), id.size()), user.share));
      }
      of_query.append(of_item);
    }
    if (explained) users.append(of_query);
  }
  const auto side = [](std::size_t x) { return static_cast<py::ssize_t>(x); };
  const std::size_t be = explained ? b : 0;
  return {std::move(state),
          to_array(std::move(counts)),
          to_array(std::move(rows), {side(b), side(n)}),
          to_array(std::move(scores), {side(b), side(n)}),
          to_array(std::move(shares), {side(be), side(n), side(n_sources)}),
          to_array(std::move(items), {side(be), side(n), side(h)}),
          to_array(std::move(item_shares), {side(be), side(n), side(h)}),
          std::move(users)};
}

Results recommend(const Engine& engine, const std::vector<Query>& queries, const Plan& plan) {
  std::pair<std::shared_ptr<State>, std::vector<Answer>> done;
  {
    py::gil_scoped_release release;
    done = engine.recommend(queries, plan);
  }
  return to_results(std::move(done.first), done.second, queries, plan.sources.size());
}

py::tuple user_vectors(const Engine& engine, const std::vector<std::string>& users,
                       py::ssize_t history_limit, float half_life_days) {
  Plan plan;
  plan.sources.resize(1);
  plan.history_limit = static_cast<std::size_t>(std::max<py::ssize_t>(history_limit, 1));
  plan.half_life_days = half_life_days;
  const auto state = engine.state();
  const std::size_t d = state->base().embedding_size;
  std::vector<float> vectors(users.size() * d, 0.0f);
  py::array_t<bool> present(static_cast<py::ssize_t>(users.size()));
  bool* there = present.mutable_data();
  {
    py::gil_scoped_release release;
    for (std::size_t i = 0; i < users.size(); ++i) {
      const auto vector = user_vector(*state, users[i], plan);
      there[i] = !vector.empty();
      std::copy(vector.begin(), vector.end(), vectors.begin() + static_cast<std::ptrdiff_t>(i * d));
    }
  }
  return py::make_tuple(to_array(std::move(vectors), {static_cast<py::ssize_t>(users.size()),
                                                      static_cast<py::ssize_t>(d)}),
                        present);
}

py::tuple similar_users(const Engine& engine, const std::string& user, py::ssize_t n) {
  if (n < 1) throw py::value_error("n is " + std::to_string(n) + "; give at least 1");
  std::vector<std::pair<std::string, float>> found;
  {
    py::gil_scoped_release release;
    found = engine.similar_users(user, static_cast<std::size_t>(n));
  }
  std::vector<std::string> ids;
  std::vector<float> scores;
  for (auto& [id, score] : found) {
    ids.push_back(std::move(id));
    scores.push_back(score);
  }
  return py::make_tuple(ids, to_array(std::move(scores)));
}

}  // namespace

void register_engine(py::module_& module) {
  py::class_<Results>(module, "Results", py::is_final())
      .def_property_readonly("state", [](const Results& r) { return r.state; })
      .def_property_readonly("counts", [](const Results& r) { return r.counts; })
      .def_property_readonly("rows", [](const Results& r) { return r.rows; })
      .def_property_readonly("scores", [](const Results& r) { return r.scores; })
      .def_property_readonly("shares", [](const Results& r) { return r.shares; })
      .def_property_readonly("neighbour_items", [](const Results& r) { return r.neighbour_items; })
      .def_property_readonly("neighbour_item_shares",
                             [](const Results& r) { return r.neighbour_item_shares; })
      .def_property_readonly("neighbour_users", [](const Results& r) { return r.neighbour_users; });
  py::class_<Engine>(module, "Engine", py::is_final())
      .def(py::init<>())
      .def("publish", &Engine::publish, py::arg("state"), py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("state", &Engine::state)
      .def("recommend", &recommend, py::arg("queries"), py::arg("plan"))
      .def("user_vectors", &user_vectors, py::arg("user_ids"), py::kw_only(),
           py::arg("history_limit") = 100, py::arg("half_life_days") = 0.0f)
      .def("similar_users", &similar_users, py::arg("user_id"), py::arg("n"));
}

}  // namespace aigc
