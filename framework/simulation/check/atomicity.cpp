// When all is quiet, those who are in the last view have delivered the same in it, without a gap: all or nobody.
// Chockler, Keidar, Vitenberg 2001, "agreement"; Birman 2012, "atomic multicast".
#include "framework/simulation/check/book.hpp"
#include "framework/simulation/check/properties.hpp"

namespace cohort::sim {

using namespace protocol;

namespace {

class atomicity final : public checker {
public:
  explicit atomicity(book& b) : book_(b) {}
  const char* property() const override { return "atomicity"; }

  void finished(const std::vector<operation>&) override {
    const book::reader* first = nullptr;
    for (const auto& [number, r] : book_.readers()) {
      if (!r.up || r.inc == 0) continue;
      if (!first || r.in->number > first->in->number) first = &r;
    }
    if (!first) return;
    const auto lanes = book_.lanes_of(*first->in);
    for (const auto& [number, r] : book_.readers()) {
      if (!r.up || r.inc == 0 || r.in->number != first->in->number) continue;
      for (const auto lane : lanes) {
        const auto &mine = book_.had(r, lane), &others = book_.had(*first, lane);
        const auto& name = book_.lanes()[lane].name;
        if (!mine.beyond().empty()) fail(name_of(r.who) + " has never delivered " + name_of(name, mine.upto() + 1) + ", but later ones");
        if (mine != others) {
          auto s = std::min(mine.upto(), others.upto()) + 1;
          while (mine.has(s) == others.has(s)) ++s;
          fail("only one of " + name_of(r.who) + " and " + name_of(first->who) + " has delivered " + name_of(name, s));
        }
      }
    }
  }

private:
  book& book_;
};

}  // namespace

std::unique_ptr<checker> check_atomicity(book& b) { return std::make_unique<atomicity>(b); }

}  // namespace cohort::sim
