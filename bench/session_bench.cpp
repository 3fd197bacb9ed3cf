// Requests of a session, executed exactly once, beside plain messages of the total order: the same state machine on three nodes in
// this process, volatile groups, one sender with as much unanswered as a window allows. Then the same requests from a program
// outside, through a gateway. Prints JSON; `session_bench BYTES SECONDS [plain|inside|gateway]`, one of them alone for a profiler.
#include <cohort/client.hpp>
#include <cohort/node.hpp>
#include <cohort/session.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iostream>
#include <thread>

namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr std::size_t window_bytes = 4u << 20, window_messages = 32'768, turn = 256;

/// Adds the numbers that messages begin with, and answers the sum in eight bytes.
class adder final : public cohort::state_machine {
public:
  void apply(const cohort::delivery& d, cohort::reply& answer) override {
    std::uint64_t number = 0;
    std::memcpy(&number, d.payload.data(), std::min(sizeof number, d.payload.size()));
    sum_ += number;
    answer.write(std::as_bytes(std::span(&sum_, 1)));
  }
  void checkpoint(cohort::sink& out) const override { out.write_u64(sum_); }
  void restore(cohort::source& in) override { sum_ = in.read_u64(); }

private:
  std::uint64_t sum_ = 0;
};

/// Writes message `number` into `out`; all below `answered` have been answered.
using writer = std::function<void(std::vector<std::byte>& out, std::uint64_t number, std::uint64_t answered)>;

/// Processor time of this process, all nodes, in microseconds: steadier than the rate where the machine does other work, too.
double cpu_us() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto us = [](const timeval& t) { return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec); };
  return us(used.ru_utime) + us(used.ru_stime);
}

struct figure {
  double per_second = 0;
  double cpu_us = 0;  ///< for each
};

/// Messages a second, from the first submission to the last answer.
figure rate(cohort::group_port& port, const writer& write, std::size_t bytes, double seconds, const cohort::submit_options& how) {
  std::vector<std::vector<std::byte>> messages(turn);
  std::vector<std::span<const std::byte>> spans;
  cohort::completion_batch done;
  std::uint64_t sent = 0, answered = 0;
  const auto used = cpu_us();
  const auto begin = steady::now();
  const auto end = begin + std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>(seconds));
  const auto most = std::min(window_messages, window_bytes / bytes);
  bool more = true;
  while (more || answered < sent) {
    more = more && steady::now() < end;
    while (more && sent - answered + turn <= most) {
      spans.clear();
      for (auto& m : messages) {
        write(m, sent + spans.size() + 1, answered + 1);
        spans.emplace_back(m);
      }
      port.submit(spans, sent, how);
      sent += spans.size();
    }
    port.flush();
    bool any = false;
    while (port.take(done)) {
      any = true;
      for (std::size_t i = 0; i < done.size(); ++i) {
        cohort::session_reply r;
        const bool good = done[i].outcome == cohort::outcome::replied &&
                          (!how.session_request || (read_reply(done[i].reply, r) && r.what == cohort::session_outcome::replied));
        if (!good) throw std::runtime_error(std::string("a message was answered ") + to_string(done[i].outcome));
      }
      answered += done.size();
    }
    if (!any) std::this_thread::sleep_for(20us);
  }
  const auto n = static_cast<double>(sent);
  return {n / std::chrono::duration<double>(steady::now() - begin).count(), (cpu_us() - used) / n};
}

cohort::session_name open_session(cohort::group_port& port) {
  cohort::session_name name{{static_cast<std::uint64_t>(::getpid()), static_cast<std::uint64_t>(steady::now().time_since_epoch().count())}, 0};
  std::vector<std::byte> request;
  cohort::session_limits limits;
  limits.open_requests_max = 65'536;
  limits.answer_bytes_max = 64u << 20;
  write_open(request, name, limits);
  cohort::completion_batch done;
  cohort::submit_options how;
  how.session_request = true;
  for (cohort::session_reply r;;) {
    port.submit(request, 0, how);
    port.flush();
    while (!port.take(done)) std::this_thread::sleep_for(1ms);
    if (done[0].outcome == cohort::outcome::replied && read_reply(done[0].reply, r) && r.what == cohort::session_outcome::replied) {
      name.birth = r.birth;
      return name;
    }
  }
}

