// What the binding files share.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace aigc {

namespace py = pybind11;

void register_numeric(py::module_& module);
void register_plan(py::module_& module);
void register_state(py::module_& module);
void register_engine(py::module_& module);
void register_text(py::module_& module);

// A vector becomes an array without a copy of its contents.
template <typename T>
py::array_t<T> to_array(std::vector<T>&& values, std::vector<py::ssize_t> shape = {}) {
  auto* owned = new std::vector<T>(std::move(values));
  py::capsule owner(owned, [](void* p) { delete static_cast<std::vector<T>*>(p); });
  if (shape.empty()) shape = {static_cast<py::ssize_t>(owned->size())};
  return py::array_t<T>(shape, owned->data(), owner);
}

// A contiguous array of exactly this type and number of dimensions, or a ValueError that names it.
template <typename T>
py::array_t<T> require(const py::object& object, const std::string& name, int dimensions) {
  if (!py::isinstance<py::array>(object)) throw py::value_error(name + " is no numpy array");
  auto array = py::reinterpret_borrow<py::array>(object);
  if (!py::dtype::of<T>().is(array.dtype()) && !array.dtype().equal(py::dtype::of<T>()))
    throw py::value_error(name + " is of dtype " + std::string(py::str(array.dtype())) +
                          ", expected " + std::string(py::str(py::dtype::of<T>())));
  if (array.ndim() != dimensions)
    throw py::value_error(name + " has " + std::to_string(array.ndim()) + " dimensions, expected " +
                          std::to_string(dimensions));
  if ((array.flags() & py::array::c_style) == 0)
    throw py::value_error(name + " is not contiguous; pass numpy.ascontiguousarray of it");
  return py::reinterpret_borrow<py::array_t<T>>(array);
}

}  // namespace aigc
