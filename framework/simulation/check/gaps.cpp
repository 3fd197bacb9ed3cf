// S4: a member that is given a checkpoint is told exactly what it was not delivered: what the group delivered up to the
// checkpoint, less what this life had. Whoever knew nothing of the group before missed nothing.
// Birman, Joseph 1987, section 2.4; Chockler, Keidar, Vitenberg 2001, "reliable multicast" with joining members.
#include "framework/simulation/check/book.hpp"
#include "framework/simulation/check/properties.hpp"

#include <algorithm>
#include <optional>

namespace cohort::sim {

using namespace protocol;

namespace {

class gaps final : public checker {
public:
  explicit gaps(book& b) : book_(b) {}
  const char* property() const override { return "S4 gaps"; }

  /// What a view delivered is what those had who left it by the log, excluded ones apart: they may have had more (V13).
  void installed(const life& l, const deliver_view&) override {
    const auto& r = book_.of(l);
    if (!r.from_log || r.witness || (r.inc_before != 0 && !r.stayed())) return;
    auto& ended = ended_[r.before->number];
    if (!ended.empty()) return;
    for (const auto lane : book_.lanes_of(*r.before)) ended.emplace_back(lane, book_.had(r, lane));
  }

  void started(const life& l, const disk::found& found) override {
    if (!found.checkpoint) return;
    const auto told = told_.find({l.member(), found.checkpoint->index});
    const auto now = found.checkpoint->missed ? *found.checkpoint->missed : missed_messages{};
    if (now != (told == told_.end() ? missed_messages{} : told->second))
      fail(name_of(l) + " begins with a checkpoint, and is told of another gap before it than its former life");
  }

  void restored(const life& l, const mark& at) override {
    const auto& r = book_.of(l);
    if (r.witness) return;
    if (at.missed) told_[{l.member(), at.index}] = *at.missed;
    if (!r.in) {
      if (at.missed) fail(name_of(l) + " knew nothing of the group, and is told of a gap");
      return;
    }
    truth_by_lane truth;
    const bool known = add_views(truth, r.in->number, at.in_force->number);
    const auto lanes = book_.lanes_of(*at.in_force);
    for (slot s = 0; s < lanes.size(); ++s) truth[lanes[s]].raise(s < at.cut.size() ? at.cut[s] : 0);
    if (!known) return;  // all who left one of these views by the log had been excluded
    if (at.missed && !at.missed->complete) return fail(name_of(l) + " is told that the gap is not known, and it is");
    auto named = at.missed ? at.missed->runs : std::vector<missed_run>();
    for (const auto& [lane, delivered] : truth) compare(l, r, lane, delivered, named);
    for (const auto& run : named) fail(name_of(l) + " is told of a gap from " + name_of(run.lane, run.from) + ", where nothing was delivered");
  }

private:
  using truth_by_lane = std::map<book::index, book::had_set>;
  bool add_views(truth_by_lane& truth, view_number from, view_number to) const {
    for (auto v = from; v < to; ++v) {
      const auto known = ended_.find(v);
      if (known == ended_.end()) return false;
      for (const auto& [lane, had] : known->second) {
        auto& all = truth[lane];
        all.raise(had.upto());
        for (const auto s : had.beyond()) all.add(s);
      }
    }
    return true;
  }

  /// Takes the runs of this lane out of `named`.
  void compare(const life& l, const book::reader& r, book::index lane, const book::had_set& delivered, std::vector<missed_run>& named) {
    static const book::had_set nothing;
    const auto& had = lane < r.had_before.size() ? r.had_before[lane] : nothing;
    const auto& name = book_.lanes()[lane].name;
    book::had_set told;
    sequence last = 0;
    std::erase_if(named, [&](const missed_run& run) {
      if (run.lane != name) return false;
      if (run.from <= last) fail(name_of(l) + " is told twice of a gap at " + name_of(name, run.from));
      last = run.to;
      for (auto s = run.from; s <= run.to; ++s) {
        told.add(s);
        if (!delivered.has(s)) fail(name_of(l) + " is told that it missed " + name_of(name, s) + ", which nobody was delivered");
        if (had.has(s)) fail(name_of(l) + " is told that it missed " + name_of(name, s) + ", which it was delivered");
      }
      return true;
    });
    const auto missing = [&](sequence s) {
      if (!had.has(s) && !told.has(s)) fail(name_of(l) + " missed " + name_of(name, s) + ", and is not told");
    };
    for (sequence s = 1; s <= delivered.upto(); ++s) missing(s);
    for (const auto s : delivered.beyond()) missing(s);
  }

  book& book_;
  std::map<view_number, std::vector<std::pair<book::index, book::had_set>>> ended_;
  std::map<std::pair<member_id, log_index>, missed_messages> told_;
};

}  // namespace

std::unique_ptr<checker> check_gaps(book& b) { return std::make_unique<gaps>(b); }

}  // namespace cohort::sim
