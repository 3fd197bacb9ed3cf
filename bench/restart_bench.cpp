// How long a failed process is away: from the exception in its handler to the first message handled by its next life, in a
// running node with its log. And what many resilient processes on one node cost. Prints JSON.
// `restart_bench [ROUNDS]`, `restart_bench ROUNDS journaled EVENTS`, `restart_bench COUNT many EVENTS`.
#include <cohort/resilient_process.hpp>
#include <cohort/stable_storage.hpp>
#include <cohort/supervisor.hpp>

#include <caf/all.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace {

using steady = std::chrono::steady_clock;

struct nothing final : cohort::state_machine {
  void apply(const cohort::delivery&, cohort::reply&) override {}
  void checkpoint(cohort::sink&) const override {}
  void restore(cohort::source&) override {}
};

struct clock_of_failures {
  std::atomic<steady::rep> thrown{0}, handled{0};
};

class fragile final : public cohort::process {
public:
  fragile(caf::actor_config& config, std::shared_ptr<clock_of_failures> times) : process(config), times_(std::move(times)) {}

protected:
  caf::behavior make_behavior() override {
    return {[this](int what) {
      if (what == 0) {
        times_->thrown = steady::now().time_since_epoch().count();
        throw std::runtime_error("asked to");
      }
      times_->handled = steady::now().time_since_epoch().count();
    }};
  }

private:
  std::shared_ptr<clock_of_failures> times_;
};

/// Counts what it is told, and is as fragile as the one above: "boom" throws, "?" changes nothing.
class counter final : public cohort::resilient_machine {
public:
  explicit counter(std::shared_ptr<clock_of_failures> times) : times_(std::move(times)) {}
  std::optional<std::string> decide(const cohort::resilient_input& in, std::string& answer) const override {
    if (in.body == "boom") {
      times_->thrown = steady::now().time_since_epoch().count();
      throw std::runtime_error("asked to");
    }
    if (in.body != "?") return std::string(in.body);
    times_->handled = steady::now().time_since_epoch().count();
    answer = std::to_string(count_);
    return std::nullopt;
  }
  void apply(const cohort::resilient_event&, cohort::resilient_output& out) override { out.reply(std::to_string(++count_)); }
  void checkpoint(cohort::sink& out) const override { out.write_u64(count_); }
  void restore(cohort::source& in, std::uint32_t) override { count_ = in.read_u64(); }

private:
  std::shared_ptr<clock_of_failures> times_;
  std::uint64_t count_ = 0;
};

