// cohort-sim: runs seeds of the simulated world and says which properties held.
#include "tests/sim/crowd.hpp"
#include "tests/sim/detection_figures.hpp"
#include "tests/sim/fleet.hpp"
#include "tests/sim/growth_figures.hpp"
#include "tests/sim/mutation_table.hpp"
#include "tests/sim/runner.hpp"

#include <CLI/CLI.hpp>

#include <cinttypes>
#include <cstdio>
#include <thread>

using namespace cohort;
using namespace cohort::sim;

namespace {

bool parse_seeds(const std::string& text, std::uint64_t& first, std::uint64_t& last) {
  unsigned long long a = 0, b = 0;
  char rest = 0;
  if (std::sscanf(text.c_str(), "%llu..%llu%c", &a, &b, &rest) == 2) {
    first = a, last = b;
    return first <= last;
  }
  if (std::sscanf(text.c_str(), "%llu%c", &a, &rest) != 1) return false;
  first = last = a;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Runs the production protocol in a simulated world, one world per seed"};
  std::string seeds = "1..100", profile, mutation_name, part, table_file;
  bool trace = false, table = false, list = false, detection = false;
  unsigned measured_hours = 24, trials = 300;
  unsigned jobs = std::max(1u, std::thread::hardware_concurrency());
  std::uint64_t table_seeds = 2000;
  app.add_option("--seeds", seeds, "FIRST..LAST, or one seed");
  app.add_option("--profile", profile, "the faults to draw from; default: each seed draws one");
  app.add_option("--mutation", mutation_name, "plant this mistake in the core");
  app.add_flag("--trace", trace, "print every event (one seed)");
  app.add_option("--jobs", jobs, "processes; the result does not depend on it");
  app.add_flag("--list", list, "print the profiles and the mutations");
  app.add_flag("--mutations-table", table, "how many seeds each mutation survives, as a table");
  app.add_option("--table-seeds", table_seeds, "with --mutations-table: seeds per mutation");
  app.add_option("--part", part, "with --mutations-table: K/N, every Nth mutation from the Kth on");
  app.add_option("--write", table_file, "with --mutations-table: where the table goes, else standard output");
  app.add_flag("--detection", detection, "measure false exclusions and times to detect, as tables");
  app.add_option("--hours", measured_hours, "with --detection: simulated hours per row; 0: not measured");
  app.add_option("--trials", trials, "with --detection: deaths per row; 0: not measured");
  bool growth = false;
  std::string svg_file;
  unsigned crowd = 0, churning = 64, fleet = 0, minutes = 10;
  app.add_flag("--growth", growth, "measure how costs grow with the size of a group, as a table");
  app.add_option("--svg", svg_file, "with --growth: where a plot of it goes");
  app.add_option("--crowd", crowd, "run one group of so many members under churn, with all checkers")->check(CLI::Range(3, 1000));
  app.add_option("--churning", churning, "with --crowd: how many of them come and go, at most a third");
  app.add_option("--fleet", fleet, "run so many nodes with as many groups of three on them, with all checkers")->check(CLI::Range(6, 10000));
  app.add_option("--minutes", minutes, "with --crowd and --fleet: of virtual time");
  CLI11_PARSE(app, argc, argv);

  if (list) {
    for (const auto name : profile_names()) std::printf("profile %.*s\n", static_cast<int>(name.size()), name.data());
    for (const auto& m : all_mutations()) std::printf("mutation %s (%s, breaks %s)\n", m.slug, m.numbers, m.rule);
    return 0;
  }
  if (growth) return print_growth_figures(svg_file);
  if (crowd > 0) return run_crowd(crowd, churning, minutes);
  if (fleet > 0) return run_fleet(fleet, minutes);
  if (detection) return print_detection_figures(measured_hours, trials);
  run_options options;
  if (!parse_seeds(seeds, options.first, options.last)) {
    std::fprintf(stderr, "--seeds %s: expected FIRST..LAST with FIRST not above LAST\n", seeds.c_str());
    return 2;
  }
  const auto profiles = profile_names();
  if (!profile.empty() && std::ranges::find(profiles, profile) == profiles.end()) {
    std::fprintf(stderr, "--profile %s: there is no such profile; --list names them\n", profile.c_str());
    return 2;
  }
  options.profile = profile;
  options.jobs = jobs;
  if (!mutation_name.empty()) {
    const auto* m = find_mutation(mutation_name);
    if (!m) {
      std::fprintf(stderr, "--mutation %s: there is no such mutation; --list names them\n", mutation_name.c_str());
      return 2;
    }
    options.planted = m->what;
  }
  if (table) return write_mutation_table(table_seeds, part, table_file, jobs);

  std::uint64_t failed = 0, events = 0, hash = 0, operations = 0, done = 0, unknown = 0, count = 0;
  double hours = 0;
  std::array<std::uint64_t, fault_kinds> faults{};
  const auto tell = [&](const outcome& o) {
    ++count;
    hash = mix(mix(hash, o.seed), o.trace_hash);
    events += o.events, hours += o.hours, operations += o.operations, done += o.done, unknown += o.unknown_histories;
    for (std::size_t i = 0; i < fault_kinds; ++i) faults[i] += o.faults[i];
    if (o.broken.empty()) return;
    ++failed;
    std::printf("seed %" PRIu64 " (%s): %s\n  replay: cohort-sim --seeds %" PRIu64 "%s%s%s%s --trace\n", o.seed, o.profile.c_str(),
                o.broken.c_str(), o.seed, profile.empty() ? "" : " --profile ", profile.c_str(),
                mutation_name.empty() ? "" : " --mutation ", mutation_name.c_str());
    std::fflush(stdout);
  };
  if (trace) {
    for (auto seed = options.first; seed <= options.last; ++seed) tell(run_one(seed, profile, options.planted, true));
  } else {
    run_seeds(options, tell);
  }
  std::string kinds;
  for (std::size_t i = 0; i < fault_kinds; ++i)
    kinds += (i ? ", \"" : "\"") + std::string(to_string(static_cast<fault>(i))) + "\": " + std::to_string(faults[i]);
  std::printf("{\"seeds\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"simulated_hours\": %.3f, \"faults\": {%s}, \"events\": %" PRIu64
              ", \"operations\": %" PRIu64 ", \"acknowledged\": %" PRIu64 ", \"unknown_histories\": %" PRIu64
              ", \"trace_hash\": \"%016" PRIx64 "\"}\n",
              count, failed, hours, kinds.c_str(), events, operations, done, unknown, hash);
  return failed == 0 ? 0 : 1;
}
