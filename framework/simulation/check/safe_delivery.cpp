// I15: what is delivered as safe (SF, SC, T, or said to be stable) by anybody in a view, is delivered in it by everybody
// who goes from it to the next one, also if who delivered it dies or is excluded: it lies below the final cut.
// Chockler, Keidar, Vitenberg 2001, "safe indication prefix"; here with stability at a quorum.
#include "framework/simulation/check/book.hpp"
#include "framework/simulation/check/properties.hpp"

#include <algorithm>

namespace cohort::sim {

using namespace protocol;

namespace {

class safe_delivery final : public checker {
public:
  explicit safe_delivery(book& b) : book_(b) {}
  const char* property() const override { return "I15 safe delivery"; }

  void delivered(const life& l, const deliver_batch& d) override {
    if (!is_safe(d.cls) && !d.stable) return;
    if (is_safe(d.cls) && !d.stable) fail(name_of(l) + " delivers " + name_of(d.lane(), d.seq) + " as safe and not stable");
    const auto lane = book_.now().lane;
    auto& v = views_[d.view];
    auto& safe = v.safe[lane];
    if (!safe.add(d.seq) || !v.ended || had(v.end, lane).has(d.seq)) return;
    fail(name_of(l) + " delivers " + name_of(d.lane(), d.seq) + " as safe in view " + std::to_string(d.view) +
         ", which others have left without it");
  }

  void installed(const life& l, const deliver_view&) override {
    const auto& r = book_.of(l);
    if (!r.from_log || r.witness) return;
    auto& v = views_[r.before->number];
    std::map<book::index, book::had_set> end;
    for (const auto lane : book_.lanes_of(*r.before)) end[lane] = book_.had(r, lane);
    for (const auto& [lane, safe] : v.safe) {
      const auto lacks = [&](sequence s) { return !had(end, lane).has(s); };
      const auto& mine = had(end, lane);
      sequence missing = 0;
      for (auto s = mine.upto() + 1; s <= safe.upto() && missing == 0; ++s)
        if (lacks(s)) missing = s;
      for (const auto s : safe.beyond())
        if (missing == 0 && lacks(s)) missing = s;
      if (missing != 0)
        fail(name_of(l) + " leaves view " + std::to_string(r.before->number) + " without " +
             name_of(book_.lanes()[lane].name, missing) + ", which was delivered there as safe");
    }
    // Who was excluded may have delivered more than those who stay.
    if (v.ended || (r.inc_before != 0 && !r.stayed())) return;
    v.ended = true;
    v.end = std::move(end);
  }

private:
  using ends = std::map<book::index, book::had_set>;
  struct one_view {
    std::map<book::index, book::had_set> safe;  ///< by lane: delivered as safe by anybody
    bool ended = false;
    ends end;                                   ///< by lane: what belongs to the view
  };
  static const book::had_set& had(const ends& e, book::index lane) {
    static const book::had_set nothing;
    const auto known = e.find(lane);
    return known == e.end() ? nothing : known->second;
  }

  book& book_;
  std::map<view_number, one_view> views_;
};

}  // namespace

std::unique_ptr<checker> check_safe_delivery(book& b) { return std::make_unique<safe_delivery>(b); }

}  // namespace cohort::sim
