// Runs seeds of the simulated partitionable group and prints the first one that breaks a property.
#include "framework/protocol/partition/mistakes.hpp"
#include "framework/simulation/partition/world.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <stdexcept>

namespace {

using cohort::protocol::partition::mistake;

struct named {
  mistake which;
  const char* name;
  const char* rule;
};
constexpr named mistakes[] = {
#define X(slug, rule) {mistake::slug, #slug, rule},
    COHORT_PARTITION_MISTAKES(X)
#undef X
};

/// Seeds rarely show it, a test in partition_durable.cpp always does.
bool has_directed_test(mistake m) { return m == mistake::view_unwritten; }

/// What broke, empty if nothing did.
std::string run(std::uint64_t seed, mistake planted) {
  cohort::protocol::partition::planted_mistake = planted;
  cohort::sim::partition::world w(cohort::sim::partition::draw(seed), seed);
  try {
    return cohort::sim::partition::first_broken(w.run());
  } catch (const std::logic_error& e) {
    return e.what();
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Simulates partitionable groups"};
  std::string range = "1..300", slug;
  bool table = false;
  app.add_option("--seeds", range, "first..last");
  app.add_option("--mistake", slug, "plants this mistake");
  app.add_flag("--table", table, "plants each mistake until it is caught; fails if one is not");
  CLI11_PARSE(app, argc, argv);
  unsigned long long first = 1, last = 300;
  if (std::sscanf(range.c_str(), "%llu..%llu", &first, &last) < 1)
    return std::fputs("seeds are given as first..last\n", stderr), 2;
  if (range.find("..") == std::string::npos) last = first;

  bool failed = false;
  for (const auto& m : mistakes) {
    if (!table && slug != m.name) continue;
    const bool sham = std::string_view(m.rule) == "none";
    std::string why;
    auto seed = first;
    for (; seed <= last && why.empty(); ++seed) why = run(seed, m.which);
    std::printf("%-28s %-5s %s%s\n", m.name, m.rule,
                why.empty() ? has_directed_test(m.which) ? "by a directed test" : "not caught" : ("seed " + std::to_string(seed - 1) + ": ").c_str(), why.c_str());
    std::fflush(stdout);
    if (!has_directed_test(m.which)) failed |= why.empty() != sham;
  }
  if (table || !slug.empty()) return failed ? 1 : 0;
  for (auto seed = first; seed <= last; ++seed)
    if (const auto why = run(seed, mistake::none); !why.empty()) {
      std::printf("seed %llu: %s\n", seed, why.c_str());
      failed = true;
    }
  std::printf("%llu seeds, %s\n", last - first + 1, failed ? "BROKEN" : "all properties hold");
  return failed ? 1 : 0;
}
