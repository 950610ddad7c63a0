#include "aigc/state.h"

#include <algorithm>

#include "bindings.h"

namespace aigc {
namespace {

using Arrays = py::dict;

template <typename T>
View<T> view(const Arrays& arrays, const std::string& name, int dimensions = 1) {
  if (!arrays.contains(name.c_str()))
    throw py::value_error("snapshot array '" + name + "' is missing");
  const auto array = require<T>(arrays[name.c_str()], "snapshot array '" + name + "'", dimensions);
  return {array.data(), static_cast<std::size_t>(array.size())};
}

std::size_t rows(const Arrays& arrays, const char* offsets) {
  const auto found = view<std::int64_t>(arrays, offsets);
  if (found.size == 0)
    throw py::value_error("snapshot array '" + std::string(offsets) + "' is empty, expected n + 1");
  return found.size - 1;
}

std::shared_ptr<State> make_state(const Arrays& arrays, const std::vector<std::string>& models,
                                  std::vector<std::string> kinds,
                                  std::vector<std::string> categories, py::ssize_t embedding_size,
                                  bool verify) {
  if (embedding_size < 1)
    throw py::value_error("embedding_size is " + std::to_string(embedding_size) +
                          "; give at least 1");
  Snapshot s;
  s.n_items = rows(arrays, "item_id_offsets");
  s.n_users = rows(arrays, "user_id_offsets");
  s.embedding_size = static_cast<std::size_t>(embedding_size);
  s.kinds = std::move(kinds);
  s.categories = std::move(categories);
  s.item_id_offsets = view<std::int64_t>(arrays, "item_id_offsets");
  s.item_id_bytes = view<std::uint8_t>(arrays, "item_id_bytes");
  s.item_id_slots = view<std::uint32_t>(arrays, "item_id_slots");
  s.item_title_offsets = view<std::int64_t>(arrays, "item_title_offsets");
  s.item_title_bytes = view<std::uint8_t>(arrays, "item_title_bytes");
  s.item_kinds = view<std::uint8_t>(arrays, "item_kinds");
  s.item_category_offsets = view<std::int64_t>(arrays, "item_category_offsets");
  s.item_categories = view<std::uint32_t>(arrays, "item_categories");
  s.item_flags = view<std::uint8_t>(arrays, "item_flags");
  s.item_created = view<std::int64_t>(arrays, "item_created");
  s.item_embeddings = view<float>(arrays, "item_embeddings", 2);
  s.item_popularity = view<float>(arrays, "item_popularity");
  s.popular_order = view<std::uint32_t>(arrays, "popular_order");
  s.fresh_order = view<std::uint32_t>(arrays, "fresh_order");
  s.item_idf = view<float>(arrays, "item_idf");
  s.user_id_offsets = view<std::int64_t>(arrays, "user_id_offsets");
  s.user_id_bytes = view<std::uint8_t>(arrays, "user_id_bytes");
  s.user_id_slots = view<std::uint32_t>(arrays, "user_id_slots");
  s.history_offsets = view<std::int64_t>(arrays, "history_offsets");
  s.history_items = view<std::uint32_t>(arrays, "history_items");
  s.history_weights = view<float>(arrays, "history_weights");
  s.history_times = view<std::uint32_t>(arrays, "history_times");
  s.seen_offsets = view<std::int64_t>(arrays, "seen_offsets");
  s.seen_items = view<std::uint32_t>(arrays, "seen_items");
  s.item_user_offsets = view<std::int64_t>(arrays, "item_user_offsets");
  s.item_users = view<std::uint32_t>(arrays, "item_users");
  s.user_norms = view<float>(arrays, "user_norms");
  for (const auto& name : models)
    s.models.push_back({name, view<std::int64_t>(arrays, "model_" + name + "_offsets"),
                        view<std::uint32_t>(arrays, "model_" + name + "_items"),
                        view<float>(arrays, "model_" + name + "_weights")});
  // The last holder may be a thread of the Engine, which has no GIL: take it to let go of the
  // arrays.
  s.owner = std::shared_ptr<void>(arrays.inc_ref().ptr(), [](void* object) {
    py::gil_scoped_acquire acquire;
    py::handle(static_cast<PyObject*>(object)).dec_ref();
  });
  py::gil_scoped_release release;
  s.verify(verify);
  return std::make_shared<State>(std::move(s));
}

const std::uint32_t* checked_rows(const State& state, const py::array_t<std::uint32_t>& rows) {
  const std::size_t n = state.n_items();
  for (py::ssize_t i = 0; i < rows.size(); ++i)
    if (rows.data()[i] >= n)
      throw py::value_error("row " + std::to_string(rows.data()[i]) + " is no item's: there are " +
                            std::to_string(n));
  return rows.data();
}

using Rows = py::array_t<std::uint32_t, py::array::c_style | py::array::forcecast>;

template <typename F>
py::list map_rows(const State& state, const Rows& rows, F&& get) {
  const std::uint32_t* data = checked_rows(state, rows);
  py::list out(static_cast<std::size_t>(rows.size()));
  for (py::ssize_t i = 0; i < rows.size(); ++i) {
    const auto text = get(data[i]);
    out[static_cast<std::size_t>(i)] = py::str(text.data(), text.size());
  }
  return out;
}

py::array_t<bool> map_flags(const State& state, const Rows& rows, std::uint8_t mask, bool any) {
  const std::uint32_t* data = checked_rows(state, rows);
  py::array_t<bool> out(rows.size());
  for (py::ssize_t i = 0; i < rows.size(); ++i)
    out.mutable_data()[i] = ((state.flags(data[i]) & mask) != 0) == any;
  return out;
}

py::array_t<std::uint32_t> upsert(State& state, const std::vector<std::string>& ids,
                                  const std::vector<std::string>& titles,
                                  const std::vector<std::string>& kinds,
                                  const std::vector<std::vector<std::string>>& categories,
                                  const py::object& hidden_in, const py::object& generated_in,
                                  const py::object& created_in, const py::object& embeddings_in) {
  const auto hidden = require<bool>(hidden_in, "hidden", 1);
  const auto generated = require<bool>(generated_in, "generated", 1);
  const auto created = require<std::int64_t>(created_in, "created_ms", 1);
  const auto embeddings = require<float>(embeddings_in, "embeddings", 2);
  const std::size_t n = ids.size(), d = state.base().embedding_size;
  if (titles.size() != n || kinds.size() != n || categories.size() != n ||
      static_cast<std::size_t>(hidden.size()) != n ||
      static_cast<std::size_t>(generated.size()) != n ||
      static_cast<std::size_t>(created.size()) != n ||
      static_cast<std::size_t>(embeddings.shape(0)) != n)
    throw py::value_error("the columns of upsert_items differ in length");
  if (static_cast<std::size_t>(embeddings.shape(1)) != d)
    throw py::value_error("embeddings have " + std::to_string(embeddings.shape(1)) +
                          " dimensions, this snapshot's have " + std::to_string(d));
  std::vector<ItemUpdate> items(n);
  for (std::size_t i = 0; i < n; ++i)
    items[i] = {
        ids[i],           titles[i],           kinds[i],          categories[i],
        hidden.data()[i], generated.data()[i], created.data()[i], embeddings.data() + i * d};
  std::vector<std::uint32_t> rows;
  {
    py::gil_scoped_release release;
    rows = state.upsert_items(items);
  }
  return to_array(std::move(rows));
}

std::size_t apply_events(State& state, const std::vector<std::string>& users,
                         const std::vector<std::string>& items, const py::object& weights_in,
                         const py::object& times_in) {
  const auto weights = require<float>(weights_in, "weights", 1);
  const auto times = require<std::int64_t>(times_in, "times_ms", 1);
  if (items.size() != users.size() || static_cast<std::size_t>(weights.size()) != users.size() ||
      static_cast<std::size_t>(times.size()) != users.size())
    throw py::value_error("the columns of apply_events differ in length");
  py::gil_scoped_release release;
  return state.apply_events(users, items, weights.data(), times.data());
}

py::tuple search_delta(const State& state, const py::object& queries_in, py::ssize_t k) {
  const auto queries = require<float>(queries_in, "queries", 2);
  if (static_cast<std::size_t>(queries.shape(1)) != state.base().embedding_size)
    throw py::value_error("queries have " + std::to_string(queries.shape(1)) +
                          " dimensions, this snapshot's embeddings have " +
                          std::to_string(state.base().embedding_size));
  if (k < 1) throw py::value_error("k is " + std::to_string(k) + "; give at least 1");
  const std::size_t q = static_cast<std::size_t>(queries.shape(0)),
                    width = static_cast<std::size_t>(k);
  std::vector<std::int64_t> rows(q * width, -1);
  std::vector<float> scores(q * width, -std::numeric_limits<float>::infinity());
  {
    py::gil_scoped_release release;
    TopK best;
    for (std::size_t i = 0; i < q; ++i) {
      state.search_delta(queries.data() + i * state.base().embedding_size, width, best);
      const auto& found = best.sorted();
      for (std::size_t j = 0; j < found.size(); ++j) {
        rows[i * width + j] = found[j].row;
        scores[i * width + j] = found[j].score;
      }
    }
  }
  const std::vector<py::ssize_t> shape{queries.shape(0), k};
  return py::make_tuple(to_array(std::move(rows), shape), to_array(std::move(scores), shape));
}

py::tuple history(const State& state, const std::string& user_id) {
  const UserView user = state.user(user_id, static_cast<std::size_t>(1) << 40);
  std::vector<std::uint32_t> items;
  std::vector<float> weights;
  std::vector<std::int64_t> times;
  for (const Interaction& event : user.history) {
    items.push_back(event.item);
    weights.push_back(event.weight);
    times.push_back(event.time_ms);
  }
  return py::make_tuple(to_array(std::move(items)), to_array(std::move(weights)),
                        to_array(std::move(times)));
}

py::array_t<float> embeddings(const State& state, const Rows& rows) {
  const std::uint32_t* data = checked_rows(state, rows);
  const std::size_t d = state.base().embedding_size;
  py::array_t<float> out({rows.size(), static_cast<py::ssize_t>(d)});
  for (py::ssize_t i = 0; i < rows.size(); ++i)
    std::copy_n(state.item_embedding(data[i]), d,
                out.mutable_data() + static_cast<std::size_t>(i) * d);
  return out;
}

void set_preferences(State& state, const std::string& user_id,
                     const std::map<std::string, float>& interests,
                     std::vector<std::string> dislikes, bool allow_generated,
                     bool allow_personalisation) {
  for (const auto& [name, weight] : interests)
    if (!(weight > 0.0f && weight <= 1.0f))
      throw py::value_error("interest '" + name + "' is " + std::to_string(weight) +
                            "; give a number above 0, up to 1");
  py::gil_scoped_release release;
  state.set_preferences(user_id, {{interests.begin(), interests.end()},
                                  std::move(dislikes),
                                  allow_generated,
                                  allow_personalisation});
}

}  // namespace

void register_state(py::module_& module) {
  py::class_<State, std::shared_ptr<State>>(module, "State", py::is_final())
      .def(py::init(&make_state), py::arg("arrays"), py::kw_only(), py::arg("models"),
           py::arg("kinds"), py::arg("categories"), py::arg("embedding_size"),
           py::arg("verify") = true)
      .def_property_readonly("embedding_size",
                             [](const State& state) { return state.base().embedding_size; })
      .def("apply_events", &apply_events, py::arg("user_ids"), py::arg("item_ids"),
           py::arg("weights"), py::arg("times_ms"))
      .def("upsert_items", &upsert, py::arg("ids"), py::arg("titles"), py::arg("kinds"),
           py::arg("categories"), py::arg("hidden"), py::arg("generated"), py::arg("created_ms"),
           py::arg("embeddings"))
      .def("delete_items", &State::delete_items, py::arg("ids"),
           py::call_guard<py::gil_scoped_release>())
      .def("set_preferences", &set_preferences, py::arg("user_id"), py::arg("interests"),
           py::arg("dislikes"), py::arg("allow_generated"), py::arg("allow_personalisation"))
      .def(
          "item_row",
          [](const State& state, const std::string& id) {
            const std::uint32_t row = state.item_row(id);
            return row == kNoRow ? std::int64_t{-1} : std::int64_t{row};
          },
          py::arg("item_id"))
      .def("has_user", &State::has_user, py::arg("user_id"))
      .def(
          "item_ids",
          [](const State& state, const Rows& rows) {
            return map_rows(state, rows, [&](std::uint32_t r) { return state.item_id(r); });
          },
          py::arg("rows"))
      .def(
          "item_titles",
          [](const State& state, const Rows& rows) {
            return map_rows(state, rows, [&](std::uint32_t r) { return state.item_title(r); });
          },
          py::arg("rows"))
      .def(
          "item_kinds",
          [](const State& state, const Rows& rows) {
            return map_rows(state, rows,
                            [&](std::uint32_t r) { return state.kind_name(state.item_kind(r)); });
          },
          py::arg("rows"))
      .def(
          "generated",
          [](const State& state, const Rows& rows) {
            return map_flags(state, rows, kGenerated, true);
          },
          py::arg("rows"))
      .def(
          "visible",
          [](const State& state, const Rows& rows) {
            return map_flags(state, rows, kHidden | kDeleted, false);
          },
          py::arg("rows"))
      .def("embeddings", &embeddings, py::arg("rows"))
      .def("history", &history, py::arg("user_id"))
      .def("search_delta", &search_delta, py::arg("queries"), py::arg("k"))
      .def("stats", &State::stats);
}

}  // namespace aigc
