// How long a failed process is away: from the exception in its handler to the first message handled by its next life, in a
// running node with its log. Prints JSON; `restart_bench [ROUNDS]`.
#include <cohort/supervisor.hpp>

#include <caf/all.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <thread>

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

}  // namespace

int main(int argc, char** argv) try {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 500;
  const auto folder = std::filesystem::temp_directory_path() / ("cohort-restart-" + std::to_string(::getpid()));
  cohort::node_config config;
  config.name = "n1";
  config.data = folder;
  config.members = {{"n1", "127.0.0.1:" + std::to_string(20000 + ::getpid() % 10000)}};
  config.log_file = (folder / "log").string();
  std::filesystem::create_directories(folder);
  std::vector<double> us;
  {
    cohort::node node(config);
    node.replicate<nothing>("idle", {.durability = cohort::durability::in_memory, .single = true});
    node.start();
    auto times = std::make_shared<clock_of_failures>();
    cohort::supervision_tree tree("bench", {.limits = {.failures_max = 1'000'000, .at_once = 1'000'000}});
    tree.child("fragile", [times](cohort::child_start& at) { return at.spawn<fragile>(times); },
               {.mailbox = {.poison_after = 1}});
    auto all = cohort::supervisors_of(node);
    all.start(tree);
    auto address = all.address("bench/fragile");
    for (int i = 0; i < rounds + 20; ++i) {
      times->handled = 0;
      caf::anon_send(address, 0);
      caf::anon_send(address, 1);
      while (times->handled == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
      if (i >= 20) us.push_back(static_cast<double>(times->handled - times->thrown) / 1000.0);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));  // so that everybody sleeps, as before a real failure
    }
  }
  std::filesystem::remove_all(folder);
  std::sort(us.begin(), us.end());
  const auto at = [&](double part) { return us[static_cast<std::size_t>(part * static_cast<double>(us.size() - 1))]; };
  std::printf("{\"rounds\": %zu, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f}\n", us.size(), at(0.5), at(0.9), at(0.99));
  return 0;
} catch (const std::exception& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
