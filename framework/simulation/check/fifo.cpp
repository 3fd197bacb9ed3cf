// I11, O1: F and SF of one sender are delivered as it submitted them, without a gap; so are C and SC, and T.
// Chockler, Keidar, Vitenberg 2001, "reliable FIFO".
#include "framework/simulation/check/book.hpp"
#include "framework/simulation/check/properties.hpp"

#include <array>

namespace cohort::sim {

using namespace protocol;

namespace {

class fifo final : public checker {
public:
  explicit fifo(book& b) : book_(b) {}
  const char* property() const override { return "I11 FIFO"; }

  void delivered(const life& l, const deliver_batch& d) override {
    if (d.cls == order::unordered) return;
    const auto& r = book_.of(l);
    const auto& now = book_.now();
    book::index last = 0;
    for (const auto m : now.what->messages) {
      if (m == book::none || book_.messages()[m].twin) continue;
      const auto& what = book_.messages()[m];
      auto& upto = upto_[{l.number, what.stream}][d.cls == order::total];
      if (what.nth < last) fail(name_of(d.lane(), d.seq) + " has its messages in another order than they were submitted");
      last = what.nth;
      const auto& sent = book_.streams()[what.stream].messages;
      for (; upto <= what.nth; ++upto) {
        const auto& before = book_.messages()[sent[upto]];
        if (before.cls == order::unordered || (before.cls == order::total) != (d.cls == order::total)) continue;
        if (before.twin || before.lost || before.unknown) continue;
        // What was sent under an earlier incarnation belongs to views before this one.
        if (before.seq != 0 && (before.lane != now.lane || book_.had(r, now.lane).has(before.seq))) continue;
        fail(name_of(l) + " delivers " + name_of(d.lane(), d.seq) + " without message " + std::to_string(before.nth) +
             " which its sender had submitted before it");
      }
    }
  }

private:
  book& book_;
  std::map<std::pair<std::uint64_t, book::index>, std::array<book::index, 2>> upto_;  ///< by life and stream: what is checked
};

}  // namespace

std::unique_ptr<checker> check_fifo(book& b) { return std::make_unique<fifo>(b); }

}  // namespace cohort::sim
