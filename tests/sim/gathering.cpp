#include "tests/sim/gathering.hpp"

#include <algorithm>

namespace cohort::sim {

using namespace protocol;

std::uint64_t newest_view(const world& w) {
  std::uint64_t newest = 0;
  for (unsigned i = 0; i < w.members(); ++i)
    if (const auto* c = w.core_of(i); c && inspector::of(*c).in_force) newest = std::max(newest, inspector::of(*c).in_force->number);
  return newest;
}

unsigned together(const world& w) {
  const auto newest = newest_view(w);
  unsigned there = 0;
  for (unsigned i = 0; i < w.members(); ++i) {
    const auto* c = w.core_of(i);
    if (!c) continue;
    const auto& in = inspector::of(*c);
    there += in.in_force && in.in_force->number == newest && in.my_slot != no_slot;
  }
  return there;
}

bool judge(world& w, const checkers& watchers) {
  for (const auto& c : watchers) {
    c->finished({w.operations().begin(), w.operations().end()});
    if (!c->broken().empty()) w.fail(std::string(c->property()) + ": " + c->broken());
  }
  return w.broken().empty();
}

}  // namespace cohort::sim
