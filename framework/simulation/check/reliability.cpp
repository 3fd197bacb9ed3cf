// What a process that lives on submitted is in the end delivered, to itself and to all who are in the view, or reported.
// Chockler, Keidar, Vitenberg 2001, "self delivery" and "multicast liveness".
#include "framework/simulation/check/book.hpp"
#include "framework/simulation/check/properties.hpp"

#include <algorithm>

namespace cohort::sim {

using namespace protocol;

namespace {

class reliability final : public checker {
public:
  explicit reliability(book& b) : book_(b) {}
  const char* property() const override { return "reliability"; }

  void finished(const std::vector<operation>&) override {
    for (const auto& s : book_.streams()) {
      const auto& sender = book_.readers().at(s.life);
      if (!sender.up) continue;
      const auto lanes = sender.in ? book_.lanes_of(*sender.in) : std::vector<book::index>{};
      for (const auto m : s.messages) {
        const auto& what = book_.messages()[m];
        if (what.lost || what.unknown || what.twin) continue;
        const auto name = "message " + std::to_string(what.nth) + " of " + name_of(sender.who) + " in order " + to_string(what.cls);
        if (what.seq == 0) {
          fail(name + " is delivered nowhere, and its sender was not told");
          continue;
        }
        if (!book_.had(sender, what.lane).has(what.seq)) fail(name + " is not delivered to its sender");
        // What ended with an earlier view is a matter of virtual synchrony.
        if (std::ranges::find(lanes, what.lane) == lanes.end()) continue;
        for (const auto& [number, r] : book_.readers())
          if (r.up && r.inc != 0 && r.in->number == sender.in->number && !book_.had(r, what.lane).has(what.seq))
            fail(name + " is not delivered to " + name_of(r.who));
      }
    }
  }

private:
  book& book_;
};

}  // namespace

std::unique_ptr<checker> check_reliability(book& b) { return std::make_unique<reliability>(b); }

}  // namespace cohort::sim
