// I13, V15: who stays from one view to the next has delivered the same batches of all orders in the first. Who was not
// active in it and follows by the log, too; who was excluded, at least these.
// Chockler, Keidar, Vitenberg 2001, "virtual synchrony".
#include "framework/simulation/check/book.hpp"
#include "framework/simulation/check/properties.hpp"

namespace cohort::sim {

using namespace protocol;

namespace {

class view_synchrony final : public checker {
public:
  explicit view_synchrony(book& b) : book_(b) {}
  const char* property() const override { return "I13 virtual synchrony"; }

  void installed(const life& l, const deliver_view& d) override {
    const auto& r = book_.of(l);
    if (!r.from_log || r.witness) return;
    auto& v = views_[r.before->number];
    seen mine{name_of(l), {}};
    for (const auto lane : book_.lanes_of(*r.before)) mine.had.emplace_back(lane, book_.had(r, lane));
    const bool excluded = r.inc_before != 0 && !r.stayed();
    if (excluded) {
      v.excluded.push_back(std::move(mine));
    } else if (v.first.who.empty()) {
      v.first = std::move(mine);
    } else {
      compare(v.first, mine, d.what->number);
      return;
    }
    if (v.first.who.empty()) return;
    for (const auto& x : v.excluded) at_least(v.first, x, d.what->number);
    v.excluded.clear();
  }

private:
  struct seen {
    std::string who;
    std::vector<std::pair<book::index, book::had_set>> had;
  };
  struct one_view {
    seen first;
    std::vector<seen> excluded;
  };

  void differ(const seen& x, const seen& y, book::index lane, sequence s, view_number next) {
    fail(x.who + " and " + y.who + " enter view " + std::to_string(next) + ", and only one of them has delivered " +
         name_of(book_.lanes()[lane].name, s));
  }
  /// Lanes are those of one view, in the same order.
  void compare(const seen& x, const seen& y, view_number next) {
    for (std::size_t i = 0; i < std::min(x.had.size(), y.had.size()); ++i)
      if (const auto &a = x.had[i].second, &b = y.had[i].second; a != b) {
        sequence s = std::min(a.upto(), b.upto()) + 1;
        while (a.has(s) == b.has(s)) ++s;
        differ(x, y, x.had[i].first, s, next);
      }
  }
  void at_least(const seen& all, const seen& x, view_number next) {
    for (std::size_t i = 0; i < std::min(x.had.size(), all.had.size()); ++i) {
      const auto &a = all.had[i].second, &b = x.had[i].second;
      for (auto s = b.upto() + 1; s <= a.upto(); ++s)
        if (!b.has(s)) return differ(all, x, x.had[i].first, s, next);
      for (const auto s : a.beyond())
        if (!b.has(s)) return differ(all, x, x.had[i].first, s, next);
    }
  }

  book& book_;
  std::map<view_number, one_view> views_;
};

}  // namespace

std::unique_ptr<checker> check_view_synchrony(book& b) { return std::make_unique<view_synchrony>(b); }

}  // namespace cohort::sim
