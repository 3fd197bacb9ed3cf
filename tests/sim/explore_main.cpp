// cohort-explore: looks at every order in which a few things can happen to a small group of production cores.
#include "framework/protocol/mutations.hpp"
#include "framework/simulation/explore/explorer.hpp"
#include "tests/sim/mutation_table.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <unistd.h>

using namespace cohort;
using namespace cohort::sim;
using explore::scope;

namespace {

/// Of processor time: what others do on this machine does not count.
double seconds_now() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// Resident, from the kernel.
std::size_t megabytes_now() {
  std::ifstream in("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  in >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) >> 20;
}

constexpr unsigned kept = ~0u - 1;

/// A mistake, and a scope in which it shows.
struct tooth {
  const char* mutation;
  const char* scope;
};
constexpr tooth teeth[] = {
#include "tests/sim/explore_teeth.inc"
};

struct totals {
  std::size_t states = 0, transitions = 0;
  unsigned failed = 0;
};

explore::result run(const scope& s, const explore::bounds& b, const mutation_line* planted, bool trace, totals& sum) {
  protocol::planted = planted ? planted->what : protocol::mutation::none;
  const auto started = seconds_now();
  const auto r = explore::explore(s, b);
  protocol::planted = protocol::mutation::none;
  sum.states += r.states;
  sum.transitions += r.transitions;
  std::printf("{\"scope\": \"%s\", \"mutation\": \"%s\", \"states\": %zu, \"transitions\": %zu, \"depth\": %u, \"complete\": %s, "
              "\"member_states\": %zu, \"letters\": %zu, \"ends\": %zu, \"with_new_view\": %zu, \"all_delivered\": %zu, "
              "\"seconds\": %.1f, \"mb\": %zu, \"broken\": \"%s\"}\n",
              s.name.c_str(), planted ? planted->slug : "", r.states, r.transitions, r.depth, r.complete ? "true" : "false",
              r.member_states, r.letters, r.ends, r.new_views, r.all_delivered, seconds_now() - started, megabytes_now(),
              r.broken.c_str());
  if (trace)
    for (const auto& line : r.trace) std::printf("  %s\n", line.c_str());
  std::fflush(stdout);
  return r;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Explores every order of events in small groups of production cores"};
  std::string name, mutation_name;
  bool brief = false, list = false, only_teeth = false;
  explore::bounds b;
  b.clock = seconds_now;
  b.memory = megabytes_now;
  b.states = 3'000'000;
  app.add_option("--scope", name, "one scope; default: all");
  app.add_option("--states", b.states, "distinct states of a scope to look at");
  app.add_option("--depth", b.depth, "actions from the start");
  app.add_option("--seconds", b.seconds, "for a scope");
  app.add_option("--memory", b.memory_mb, "megabytes of this process");
  app.add_option("--mutation", mutation_name, "plant this mistake in the core");
  app.add_flag("--teeth", only_teeth, "every planted mistake in its scope: each has to be found");
  app.add_flag("--brief", brief, "a short look into every scope, and planted mistakes that show soon");
  app.add_flag("--list", list, "print the scopes");
  bool at_once = false;
  unsigned crashes = kept, elections = kept, doubts = kept, expiries = kept, submissions = kept, slow = kept, may_crash = kept, beats = kept, losses = kept, lapses = kept;
  app.add_option("--crashes", crashes, "instead of the scope's");
  app.add_option("--may-crash", may_crash, "members in bits, instead of the scope's");
  app.add_option("--elections", elections, "instead of the scope's");
  app.add_option("--doubts", doubts, "instead of the scope's");
  app.add_option("--expiries", expiries, "instead of the scope's");
  app.add_option("--beats", beats, "instead of the scope's");
  app.add_option("--losses", losses, "instead of the scope's");
  app.add_option("--lapses", lapses, "instead of the scope's");
  app.add_option("--slow", slow, "links that may be slow, instead of the scope's");
  app.add_flag("--at-once", at_once, "submit before anything else happens");
  app.add_option("--submissions", submissions, "at most so many of the scope's");
  CLI11_PARSE(app, argc, argv);

  if (list) {
    for (const auto& s : explore::all_scopes()) std::printf("%-14s %s\n", s.name.c_str(), s.about.c_str());
    return 0;
  }
  const mutation_line* planted = nullptr;
  if (!mutation_name.empty() && !(planted = find_mutation(mutation_name))) {
    std::fprintf(stderr, "--mutation %s: there is no such mutation; cohort-sim --list names them\n", mutation_name.c_str());
    return 2;
  }
  totals sum;
  bool found_scope = name.empty();
  if (!only_teeth)
    for (auto s : explore::all_scopes()) {
      if (!name.empty() && s.name != name) continue;
      found_scope = true;
      for (const auto& [instead, place] : {std::pair(crashes, &s.crashes), {may_crash, &s.may_crash}, {elections, &s.elections},
                                           {doubts, &s.doubts}, {expiries, &s.expiries}, {beats, &s.beats}, {losses, &s.losses}, {lapses, &s.lapses}, {slow, &s.slow_links}})
        if (instead != kept) *place = instead;
      if (at_once) s.at_once = true;
      if (submissions < s.submissions.size()) s.submissions.resize(submissions);
      auto within = b;
      if (brief) within.states = s.brief_states;
      const auto r = run(s, within, planted, true, sum);
      if (!r.broken.empty()) ++sum.failed;
    }
  if (!found_scope) {
    std::fprintf(stderr, "--scope %s: there is no such scope; --list names them\n", name.c_str());
    return 2;
  }
  if (only_teeth || (brief && !planted && name.empty()))
    for (const auto& t : teeth) {
      const auto& scopes = explore::all_scopes();
      const auto s = std::ranges::find(scopes, t.scope, &scope::name);
      const auto* m = find_mutation(t.mutation);
      if (s == scopes.end() || !m) {
        std::fprintf(stderr, "%s in %s: no such mutation or scope\n", t.mutation, t.scope);
        return 2;
      }
      auto within = b;
      if (brief) within.states = 800'000;
      if (run(*s, within, m, only_teeth && !brief, sum).broken.empty()) {
        std::printf("%s is not found\n", t.mutation);
        ++sum.failed;
      }
    }
  std::printf("{\"states\": %zu, \"transitions\": %zu, \"failed\": %u}\n", sum.states, sum.transitions, sum.failed);
  return sum.failed == 0 ? 0 : 1;
}
