#include <algorithm>
#include <cmath>

#include "aigc/dpp.h"
#include "aigc/exact_search.h"
#include "aigc/id_table.h"
#include "aigc/mmr.h"
#include "aigc/simd.h"
#include "aigc/top_k_similarity.h"
#include "bindings.h"

namespace aigc {
namespace {

void refuse_non_finite(const py::array_t<float>& array, const std::string& name) {
  // All exponent bits are set in what is infinite or no number: integers, so that it runs in SIMD.
  constexpr std::uint32_t kExponent = 0x7F800000u;
  const float* data = array.data();
  const py::ssize_t size = array.size();
  std::uint32_t found = 0;
  for (py::ssize_t i = 0; i < size; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, data + i, sizeof bits);
    found |= (bits & kExponent) == kExponent ? 1u : 0u;
  }
  if (found != 0) throw py::value_error(name + " holds a number that is not finite");
}

py::tuple lists_to_tuple(Lists&& lists) {
  return py::make_tuple(to_array(std::move(lists.offsets)), to_array(std::move(lists.items)),
                        to_array(std::move(lists.weights)));
}

py::tuple py_exact_search(const py::object& base_in, const py::object& queries_in, py::ssize_t k) {
  const auto base = require<float>(base_in, "base", 2);
  const auto queries = require<float>(queries_in, "queries", 2);
  if (base.shape(1) != queries.shape(1))
    throw py::value_error("queries have " + std::to_string(queries.shape(1)) +
                          " dimensions, base has " + std::to_string(base.shape(1)));
  if (k < 0) throw py::value_error("k is " + std::to_string(k) + "; give 0 or more");
  refuse_non_finite(queries, "queries");
  const std::size_t q = static_cast<std::size_t>(queries.shape(0));
  std::vector<std::int64_t> rows(q * static_cast<std::size_t>(k));
  std::vector<float> scores(rows.size());
  {
    py::gil_scoped_release release;
    exact_search(base.data(), static_cast<std::size_t>(base.shape(0)),
                 static_cast<std::size_t>(base.shape(1)), queries.data(), q,
                 static_cast<std::size_t>(k), rows.data(), scores.data());
  }
  const std::vector<py::ssize_t> shape{queries.shape(0), k};
  return py::make_tuple(to_array(std::move(rows), shape), to_array(std::move(scores), shape));
}

py::tuple py_top_k_similarity(const py::object& offsets_in, const py::object& columns_in,
                              const py::object& values_in, py::ssize_t n_columns, py::ssize_t k,
                              float shrinkage, bool normalise) {
  const auto offsets = require<std::int64_t>(offsets_in, "offsets", 1);
  const auto columns = require<std::uint32_t>(columns_in, "columns", 1);
  const auto values = require<float>(values_in, "values", 1);
  if (k < 0) throw py::value_error("k is " + std::to_string(k) + "; give 0 or more");
  if (!(shrinkage >= 0.0f && std::isfinite(shrinkage)))
    throw py::value_error("shrinkage is " + std::to_string(shrinkage) + "; give 0 or more");
  if (offsets.size() < 1 || offsets.at(0) != 0 ||
      offsets.at(offsets.size() - 1) != columns.size() || columns.size() != values.size())
    throw py::value_error("offsets, columns and values do not describe one CSR matrix");
  refuse_non_finite(values, "values");
  if (n_columns < 0 || n_columns >= static_cast<py::ssize_t>(kNoRow))
    throw py::value_error("n_columns is " + std::to_string(n_columns) +
                          "; give a number from 0 to 2^32 - 2");
  const py::ssize_t n_rows = offsets.size() - 1;
  for (py::ssize_t u = 0; u < n_rows; ++u)
    if (offsets.data()[u] > offsets.data()[u + 1])
      throw py::value_error("offsets fall after row " + std::to_string(u));
  for (py::ssize_t u = 0; u < n_rows; ++u) {
    const std::int64_t begin = offsets.data()[u], end = offsets.data()[u + 1];
    for (std::int64_t e = begin; e < end; ++e) {
      if (columns.data()[e] >= static_cast<std::uint64_t>(n_columns))
        throw py::value_error("columns holds " + std::to_string(columns.data()[e]) +
                              ", expected less than " + std::to_string(n_columns));
      if (e > begin && columns.data()[e] <= columns.data()[e - 1])
        throw py::value_error("columns of row " + std::to_string(u) +
                              " do not rise strictly: sort them and sum duplicates");
      if (values.data()[e] < 0.0f)
        throw py::value_error("values holds a number below 0 in row " + std::to_string(u));
    }
  }
  Lists lists;
  {
    py::gil_scoped_release release;
    lists = top_k_similarity(offsets.data(), columns.data(), values.data(),
                             static_cast<std::size_t>(n_rows), static_cast<std::size_t>(n_columns),
                             static_cast<std::size_t>(k), shrinkage, normalise);
  }
  return lists_to_tuple(std::move(lists));
}

py::tuple py_top_k_rows(const py::object& matrix_in, py::ssize_t k) {
  const auto matrix = require<float>(matrix_in, "matrix", 2);
  if (matrix.shape(0) != matrix.shape(1)) throw py::value_error("matrix is not square");
  if (k < 0) throw py::value_error("k is " + std::to_string(k) + "; give 0 or more");
  refuse_non_finite(matrix, "matrix");
  Lists lists;
  {
    py::gil_scoped_release release;
    lists = top_k_rows(matrix.data(), static_cast<std::size_t>(matrix.shape(0)),
                       static_cast<std::size_t>(k));
  }
  return lists_to_tuple(std::move(lists));
}

template <typename Method>
py::array_t<std::int32_t> rerank(const py::object& relevance_in, const py::object& embeddings_in,
                                 py::ssize_t n, float diversity) {
  const auto relevance = require<float>(relevance_in, "relevance", 1);
  const auto embeddings = require<float>(embeddings_in, "embeddings", 2);
  if (relevance.shape(0) != embeddings.shape(0))
    throw py::value_error("relevance has " + std::to_string(relevance.shape(0)) +
                          " entries, embeddings has " + std::to_string(embeddings.shape(0)));
  if (n < 0) throw py::value_error("n is " + std::to_string(n) + "; give 0 or more");
  if (!(diversity >= 0.0f && diversity <= 1.0f))
    throw py::value_error("diversity is " + std::to_string(diversity) +
                          "; give a number from 0 to 1");
  refuse_non_finite(relevance, "relevance");
  refuse_non_finite(embeddings, "embeddings");
  const std::size_t count = static_cast<std::size_t>(relevance.shape(0));
  const std::size_t d = static_cast<std::size_t>(embeddings.shape(1));
  std::vector<std::int32_t> order;
  {
    py::gil_scoped_release release;
    std::vector<const float*> rows(count);
    for (std::size_t i = 0; i < count; ++i) rows[i] = embeddings.data() + i * d;
    Method method(std::vector<float>(relevance.data(), relevance.data() + count), std::move(rows),
                  d, diversity);
    const std::size_t wanted = std::min(count, static_cast<std::size_t>(n));
    order.reserve(wanted);
    while (order.size() < wanted) order.push_back(method.next());
  }
  return to_array(std::move(order));
}

py::array_t<std::uint32_t> py_build_id_slots(const py::object& offsets_in,
                                             const py::object& characters_in) {
  const auto offsets = require<std::int64_t>(offsets_in, "offsets", 1);
  const auto characters = require<std::uint8_t>(characters_in, "characters", 1);
  if (offsets.size() < 1 || offsets.at(0) != 0 ||
      offsets.at(offsets.size() - 1) != characters.size())
    throw py::value_error("offsets do not span characters");
  for (py::ssize_t i = 0; i + 1 < offsets.size(); ++i)
    if (offsets.data()[i] > offsets.data()[i + 1])
      throw py::value_error("offsets fall after row " + std::to_string(i));
  const StringTable ids{offsets.data(), reinterpret_cast<const char*>(characters.data()),
                        static_cast<std::size_t>(offsets.size() - 1)};
  py::gil_scoped_release release;
  auto slots = build_id_slots(ids);
  py::gil_scoped_acquire acquire;
  return to_array(std::move(slots));
}

}  // namespace

void register_numeric(py::module_& module) {
  module.def("simd_levels", &simd_levels);
  module.def("simd_level", &simd_level_name);
  module.def("set_simd_level", &set_simd_level, py::arg("level"));
  module.def("exact_search", &py_exact_search, py::arg("base"), py::arg("queries"), py::arg("k"));
  module.def("top_k_similarity", &py_top_k_similarity, py::arg("offsets"), py::arg("columns"),
             py::arg("values"), py::arg("n_columns"), py::arg("k"), py::arg("shrinkage"),
             py::arg("normalise"));
  module.def("top_k_rows", &py_top_k_rows, py::arg("matrix"), py::arg("k"));
  module.def("mmr", &rerank<Mmr>, py::arg("relevance"), py::arg("embeddings"), py::arg("n"),
             py::arg("diversity"));
  module.def("dpp", &rerank<Dpp>, py::arg("relevance"), py::arg("embeddings"), py::arg("n"),
             py::arg("diversity"));
  module.def("build_id_slots", &py_build_id_slots, py::arg("offsets"), py::arg("characters"));
}

}  // namespace aigc
