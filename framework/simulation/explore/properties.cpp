#include "framework/simulation/explore/properties.hpp"

#include "framework/simulation/trace.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <utility>

namespace cohort::sim::explore {

using namespace protocol;

namespace {

[[noreturn]] void fail(const std::string& what) { throw std::logic_error(what); }
std::string name(const member& m) { return "member " + std::to_string(m.node); }
std::string title(const story::event& e) {
  return std::string(to_string(e.cls)) + " message " + std::to_string(e.message) + " of member " +
         std::to_string(to_index(e.sender));
}

using batch_name = std::tuple<lane_name, sequence, std::uint8_t>;
batch_name name_of(const story::event& e) { return {{e.sender, e.inc, kind_of(e.cls)}, e.seq, e.message}; }

/// One stay of a member in a view that ended with its staying in the next one under the same incarnation.
struct stay {
  view_number view = 0;
  std::set<batch_name> delivered;
  std::uint8_t given = 0;  ///< what a checkpoint brought that was taken meanwhile, and it was not delivered (V15)
  bool has(const batch_name& b) const { return delivered.contains(b) || (given >> std::get<2>(b) & 1) != 0; }
};

std::vector<stay> stays_of(const member& m) {
  std::vector<stay> stays;
  stay now;
  bool in = false;
  incarnation inc = 0;
  std::uint8_t given = 0;
  for (const auto& e : m.told.events) {
    if (e.what == story::kind::batch) now.delivered.insert(name_of(e));
    if (e.what == story::kind::restored) in = false, given = e.past;
    if (e.what != story::kind::view && e.what != story::kind::born) continue;
    if (e.what == story::kind::view && in && e.member && e.inc == inc) stays.push_back(std::move(now));
    in = e.member;
    inc = e.inc;
    now = {e.view, {}, std::exchange(given, 0)};
  }
  return stays;
}

}  // namespace

void check_alone(const member& m, std::size_t from) {
  view_ptr roster;
  view_number view = 0;
  std::uint64_t position = 0;
  unsigned delivered = 0;
  std::set<batch_name> seen;
  std::map<std::tuple<lane_name, bool>, sequence> newest;
  for (std::size_t i = 0; i < m.told.events.size(); ++i) {
    const auto& e = m.told.events[i];
    const auto check = [&](bool holds, auto&& text) {
      if (i >= from && !holds) fail(text());
    };
    switch (e.what) {
      case story::kind::born:
        position = 0, delivered = 0, seen.clear(), newest.clear();
        view = e.view, roster = e.roster;
        break;
      case story::kind::view:
        check(!roster || e.view == view + 1, [&] {
          return "I14 view agreement: " + name(m) + " goes from view " + std::to_string(view) + " to " + std::to_string(e.view);
        });
        view = e.view, roster = e.roster;
        break;
      case story::kind::lost: break;
      case story::kind::restored:
        position = e.position, delivered = e.past, seen.clear(), newest.clear();
        roster = nullptr;
        break;
      case story::kind::batch: {
        const auto delivers = name(m) + " delivers " + title(e);
        check(e.view == view, [&] {
          return "I12 sending view: " + delivers + " of view " + std::to_string(e.view) + " in view " + std::to_string(view);
        });
        const bool active = std::ranges::any_of(roster->roster, [&](const roster_entry& r) {
          return r.active && r.id.member == e.sender && r.inc == e.inc;
        });
        check(active, [&] { return "I12 sending view: " + delivers + ", who is not active in view " + std::to_string(view); });
        const bool fresh = seen.insert(name_of(e)).second;
        check(fresh, [&] { return "no duplicates: " + delivers + " twice"; });
        if (e.cls == order::total) {
          check(e.position == position + 1, [&] {
            return "I10 total order: " + delivers + " at position " + std::to_string(e.position) + " after " + std::to_string(position);
          });
          position = e.position;
        }
        if (e.cls != order::unordered) {
          auto& last = newest[{{e.sender, e.inc, kind_of(e.cls)}, e.cls == order::total}];
          check(e.seq >= last, [&] { return "O6 order of a sender: " + delivers + " behind a later one"; });
          last = std::max(last, e.seq);
        }
        check(kind_of(e.cls) != lane_kind::causal || (e.past & ~delivered) == 0,
              [&] { return "O1 causal order: " + delivers + " before what its sender had delivered or sent"; });
        delivered |= 1u << e.message;
        break;
      }
    }
  }
}

void check_pair(const member& a, const member& b) {
  // I1
  for (const auto term : a.told.led)
    if (std::ranges::find(b.told.led, term) != b.told.led.end())
      fail("I1 one leader a term: " + name(a) + " and " + name(b) + " both led in term " + std::to_string(term));

  // I5
  for (std::size_t i = 0; i < std::min(a.told.committed.size(), b.told.committed.size()); ++i)
    if (const auto x = a.told.committed[i].hash, y = b.told.committed[i].hash; x != 0 && y != 0 && x != y)
      fail("I5 agreement: " + name(a) + " and " + name(b) + " committed different entries " + std::to_string(i + 1));

  // I2, I4
  const auto& log_a = a.inside().log;
  const auto& log_b = b.inside().log;
  bool equal_below = false;
  for (auto i = std::min(log_a.last(), log_b.last()); log_a.has(i) && log_b.has(i); --i) {
    if (!equal_below && log_a.term_at(i) != log_b.term_at(i)) continue;
    equal_below = true;
    if (hash_entry(log_a.at(i)) != hash_entry(log_b.at(i)))
      fail("I2 log matching: " + name(a) + " and " + name(b) + " differ in entry " + std::to_string(i) + " below one of equal term");
  }
  if (b.up && b.inside().role == core_role::leader)
    for (std::size_t i = 0; i < a.told.committed.size(); ++i) {
      const auto& c = a.told.committed[i];
      if (c.hash == 0 || c.counted >= b.inside().promises.term || i < log_b.base().index) continue;
      if (!log_b.has(i + 1) || hash_entry(log_b.at(i + 1)) != c.hash)
        fail("I4 leader completeness: " + name(b) + " leads term " + std::to_string(b.inside().promises.term) + " without entry " +
             std::to_string(i + 1) + ", which " + name(a) + " knows to be committed");
    }

  // I10, I14, O10
  for (const auto& x : a.told.events)
    for (const auto& y : b.told.events) {
      if (x.what == story::kind::batch && y.what == story::kind::batch && x.position != 0 && x.position == y.position && x.hash != y.hash)
        fail("I10 total order: " + name(a) + " and " + name(b) + " deliver different messages at position " + std::to_string(x.position));
      if (x.roster && y.roster && x.view == y.view && x.hash != y.hash)
        fail("I14 view agreement: " + name(a) + " and " + name(b) + " have different views " + std::to_string(x.view));
      if (x.what == story::kind::lost && y.what == story::kind::batch && x.message == y.message && is_safe(x.cls))
        fail("O10 outcome: " + title(y) + " was reported as delivered nowhere, and " + name(b) + " delivered it");
    }

  // I13, D8 with V4-V8: who stays has delivered what anybody delivered as safe, and what others who stay delivered.
  const auto stays_a = stays_of(a);
  for (const auto& there : stays_of(b)) {
    for (const auto& e : a.told.events)
      if (e.what == story::kind::batch && e.safe && e.view == there.view && !there.has(name_of(e)))
        fail("uniformity: " + name(a) + " delivered " + title(e) + " as safe in view " + std::to_string(e.view) + ", and " + name(b) +
             " left that view without it");
    for (const auto& here : stays_a)
      if (here.view == there.view && !std::ranges::all_of(here.delivered, [&](const batch_name& name) { return there.has(name); }))
        fail("I13 virtual synchrony: " + name(a) + " and " + name(b) + " went on from view " + std::to_string(here.view) +
             " with different messages");
  }
}

void check_accusation(const member& accuser, const story::accusation& what, const std::vector<const member*>& all,
                      const core_options& options) {
  const auto says = name(accuser) + " goes on without member " + std::to_string(what.of);
  const auto& known = accuser.told.evident[what.of];
  if (what.why == absence::reset && all[what.of]->up) {
    if (!known.reset) fail("V24: " + says + " because of a link that was not reset");
    unsigned agree = 0;
    for (const auto* other : all) {
      if (other->node == accuser.node || other->node == what.of || !other->up || accuser.told.evident[other->node].reset) continue;
      if (!other->told.evident[what.of].reset) fail("V24: " + says + ", who lives, though " + name(*other) + " has a link to it");
      ++agree;
    }
    // Whoever agreed may have died since, or be cut off from the leader; so much is known of those who live.
    const auto dead = std::ranges::count_if(all, [&](const member* m) { return !m->up && m->node != what.of; });
    const auto cut_off = std::ranges::count_if(all, [&](const member* m) { return m->node != what.of && accuser.told.evident[m->node].reset; });
    if (agree == 0 && dead == 0 && cut_off == 0) fail("V24: " + says + ", who lives, on its own word alone");
  }
  if (what.why == absence::unheard) {
    if (known.asked == never || accuser.now - known.asked < options.election_min)
      fail("V20: " + says + ", whom nobody was asked about for E_min");
    if (known.vouched != never && accuser.now - known.vouched <= options.election_min)
      fail("V20: " + says + ", of whom another one has said that it lives");
  }
}

}  // namespace cohort::sim::explore
