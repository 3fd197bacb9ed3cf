// O10: what is reported as delivered nowhere is delivered by nobody, ever, if it is safe (SF, SC, T); else by nobody who
// goes on from that view to the next under its incarnation.
#include "framework/simulation/check/book.hpp"
#include "framework/simulation/check/properties.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class losses final : public checker {
public:
  explicit losses(book& b) : book_(b) {}
  const char* property() const override { return "O10 losses"; }

  void undelivered(const life&, order, std::uint64_t) override {
    const auto m = book_.last_lost();
    if (m == book::none) return;
    const auto& what = book_.messages()[m];
    if (is_safe(what.cls) && what.seq != 0 && !what.twin) told(what);
  }
  void delivered(const life& l, const deliver_batch& d) override {
    for (const auto m : book_.now().what->messages) {
      if (m == book::none || book_.messages()[m].twin) continue;
      const auto& what = book_.messages()[m];
      if (what.lost && is_safe(what.cls)) told(what);
      if (!is_safe(what.cls)) since_[l.number].push_back({m, book_.of(l).inc, d.view});
    }
  }
  void installed(const life& l, const deliver_view&) override {
    const auto& r = book_.of(l);
    auto& mine = since_[l.number];
    // Only who stays answers for what it delivered in the view it leaves.
    if (r.stayed())
      for (const auto& d : mine)
        if (d.view + 1 == r.in->number && d.inc == r.inc) stayed_.push_back(d.what);
    mine.clear();
  }
  void finished(const std::vector<operation>&) override {
    for (const auto m : stayed_)
      if (book_.messages()[m].lost) told(book_.messages()[m]);
  }

private:
  struct had {
    book::index what = book::none;
    incarnation inc = 0;
    view_number view = 0;
  };
  void told(const book::message& what) {
    fail("message " + std::to_string(what.nth) + " of " + name_of(book_.readers().at(book_.streams()[what.stream].life).who) + " in order " +
         to_string(what.cls) + " was reported as lost, and is delivered as " + name_of(book_.lanes()[what.lane].name, what.seq));
  }
  std::map<std::uint64_t, std::vector<had>> since_;  ///< by life: delivered in the view it is in
  std::vector<book::index> stayed_;

  book& book_;
};

}  // namespace

std::unique_ptr<checker> check_losses(book& b) { return std::make_unique<losses>(b); }

}  // namespace cohort::sim