/// Calls a second through a gateway.
figure outside(const std::vector<std::string>& gateways, std::size_t bytes, double seconds) {
  constexpr std::uint64_t open_most = 4096;
  cohort::client c({.gateways = gateways, .group = "sessions", .waiting_calls_max = 2 * open_most});
  const std::string text(bytes, 'x');
  if (c.call(text).get().what != cohort::call_outcome::replied) throw std::runtime_error("the gateway does not serve");
  std::atomic<std::uint64_t> answered{0}, wrong{0};
  std::uint64_t sent = 0;
  const auto used = cpu_us();
  const auto begin = steady::now();
  const auto end = begin + std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>(seconds));
  while (steady::now() < end) {
    if (sent - answered >= open_most) {
      std::this_thread::sleep_for(100us);
      continue;
    }
    c.call(std::as_bytes(std::span(text)), {}, [&](cohort::call_result&& r) {
      wrong += r.what != cohort::call_outcome::replied;
      ++answered;
    });
    ++sent;
  }
  while (answered < sent) std::this_thread::sleep_for(100us);
  if (wrong > 0) throw std::runtime_error("calls through the gateway failed");
  const auto n = static_cast<double>(sent);
  return {n / std::chrono::duration<double>(steady::now() - begin).count(), (cpu_us() - used) / n};
}

}  // namespace

int main(int argc, char** argv) try {
  const std::size_t bytes = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 256;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 3;
  const std::string only = argc > 3 ? argv[3] : "";
  const auto wanted = [&](const char* what) { return only.empty() || only == what; };
  const auto folder = std::filesystem::temp_directory_path() / ("cohort-sessions-" + std::to_string(::getpid()));
  std::vector<std::unique_ptr<cohort::node>> nodes;
  std::vector<std::string> gateways;
  cohort::node_config config;
  for (int i = 1; i <= 3; ++i) {
    const auto name = "n" + std::to_string(i);
    const int port = 15'000 + ::getpid() % 5'000 * 3 + i;
    config.members.push_back({name, "127.0.0.1:" + std::to_string(port)});
    gateways.push_back("127.0.0.1:" + std::to_string(port + 15'001));
    config.gateways.push_back({name, gateways.back()});
  }
  const auto plain = cohort::contract::replicated().with(cohort::durability::in_memory);
  for (const auto& m : config.members) {
    config.name = m.name;
    config.data = folder / m.name;
    config.log_level = "warn";
    nodes.push_back(std::make_unique<cohort::node>(config));
    nodes.back()->replicate<adder>("plain", plain);
    nodes.back()->replicate<adder>("sessions", plain.with(&cohort::contract::sessions, true));
    nodes.back()->start();
  }
  const auto ready = [&] {
    for (const auto& n : nodes)
      for (const char* group : {"plain", "sessions"})
        if (const auto s = n->status(group); !s.primary || !s.active) return false;
    return true;
  };
  while (!ready()) std::this_thread::sleep_for(20ms);

  auto plain_port = nodes[0]->port("plain"), session_port = nodes[0]->port("sessions");
  const auto session = open_session(session_port);
  const std::vector<std::byte> payload(bytes);
  const writer as_is = [&](std::vector<std::byte>& out, std::uint64_t, std::uint64_t) { out = payload; };
  std::uint64_t base = 0, last = 0;  ///< numbers of the session
  const writer as_request = [&](std::vector<std::byte>& out, std::uint64_t number, std::uint64_t answered) {
    write_call(out, session, base + number, base + answered, payload);
    last = base + number;
  };
  cohort::submit_options of_session;
  of_session.session_request = true;
  // In turns, so that whatever else the machine does meets both.
  constexpr int rounds = 4;
  figure plain_rate, session_rate;
  const auto add = [](figure& all, const figure& one) {
    all.per_second += one.per_second / rounds;
    all.cpu_us += one.cpu_us / rounds;
  };
  if (wanted("plain")) rate(plain_port, as_is, bytes, seconds / rounds, {});
  for (int i = 0; i < rounds; ++i) {
    if (wanted("plain")) add(plain_rate, rate(plain_port, as_is, bytes, seconds / rounds, {}));
    if (wanted("inside")) add(session_rate, rate(session_port, as_request, bytes, seconds / rounds, of_session));
    base = last;
  }
  const auto gateway_rate = wanted("gateway") ? outside(gateways, bytes, seconds) : figure{};
  const auto print = [](const char* what, const figure& f, const char* end) {
    std::printf("\"%s\": %.1f, \"%s_cpu_us\": %.3f%s", what, f.per_second, what, f.cpu_us, end);
  };
  std::printf("{");
  print("plain", plain_rate, ", ");
  print("exactly_once", session_rate, ", ");
  print("gateway", gateway_rate, "}\n");
  std::fflush(stdout);
  plain_port = {};
  session_port = {};
  for (auto& n : nodes) n->stop();
  nodes.clear();
  std::filesystem::remove_all(folder);
  return 0;
} catch (const std::exception& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
