// I19, V4, V5: after a report nothing above its front is acknowledged, until a view is installed or an entry of a term
// above the promise's has been applied.
#include "framework/simulation/check/properties.hpp"
#include "framework/protocol/frontier.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class wedge_promise final : public checker {
public:
  const char* property() const override { return "I19 wedge"; }

  void stopped(const life& l) override {
    promises_.erase(l.number);
    applied_term_.erase(l.number);
  }
  void installed(const life& l, const deliver_view& v) override {
    promises_.erase(l.number);
    views_.try_emplace(v.what->number, v.what);
  }
  void sent(const life& l, const message& what) override {
    if (const auto* r = std::get_if<report>(&what)) {
      if (r->no_state || r->front.empty()) return;
      // A restarted member tells what its disk holds, and promises nothing: its acks do not count in this view.
      const auto v = views_.find(r->view);
      if (v == views_.end() || slot_of(*v->second, l.id, r->inc) == no_slot) return;
      auto [known, fresh] = promises_.try_emplace(l.number, promise{r->view, r->inc, r->term, r->front});
      auto& p = known->second;
      // Reports wait for the disk: that of the next promise may leave in the same moment as the one that was ended before.
      if (!fresh && applied_term_[l.number] > p.term) p = {r->view, r->inc, r->term, r->front};
      if (!fresh && p.view == r->view && p.inc == r->inc && !covers(p.front, r->front))
        fail("member " + std::to_string(to_index(l.member())) + " reports another front under the same promise");
      p.term = std::max(p.term, r->term);
    } else if (const auto* a = std::get_if<ack>(&what)) {
      const auto known = promises_.find(l.number);
      if (known == promises_.end() || known->second.view != a->view || known->second.inc != a->inc) return;
      if (!covers(known->second.front, a->have)) known->second.broken = true;  // unless this very pass ended it
    }
  }
  void passed(const life& l, const inspector::inside& in) override {
    applied_term_[l.number] = in.has_state ? in.log.term_at(in.applied) : 0;
    const auto known = promises_.find(l.number);
    if (known == promises_.end()) return;
    auto& p = known->second;
    const bool member = in.my_slot != no_slot && in.promises.inc == p.inc && in.in_force->number == p.view;
    const bool ended = in.log.term_at(in.applied) > p.term;
    if (member && !ended && !in.wedged.on)
      fail("member " + std::to_string(to_index(l.member())) + " gave up its promise of term " + std::to_string(p.term) +
           " with nothing newer applied");
    if (member && !ended && p.broken)
      fail("member " + std::to_string(to_index(l.member())) + " acknowledges batches above the front it reported");
    if (!member || ended) promises_.erase(known);
  }

private:
  struct promise {
    view_number view = 0;
    incarnation inc = 0;
    term_number term = 0;
    frontier front;
    bool broken = false;
  };
  std::map<std::uint64_t, promise> promises_;
  std::map<view_number, view_ptr> views_;
  std::map<std::uint64_t, term_number> applied_term_;  ///< by life, at its last pass
};

}  // namespace

std::unique_ptr<checker> check_wedge() { return std::make_unique<wedge_promise>(); }

}  // namespace cohort::sim
