// aigc_server._ingress: the ingress for Python. The States and Plans are those of
// aigc._kernel.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "server.h"

namespace aigc::ingress {
namespace {

namespace py = pybind11;

Batching batching(const py::dict& from) {
  return {from["preferred"].cast<std::size_t>(), from["maximum"].cast<std::size_t>(),
          std::chrono::microseconds(from["delay_us"].cast<std::int64_t>()),
          from["queue"].cast<std::size_t>()};
}

std::unique_ptr<Server> make(const py::dict& from) {
  Options options;
  const auto text = [&from](const char* key) { return from[key].cast<std::string>(); };
  const auto count = [&from](const char* key) { return from[key].cast<std::size_t>(); };
  options.listen = text("listen");
  options.behind = text("behind");
  options.tls = {text("key"), text("certificate"), text("authority")};
  options.max_message_bytes = from["max_message_bytes"].cast<int>();
  options.connection = from["connection"].cast<std::map<std::string, int>>();
  options.threads = count("threads");
  options.pollers = count("pollers");
  options.limits = {count("limit_n"), count("limit_batch"), count("limit_ids"),
                    count("limit_id_bytes")};
  options.native = batching(from["native"]);
  options.searches = batching(from["searches"]);
  options.events = batching(from["events"]);
  options.delay = {std::chrono::microseconds(from["target_us"].cast<std::int64_t>()),
                   std::chrono::microseconds(from["interval_us"].cast<std::int64_t>())};
  options.niceness = from["niceness"].cast<int>();
  options.pass_all = from["pass_all"].cast<bool>();
  options.log = static_cast<LogLevel>(from["log"].cast<int>());
  options.slow_seconds = from["slow_seconds"].cast<double>();
  options.logged_answers = count("logged_answers");
  options.kept_bytes = count("kept_bytes");
  options.kept_age = std::chrono::milliseconds(from["kept_ms"].cast<std::int64_t>());
  options.busy_message = text("busy_message");
  options.busy_details = text("busy_details");
  options.late_message = text("late_message");
  options.late_details = text("late_details");
  py::gil_scoped_release release;
  return std::make_unique<Server>(std::move(options));
}

std::uint64_t set_routes(Server& server, std::shared_ptr<State> state, std::string snapshot,
                         const std::vector<std::tuple<std::string, Plan, py::bytes, double, double,
                                                      std::size_t, std::size_t>>& routes,
                         bool experiment, const Plan& similar, bool same_strategies) {
  auto made = std::make_shared<Routes>();
  made->state = std::move(state);
  made->snapshot = std::move(snapshot);
  made->experiment = experiment;
  made->similar = similar;
  for (const auto& [name, plan, tail, most, over_time, window, vectors] : routes)
    made->by_name[name] = {name, plan, std::string(tail), most, over_time, window, vectors};
  py::gil_scoped_release release;
  return server.set_routes(std::move(made), same_strategies);
}

py::list take_events(Server& server) {
  std::vector<std::pair<std::uint64_t, std::string>> batch;
  {
    py::gil_scoped_release release;
    batch = server.recording().take();
  }
  py::list out;
  for (const auto& [number, bytes] : batch) out.append(py::make_tuple(number, py::bytes(bytes)));
  return out;
}

void answer_events(
    Server& server, const std::vector<std::pair<std::uint64_t, std::string>>& responses,
    const std::vector<std::tuple<std::uint64_t, int, std::string, std::string, std::string>>&
        failures) {
  py::gil_scoped_release release;
  std::vector<Outcome> outcomes;
  outcomes.reserve(responses.size() + failures.size());
  for (const auto& [number, response] : responses) {
    Outcome& outcome = outcomes.emplace_back();
    outcome.number = number;
    outcome.response = response;
  }
  for (const auto& [number, code, message, details, reason] : failures)
    outcomes.push_back({number, "", static_cast<grpc::StatusCode>(code), message, details, reason});
  server.recording().answer(std::move(outcomes));
}

py::list take_searches(Server& server) {
  std::vector<Search> searches;
  {
    py::gil_scoped_release release;
    searches = server.searching().take();
  }
  py::list out;
  for (const Search& search : searches)
    out.append(py::make_tuple(
        search.call, search.place, search.routes, search.limit,
        py::array_t<float>({std::size_t{1}, search.vector.size()}, search.vector.data())));
  return out;
}

void answer_searches(
    Server& server,
    const std::vector<std::tuple<std::uint64_t, std::size_t, py::array_t<std::int64_t>,
                                 py::array_t<float>>>& found,
    const std::vector<std::uint64_t>& unable) {
  std::vector<Found> all;
  all.reserve(found.size());
  for (const auto& [call, place, rows, scores] : found) {
    Found& one = all.emplace_back();
    one.call = call;
    one.place = place;
    const py::ssize_t n = std::min(rows.size(), scores.size());
    for (py::ssize_t i = 0; i < n; ++i) {
      if (rows.data()[i] < 0) continue;
      one.rows.push_back(static_cast<std::uint32_t>(rows.data()[i]));
      one.scores.push_back(scores.data()[i]);
    }
  }
  py::gil_scoped_release release;
  server.searching().answer(std::move(all), unable);
}

py::dict take_notes(Server& server) {
  Taken taken;
  {
    py::gil_scoped_release release;
    taken = server.take_notes();
  }
  py::list tallies, shown;
  for (const auto& [key, tally] : taken.tallies)
    tallies.append(py::make_tuple(std::get<0>(key), std::get<1>(key), std::get<2>(key),
                                  py::cast(tally.counts), tally.seconds));
  for (const Shown& answer : taken.shown)
    shown.append(py::make_tuple(answer.id, answer.user, answer.route->name, answer.routes->snapshot,
                                py::tuple(py::cast(answer.items)), answer.at_ms));
  py::dict out;
  out["tallies"] = tallies;
  out["shown"] = shown;
  out["n_kept"] = taken.n_kept;
  out["n_shown"] = static_cast<std::int64_t>(taken.n_shown);
  out["generated"] = py::cast(taken.generated);
  out["log"] = py::bytes(taken.log);
  out["lost_answers"] = taken.lost_answers;
  out["lost_lines"] = taken.lost_lines;
  // The last holder of a state lets go of Python's arrays: with the GIL, here.
  return out;
}

}  // namespace
}  // namespace aigc::ingress

