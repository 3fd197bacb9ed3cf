// What changes between two views has a cause that the second one tells, and what it tells has happened; nobody is admitted
// whose process never started. Chockler, Keidar, Vitenberg 2001, "membership accuracy"; the causes are V9's.
#include "framework/simulation/check/book.hpp"
#include "framework/simulation/check/properties.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace cohort::sim {

using namespace protocol;

namespace {

class accuracy final : public checker {
public:
  explicit accuracy(book& b) : book_(b) {}
  const char* property() const override { return "accuracy of views"; }

  void started(const life& l, const disk::found&) override { started_.insert(l.id); }
  void installed(const life& l, const deliver_view& d) override {
    const auto& now = *d.what;
    const auto& r = book_.of(l);
    if (!r.from_log || !seen_.insert(now.number).second) return;
    const auto& old = *r.before;
    const auto told = [&](voter_id id, const char* what) {
      fail("view " + std::to_string(now.number) + ": member " + std::to_string(to_index(id.member)) + " " + what);
    };
    const auto noted = [&](voter_id id, std::initializer_list<view_cause> causes) {
      return std::ranges::any_of(now.notes, [&](const view_note& n) { return n.id == id && std::ranges::find(causes, n.cause) != causes.end(); });
    };
    using enum view_cause;
    for (const auto& e : now.roster) {
      const auto* was = find(old, e.id);
      const bool entered = e.active && !(was && was->active && was->inc == e.inc);
      const bool first = was && was->voter && was->inc == 0;  // of a group founded by decree: it begins (V19)
      if (entered && !(first ? noted(e.id, {founded}) : noted(e.id, {joined, recovered}))) told(e.id, "is active, for no cause that is told");
      if (entered && !started_.contains(e.id)) told(e.id, "is active, and was never started");
      if (e.voter && !(was && was->voter) && !noted(e.id, {promoted})) told(e.id, "votes, for no cause that is told");
    }
    for (const auto& was : old.roster) {
      const auto* e = find(now, was.id);
      if (was.active && !(e && e->active && e->inc == was.inc) && !noted(was.id, {failed, excluded, left, removed}))
        told(was.id, "is gone, for no cause that is told");
      if (was.voter && !(e && e->voter) && !noted(was.id, {replaced, left, removed, shrunk})) told(was.id, "votes no more, for no cause that is told");
    }
    for (const auto& n : now.notes) {
      const auto *was = find(old, n.id), *e = find(now, n.id);
      const bool gone = was && was->active && !(e && e->active && e->inc == was->inc);
      const bool entered = e && e->active && !(was && was->active && was->inc == e->inc);
      const bool votes = e && e->voter, voted = was && was->voter;
      const bool true_cause = n.cause == failed || n.cause == excluded   ? gone
                              : n.cause == joined || n.cause == recovered ? entered || (e && e->witness && !was)
                              : n.cause == founded                        ? entered && voted && was->inc == 0
                              : n.cause == promoted                       ? votes && !voted
                              : n.cause == replaced || n.cause == shrunk  ? voted && !votes
                              : n.cause == left || n.cause == removed     ? was && !e
                                                                          : false;
      if (!true_cause) told(n.id, "is said to have changed, and has not");
    }
  }

private:
  std::set<voter_id> started_;
  std::set<view_number> seen_;

  book& book_;
};

}  // namespace

std::unique_ptr<checker> check_accuracy(book& b) { return std::make_unique<accuracy>(b); }

}  // namespace cohort::sim
