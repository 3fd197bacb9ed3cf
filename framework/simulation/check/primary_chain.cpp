// Views form one chain: each is entered first by somebody who was in the one before, and a quorum of that one's voters is in
// it; who votes there voted before, or is said to be promoted.
// Chockler, Keidar, Vitenberg 2001, "primary component membership".
#include "framework/simulation/check/book.hpp"
#include "framework/simulation/check/properties.hpp"

#include <algorithm>
#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class primary_chain final : public checker {
public:
  explicit primary_chain(book& b) : book_(b) {}
  const char* property() const override { return "primary chain"; }

  void started(const life&, const disk::found& found) override {
    // Nobody enters a view that was decreed (V19): its members begin in it.
    if (found.state && found.state->founded && found.state->promises.base.in_force->number == 0)
      views_.try_emplace(0, found.state->promises.base.in_force);
  }
  void installed(const life& l, const deliver_view& d) override {
    const auto number = d.what->number;
    if (!views_.try_emplace(number, d.what).second) return;
    const auto told = [&](const std::string& what) { fail(name_of(l) + " enters view " + std::to_string(number) + ", " + what); };
    if (std::ranges::none_of(d.what->roster, &roster_entry::voter)) told("in which nobody votes");
    if (number == 0) return;
    const auto before = views_.find(number - 1);
    if (before == views_.end() || !book_.of(l).from_log) return told("and nobody came to it from the view before");
    const auto& old = *before->second;
    // Who left, was removed or shrunk (V16) may have voted for that: the entry is committed by a quorum of both views.
    const auto let_go = [&](const roster_entry& r) {
      return std::ranges::any_of(d.what->notes, [&](const view_note& n) {
        return n.id == r.id && (n.cause == view_cause::left || n.cause == view_cause::removed || n.cause == view_cause::shrunk);
      });
    };
    std::size_t kept = 0;
    for (const auto& r : old.roster) kept += r.voter && (find(*d.what, r.id) || let_go(r)) ? 1 : 0;
    if (kept < quorum_size(old)) told("which has no quorum of the view before");
    for (const auto& r : d.what->roster) {
      if (!r.voter) continue;
      const auto* was = find(old, r.id);
      if (was && was->voter) continue;
      if (std::ranges::find(d.what->notes, view_note{r.id, view_cause::promoted}) == d.what->notes.end())
        told("in which somebody votes who was not promoted");
    }
  }

private:
  std::map<view_number, view_ptr> views_;

  book& book_;
};

}  // namespace

std::unique_ptr<checker> check_primary_chain(book& b) { return std::make_unique<primary_chain>(b); }

}  // namespace cohort::sim
