// I11, O6, O7: a message of order C, SC or T is delivered behind its past: what its sender had been delivered in the view
// when it submitted it, U apart, and what it had submitted before in lanes that wait for nobody (L5).
// Chockler, Keidar, Vitenberg 2001, "reliable causal".
#include "framework/simulation/check/book.hpp"
#include "framework/simulation/check/properties.hpp"

#include <algorithm>
#include <unordered_map>

namespace cohort::sim {

using namespace protocol;

namespace {

class causal_order final : public checker {
public:
  explicit causal_order(book& b) : book_(b) {}
  const char* property() const override { return "I11 causal order"; }

  void submitted(const life& l, order cls, std::uint64_t) override {
    if (kind_of(cls) == lane_kind::plain) return;
    const auto& r = book_.of(l);
    past p;
    if (r.in)
      for (const auto lane : lanes_of(*r.in)) {
        const auto reached = book_.reached(r, lane);
        if (reached.ordered > 0 || reached.total > 0 || reached.floor > 0) p.delivered.push_back({lane, reached});
      }
    p.plain = book_.stream_of(l.number, lane_kind::plain);
    p.sent = p.plain == book::none ? 0 : static_cast<book::index>(book_.streams()[p.plain].messages.size());
    pasts_.emplace(book_.last_submitted(), std::move(p));
  }

  void delivered(const life& l, const deliver_batch& d) override {
    if (kind_of(d.cls) == lane_kind::plain) return;
    const auto& messages = book_.now().what->messages;
    // The past of a batch's last message contains those of the others, and all are delivered at once.
    if (messages.empty() || messages.back() == book::none || book_.messages()[messages.back()].twin) return;
    const auto& r = book_.of(l);
    const auto& p = pasts_.at(messages.back());
    const auto told = [&](const std::string& what) { fail(name_of(l) + " delivers " + name_of(d.lane(), d.seq) + " before " + what); };
    for (const auto& [lane, reached] : p.delivered) {
      const auto here = book_.reached(r, lane);
      const auto ordered = std::max(here.ordered, here.floor), total = std::max(here.total, here.floor);
      const auto upto = book_.had(r, lane).upto();
      if (ordered >= reached.ordered && total >= reached.total && upto >= reached.floor) continue;
      // Lanes that have ended belong to an earlier view, which precedes as a whole.
      if (!r.in || std::ranges::find(lanes_of(*r.in), lane) == lanes_of(*r.in).end()) continue;
      const auto missing = ordered < reached.ordered ? reached.ordered : total < reached.total ? reached.total : reached.floor;
      told(name_of(book_.lanes()[lane].name, missing) + ", which its sender had been delivered");
    }
    if (p.plain == book::none) return;
    auto& upto = sent_[{l.number, p.plain}];
    for (const auto& sent = book_.streams()[p.plain].messages; upto < p.sent; ++upto) {
      const auto& before = book_.messages()[sent[upto]];
      if (before.cls == order::unordered || before.twin || before.lost || before.unknown) continue;
      if (before.seq != 0 && (book_.lanes()[before.lane].name.inc != d.inc || book_.had(r, before.lane).has(before.seq))) continue;
      told("plain message " + std::to_string(before.nth) + ", which its sender had submitted");
    }
  }

private:
  struct past {
    std::vector<std::pair<book::index, book::reach>> delivered;
    book::index plain = book::none, sent = 0;  ///< own plain stream: so many messages of it
  };
  const std::vector<book::index>& lanes_of(const view& v) {
    const auto [known, fresh] = lanes_.try_emplace(v.number);
    if (fresh) known->second = book_.lanes_of(v);
    return known->second;
  }

  book& book_;
  std::map<view_number, std::vector<book::index>> lanes_;
  std::unordered_map<book::index, past> pasts_;
  std::map<std::pair<std::uint64_t, book::index>, book::index> sent_;  ///< by life and stream: what is checked
};

}  // namespace

std::unique_ptr<checker> check_causal_order(book& b) { return std::make_unique<causal_order>(b); }

}  // namespace cohort::sim
