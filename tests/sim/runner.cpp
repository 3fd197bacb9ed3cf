#include "tests/sim/runner.hpp"

#include "tests/sim/kv_workload.hpp"

#include <csignal>
#include <cstring>
#include <poll.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

namespace cohort::sim {

namespace {

constexpr unsigned seconds_per_seed = 60;

/// What a child tells its parent of one seed: numbers, then two texts.
struct wire_outcome {
  std::uint64_t seed, trace_hash, events, operations, done, views, torn, unknown;
  double hours;
  std::uint64_t faults[fault_kinds];
  std::uint32_t profile_bytes, broken_bytes;
};

std::string encode(const outcome& o) {
  wire_outcome w{};
  w.seed = o.seed, w.trace_hash = o.trace_hash, w.events = o.events, w.operations = o.operations, w.done = o.done;
  w.views = o.views, w.torn = o.torn, w.unknown = o.unknown_histories, w.hours = o.hours;
  for (std::size_t i = 0; i < fault_kinds; ++i) w.faults[i] = o.faults[i];
  w.profile_bytes = static_cast<std::uint32_t>(o.profile.size());
  w.broken_bytes = static_cast<std::uint32_t>(o.broken.size());
  std::string bytes(sizeof w, '\0');
  std::memcpy(bytes.data(), &w, sizeof w);
  return bytes + o.profile + o.broken;
}

/// Takes one outcome from the front of `bytes`; false if it is not complete yet.
bool decode(std::string& bytes, outcome& o) {
  wire_outcome w;
  if (bytes.size() < sizeof w) return false;
  std::memcpy(&w, bytes.data(), sizeof w);
  if (bytes.size() < sizeof w + w.profile_bytes + w.broken_bytes) return false;
  o = {};
  o.seed = w.seed, o.trace_hash = w.trace_hash, o.events = w.events, o.operations = w.operations, o.done = w.done;
  o.views = w.views, o.torn = w.torn, o.unknown_histories = w.unknown, o.hours = w.hours;
  for (std::size_t i = 0; i < fault_kinds; ++i) o.faults[i] = w.faults[i];
  o.profile = bytes.substr(sizeof w, w.profile_bytes);
  o.broken = bytes.substr(sizeof w + w.profile_bytes, w.broken_bytes);
  bytes.erase(0, sizeof w + w.profile_bytes + w.broken_bytes);
  return true;
}

struct worker {
  pid_t pid = -1;
  int in = -1;
  std::uint64_t next = 0;  ///< the seed whose outcome is awaited
  std::string bytes;
};

void start(worker& w, const run_options& options, std::uint64_t from, unsigned stride) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("no pipe for a child process");
  w.pid = fork();
  if (w.pid < 0) throw std::runtime_error("no child process");
  if (w.pid == 0) {
    close(ends[0]);
    for (auto seed = from; seed <= options.last; seed += stride) {
      alarm(seconds_per_seed);
      const auto bytes = encode(run_one(seed, options.profile, options.planted, false));
      for (std::size_t at = 0; at < bytes.size();) {
        const auto n = write(ends[1], bytes.data() + at, bytes.size() - at);
        if (n <= 0) _exit(1);
        at += static_cast<std::size_t>(n);
      }
    }
    _exit(0);
  }
  close(ends[1]);
  w.in = ends[0];
  w.next = from;
  w.bytes.clear();
}

}  // namespace

outcome run_one(std::uint64_t seed, const std::string& profile, protocol::mutation planted, bool tracing) {
  static const auto small = make_register_workload();
  static const auto rich = make_kv_workload();
  static const auto timed = make_register_workload(true);
  protocol::planted = planted;
  return run_seed(seed, profile, {small.get(), rich.get(), timed.get()}, record_checksum, tracing);
}

std::vector<outcome> run_seeds(const run_options& options, const std::function<void(const outcome&)>& on_outcome) {
  const auto jobs = static_cast<unsigned>(std::min<std::uint64_t>(std::max(1u, options.jobs), options.last - options.first + 1));
  std::vector<outcome> outcomes(options.last - options.first + 1);
  std::vector<bool> known(outcomes.size(), false);
  std::vector<worker> workers(jobs);
  for (unsigned i = 0; i < jobs; ++i) start(workers[i], options, options.first + i, jobs);
  std::size_t told = 0;
  bool stop = false;
  const auto take = [&](outcome o) {
    const auto at = o.seed - options.first;
    outcomes[at] = std::move(o);
    known[at] = true;
    for (; told < known.size() && known[told] && !stop; ++told) {
      on_outcome(outcomes[told]);
      stop = options.stop_at_failure && !outcomes[told].broken.empty();
    }
  };
  for (unsigned running = jobs; running > 0;) {
    std::vector<pollfd> polled;
    for (const auto& w : workers) polled.push_back({w.in, POLLIN, 0});
    if (poll(polled.data(), polled.size(), -1) < 0) continue;
    for (unsigned i = 0; i < jobs; ++i) {
      auto& w = workers[i];
      if (w.in < 0 || polled[i].revents == 0) continue;
      char buffer[65536];
      const auto n = read(w.in, buffer, sizeof buffer);
      if (n > 0) {
        w.bytes.append(buffer, static_cast<std::size_t>(n));
        for (outcome o; decode(w.bytes, o);) {
          w.next = o.seed + jobs;
          take(std::move(o));
        }
        if (!stop) continue;
      }
      close(w.in);
      w.in = -1;
      if (stop && n > 0) kill(w.pid, SIGKILL);
      int status = 0;
      waitpid(w.pid, &status, 0);
      if (!stop && w.next <= options.last) {
        outcome o;
        o.seed = w.next;
        o.profile = draw_scenario(w.next, options.profile).profile;
        o.broken = !WIFSIGNALED(status)           ? "the process ended with " + std::to_string(WEXITSTATUS(status))
                   : WTERMSIG(status) == SIGALRM ? "does not end within " + std::to_string(seconds_per_seed) + " s"
                                                 : "crash: signal " + std::to_string(WTERMSIG(status));
        const auto next = w.next + jobs;
        take(std::move(o));
        if (!stop && next <= options.last) {
          start(w, options, next, jobs);
          continue;
        }
      }
      --running;
    }
    if (!stop) continue;
    for (auto& w : workers) {
      if (w.in < 0) continue;
      close(w.in);
      w.in = -1;
      kill(w.pid, SIGKILL);
      waitpid(w.pid, nullptr, 0);
      --running;
    }
  }
  outcomes.resize(told);
  return outcomes;
}

}  // namespace cohort::sim