PYBIND11_MODULE(_ingress, module) {
  namespace py = pybind11;
  using aigc::ingress::Server;
  module.doc() = "The C++ front: owns the public port, answers the hot calls without Python.";
  py::module_::import("aigc._kernel");
  py::class_<Server>(module, "Server", py::is_final())
      .def(py::init(&aigc::ingress::make), py::arg("options"))
      .def_property_readonly("port", &Server::port)
      .def_property_readonly("waiting", &Server::waiting)
      .def("set_routes", &aigc::ingress::set_routes, py::arg("state"), py::arg("snapshot"),
           py::arg("routes"), py::arg("experiment"), py::arg("similar"), py::arg("same_strategies"))
      .def("set_health", &Server::set_health, py::arg("service"), py::arg("serving"))
      .def("take_events", &aigc::ingress::take_events)
      .def("answer_events", &aigc::ingress::answer_events, py::arg("responses"),
           py::arg("failures"))
      .def("take_searches", &aigc::ingress::take_searches)
      .def("answer_searches", &aigc::ingress::answer_searches, py::arg("found"), py::arg("unable"))
      .def("set_windows", &Server::set_windows, py::arg("windows"))
      .def(
          "wait_notes",
          [](Server& server, int most_ms) {
            server.wait_notes(std::chrono::milliseconds(most_ms));
          },
          py::arg("most_ms"), py::call_guard<py::gil_scoped_release>())
      .def("take_notes", &aigc::ingress::take_notes)
      .def("stop", &Server::stop, py::arg("grace_ms"), py::call_guard<py::gil_scoped_release>());
}