class place {
public:
  place() {
    folder_ = std::filesystem::temp_directory_path() / ("cohort-restart-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  ~place() { std::filesystem::remove_all(folder_); }
  void run(const std::function<void(cohort::node&)>& what) const {
    cohort::node_config config;
    config.name = "n1";
    config.data = folder_;
    config.members = {{"n1", "127.0.0.1:" + std::to_string(20000 + ::getpid() % 10000)}};
    config.log_file = (folder_ / "log").string();
    cohort::node node(config);
    node.replicate<nothing>("idle", {.durability = cohort::durability::in_memory, .single = true});
    node.start();
    what(node);
  }

private:
  std::filesystem::path folder_;
};

cohort::supervision_tree tree() { return cohort::supervision_tree("bench", {.limits = {.failures_max = 1'000'000, .at_once = 1'000'000}}); }

/// `fail` and `probe` are what it is sent.
template <class Message>
void measure(const caf::actor& address, clock_of_failures& times, int rounds, const Message& fail, const Message& probe) {
  std::vector<double> us;
  for (int i = 0; i < rounds + 20; ++i) {
    times.handled = 0;
    caf::anon_send(address, fail);
    caf::anon_send(address, probe);
    while (times.handled == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
    if (i >= 20) us.push_back(static_cast<double>(times.handled - times.thrown) / 1000.0);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // so that everybody sleeps, as before a real failure
  }
  std::sort(us.begin(), us.end());
  const auto at = [&](double part) { return us[static_cast<std::size_t>(part * static_cast<double>(us.size() - 1))]; };
  std::printf("{\"rounds\": %zu, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f}\n", us.size(), at(0.5), at(0.9), at(0.99));
}

void forgetful(int rounds) {
  place().run([rounds](cohort::node& node) {
    auto times = std::make_shared<clock_of_failures>();
    auto bench = tree();
    bench.child("fragile", [times](cohort::child_start& at) { return at.spawn<fragile>(times); }, {.mailbox = {.poison_after = 1}});
    auto all = cohort::supervisors_of(node);
    all.start(bench);
    measure(all.address("bench/fragile"), *times, rounds, 0, 1);
  });
}

void say(cohort::node& node, const caf::actor& to, int times) {
  caf::scoped_actor self{cohort::actor_system_of(node)};
  for (int i = 0; i < times; ++i)
    self->request(to, std::chrono::seconds(60), std::string("1")).receive([](const std::string&) {}, [](const caf::error& e) { throw std::runtime_error(caf::to_string(e)); });
}

void journaled(int rounds, int events) {
  place().run([=](cohort::node& node) {
    auto times = std::make_shared<clock_of_failures>();
    cohort::resilient_home home{node};
    auto bench = tree();
    home.add_to(bench, "fragile", [times] { return std::make_unique<counter>(times); },
                {.checkpoints = {.events = 0, .bytes = 0, .age = std::chrono::seconds(0)}, .child = {.mailbox = {.poison_after = 1}}});
    auto all = cohort::supervisors_of(node);
    all.start(bench);
    const auto address = all.address("bench/fragile");
    say(node, address, events);
    measure(address, *times, rounds, std::string("boom"), std::string("?"));
    if (home.status().at(0).redone != static_cast<std::uint64_t>(events)) throw std::runtime_error("it redid something else");
  });
}

double resident_mb() {
  std::ifstream status("/proc/self/statm");
  double pages = 0;
  for (int i = 0; i < 2; ++i) status >> pages;
  return pages * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e6;
}

/// Two lives of a node: the first writes `events` of each process, the second one starts on that.
void many(int count, int events) {
  const place here;
  double seconds[2]{}, megabytes[2]{}, first_events = 0;
  for (int life = 0; life < 2; ++life)
    here.run([&](cohort::node& node) {
      auto times = std::make_shared<clock_of_failures>();
      cohort::resilient_home home{node};
      cohort::supervision_tree bench("bench", {.strategy = cohort::restart_strategy::dynamic});
      for (int i = 0; i < count; ++i)
        home.add_to(bench, "p" + std::to_string(i), [times] { return std::make_unique<counter>(times); });
      auto all = cohort::supervisors_of(node);
      cohort::stable_storage_of(node);  // whose opening reads all that is in it
      const auto before = resident_mb();
      const auto began = steady::now();
      all.start(bench);
      while (all.counters().starts < static_cast<std::uint64_t>(count)) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      for (int i = 0; i < count; ++i)
        while (!home.find("p" + std::to_string(i))) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      seconds[life] = std::chrono::duration<double>(steady::now() - began).count();
      megabytes[life] = resident_mb() - before;
      if (life == 1) {
        for (const auto& s : home.status())
          if (s.redone != static_cast<std::uint64_t>(events)) throw std::runtime_error(s.name + " redid " + std::to_string(s.redone));
        return;
      }
      const auto writing = steady::now();
      caf::scoped_actor self{cohort::actor_system_of(node)};
      for (int k = 0; k < events; ++k) {
        for (int i = 0; i < count; ++i) self->send(all.address("bench/p" + std::to_string(i)), std::string("1"));
      }
      const auto done = [&] {
        for (const auto& s : home.status())
          if (s.durable != static_cast<std::uint64_t>(events)) return false;
        return true;
      };
      while (!done()) std::this_thread::sleep_for(std::chrono::milliseconds(200));
      first_events = static_cast<double>(count) * events / std::chrono::duration<double>(steady::now() - writing).count();
    });
  std::printf("{\"count\": %d, \"start_s\": %.3f, \"bytes_each\": %.0f, \"events_a_second\": %.0f, \"restart_s\": %.3f, \"bytes_each_again\": %.0f}\n",
              count, seconds[0], megabytes[0] * 1e6 / count, first_events, seconds[1], megabytes[1] * 1e6 / count);
}

}  // namespace

int main(int argc, char** argv) try {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 500;
  const std::string what = argc > 2 ? argv[2] : "forgetful";
  const int events = argc > 3 ? std::atoi(argv[3]) : what == "many" ? 1 : 100;
  if (what == "journaled") journaled(rounds, events);
  else if (what == "many") many(rounds, events);
  else forgetful(rounds);
  return 0;
} catch (const std::exception& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
