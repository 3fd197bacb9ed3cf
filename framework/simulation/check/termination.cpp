// O10: a submission ends once: it is delivered to its sender, or its sender is told that it is delivered nowhere, or, where
// a checkpoint hides it, that nobody knows. Nothing else is reported.
#include "framework/simulation/check/book.hpp"
#include "framework/simulation/check/properties.hpp"

namespace cohort::sim {

using namespace protocol;

namespace {

class termination final : public checker {
public:
  explicit termination(book& b) : book_(b) {}
  const char* property() const override { return "O10 termination"; }

  void undelivered(const life& l, order cls, std::uint64_t) override {
    const auto m = book_.last_lost();
    if (m == book::none) return fail(name_of(l) + " is told that something in order " + to_string(cls) + " is lost, which it did not submit");
    const auto& what = book_.messages()[m];
    if (what.seq != 0 && !what.twin && book_.had(book_.of(l), what.lane).has(what.seq))
      fail(name_of(l) + " is told that its message " + std::to_string(what.nth) + " in order " + to_string(cls) +
           " is lost, and has delivered " + name_of(book_.lanes()[what.lane].name, what.seq));
  }
  void delivered(const life& l, const deliver_batch& d) override {
    for (const auto m : book_.now().what->messages) {
      if (m == book::none) continue;
      const auto& what = book_.messages()[m];
      if (what.lost && !what.twin && book_.streams()[what.stream].life == l.number)
        fail(name_of(l) + " delivers " + name_of(d.lane(), d.seq) + ", which it was told is lost");
    }
  }
  void finished(const std::vector<operation>&) override {
    for (const auto& s : book_.streams()) {
      const auto& sender = book_.readers().at(s.life);
      if (!sender.up) continue;
      for (const auto m : s.messages) {
        const auto& what = book_.messages()[m];
        if (what.twin || what.lost || what.unknown) continue;
        if (what.seq == 0 || !book_.had(sender, what.lane).has(what.seq))
          fail("message " + std::to_string(what.nth) + " of " + name_of(sender.who) + " in order " + to_string(what.cls) + " has no end");
      }
    }
  }

private:
  book& book_;
};

}  // namespace

std::unique_ptr<checker> check_termination(book& b) { return std::make_unique<termination>(b); }

}  // namespace cohort::sim
