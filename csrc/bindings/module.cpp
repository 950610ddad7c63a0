// aigc._kernel: one small file a family registers its part.
#include <pybind11/pybind11.h>

#include "bindings.h"

PYBIND11_MODULE(_kernel, module, pybind11::mod_gil_not_used()) {
  module.doc() = "The C++ extension: the Engine, and the numeric kernels it is built from.";
  aigc::register_numeric(module);
  aigc::register_plan(module);
  aigc::register_state(module);
  aigc::register_engine(module);
  aigc::register_text(module);
}
