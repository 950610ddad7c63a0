#include "aigc/text_decoder.h"
#include "bindings.h"

namespace aigc {
namespace {

std::size_t positive(py::ssize_t value, const char* name) {
  if (value < 1)
    throw py::value_error(std::string(name) + " is " + std::to_string(value) + "; give 1 or more");
  return static_cast<std::size_t>(value);
}

// A float32 array of exactly this shape.
const float* shaped(const py::object& object, const std::string& name,
                    const std::vector<std::size_t>& shape, std::vector<py::object>& alive) {
  auto array = require<float>(object, name, static_cast<int>(shape.size()));
  for (std::size_t i = 0; i < shape.size(); ++i)
    if (static_cast<std::size_t>(array.shape(static_cast<py::ssize_t>(i))) != shape[i])
      throw py::value_error(
          name + " has length " + std::to_string(array.shape(static_cast<py::ssize_t>(i))) +
          " in dimension " + std::to_string(i) + ", expected " + std::to_string(shape[i]));
  alive.push_back(array);
  return array.data();
}

std::unique_ptr<TextDecoder> make_decoder(
    py::ssize_t heads, py::ssize_t key_heads, py::ssize_t head_size, py::ssize_t width,
    py::ssize_t hidden, py::ssize_t vocabulary, py::ssize_t context, py::ssize_t slots, bool gated,
    float epsilon, const py::object& embedding, const py::list& layers, const py::object& norm,
    const py::object& head, const py::object& cos, const py::object& sin, py::ssize_t threads) {
  TextShape s{};
  s.layers = layers.size();
  s.heads = positive(heads, "heads");
  s.key_heads = positive(key_heads, "key_heads");
  s.head_size = positive(head_size, "head_size");
  s.width = positive(width, "width");
  s.hidden = positive(hidden, "hidden");
  s.vocabulary = positive(vocabulary, "vocabulary");
  s.context = positive(context, "context");
  s.slots = positive(slots, "slots");
  s.gated = gated;
  s.epsilon = epsilon;
  if (s.heads % s.key_heads != 0)
    throw py::value_error(std::to_string(heads) + " heads are no multiple of " +
                          std::to_string(key_heads) + " key heads");
  if (s.head_size % 2 != 0)
    throw py::value_error("head_size is " + std::to_string(head_size) + "; give an even number");
  std::vector<py::object> alive;
  std::vector<LayerWeights> weights;
  const std::size_t c = s.width, d = s.head_size;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto of = layers[i].cast<py::dict>();
    const std::string at = "layers[" + std::to_string(i) + "].";
    const auto get = [&](const char* name, const std::vector<std::size_t>& shape) {
      if (!of.contains(name)) throw py::value_error(at + name + " is missing");
      return shaped(of[name], at + name, shape, alive);
    };
    weights.push_back({get("attention_norm", {c}), get("qkv", {(s.heads + 2 * s.key_heads) * d, c}),
                       get("q_norm", {d}), get("k_norm", {d}), get("out", {c, s.heads * d}),
                       get("feed_norm", {c}), get("up", {s.hidden * (gated ? 2 : 1), c}),
                       get("down", {c, s.hidden})});
  }
  const float* e = shaped(embedding, "embedding", {s.vocabulary, c}, alive);
  const float* n = shaped(norm, "norm", {c}, alive);
  const float* h = shaped(head, "head", {s.vocabulary, c}, alive);
  const float* co = shaped(cos, "cos", {s.context, d / 2}, alive);
  const float* si = shaped(sin, "sin", {s.context, d / 2}, alive);
  const std::size_t count = positive(threads, "threads");
  py::gil_scoped_release release;
  return std::make_unique<TextDecoder>(s, e, weights, n, h, co, si, count);
}

py::array_t<float> forward(TextDecoder& decoder, const std::vector<std::uint32_t>& slots,
                           const std::vector<std::uint32_t>& tokens,
                           const std::vector<std::uint32_t>& positions,
                           const std::vector<std::uint32_t>& wanted) {
  const auto& shape = decoder.shape();
  if (tokens.size() != slots.size() || positions.size() != slots.size())
    throw py::value_error(std::to_string(slots.size()) + " slots, " +
                          std::to_string(tokens.size()) + " tokens and " +
                          std::to_string(positions.size()) + " positions");
  std::vector<TokenRow> rows;
  rows.reserve(slots.size());
  const auto below = [](std::size_t value, std::size_t limit, const char* name) {
    if (value >= limit)
      throw py::value_error(std::string(name) + " " + std::to_string(value) + " is not below " +
                            std::to_string(limit));
  };
  for (std::size_t i = 0; i < slots.size(); ++i) {
    below(slots[i], shape.slots, "slot");
    below(tokens[i], shape.vocabulary, "token");
    below(positions[i], shape.context, "position");
    rows.push_back({slots[i], tokens[i], positions[i]});
  }
  for (const auto i : wanted) below(i, rows.size(), "wanted row");
  std::vector<float> logits(wanted.size() * shape.vocabulary);
  {
    py::gil_scoped_release release;
    decoder.forward(rows, wanted, logits.data());
  }
  return to_array(std::move(logits), {static_cast<py::ssize_t>(wanted.size()),
                                      static_cast<py::ssize_t>(shape.vocabulary)});
}

void copy(TextDecoder& decoder, std::size_t source, std::size_t target, std::size_t length) {
  const auto& shape = decoder.shape();
  if (source >= shape.slots || target >= shape.slots || length > shape.context)
    throw py::value_error("cannot copy " + std::to_string(length) + " positions of slot " +
                          std::to_string(source) + " to slot " + std::to_string(target) + ": " +
                          std::to_string(shape.slots) + " slots of " +
                          std::to_string(shape.context) + " positions");
  if (source != target) decoder.copy(source, target, length);
}

}  // namespace

void register_text(py::module_& module) {
  py::class_<TextDecoder>(module, "TextDecoder")
      .def(py::init(&make_decoder), py::kw_only(), py::arg("heads"), py::arg("key_heads"),
           py::arg("head_size"), py::arg("width"), py::arg("hidden"), py::arg("vocabulary"),
           py::arg("context"), py::arg("slots"), py::arg("gated"), py::arg("epsilon"),
           py::arg("embedding"), py::arg("layers"), py::arg("norm"), py::arg("head"),
           py::arg("cos"), py::arg("sin"), py::arg("threads"))
      .def("forward", &forward, py::arg("slots"), py::arg("tokens"), py::arg("positions"),
           py::arg("wanted"))
      .def("copy", &copy, py::arg("source"), py::arg("target"), py::arg("length"));
}

}  // namespace aigc
