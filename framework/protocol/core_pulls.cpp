// Payload that is pulled: by who must hold what an entry covers, and by members that are fed by the log (L7, C1, W6).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>

namespace cohort::protocol {

namespace {

/// So much is asked for ahead of what has come, of all lanes together: less than a link lets wait.
constexpr std::size_t asked_ahead_bytes = 16u << 20;
/// And so many batches by one PULL, while there are more. Within `pull_bytes_max`, or an answer would end before its range does.
constexpr sequence asked_at_once = 16;

/// Batches that may be asked for: nobody knows how large they are, but they are like the newest one, or like full ones.
sequence asked_ahead(const lane& l, sequence lanes, std::size_t full) {
  const auto* newest = l.find(l.held());
  const auto bytes = std::max({newest ? newest->what.bytes() : 0, full, std::size_t{1}});
  return std::max<sequence>(asked_at_once, asked_ahead_bytes / bytes / lanes);
}

}  // namespace

void core::impl::receive_pull(voter_id from, const pull& p) {
  if (!has_state) return;
  const auto* l = lane_of(p.lane(), p.view, p.slot);
  if (!l) return;
  // W6: a learner cannot tell what its owner sends by itself. That is on its way, or sent again by L7.
  const auto& asker = peer_of(from);
  const auto* r = find(*in_force, from);
  const bool learner = r && is_learner(*r) && asker.inc == r->inc && l->owner == start.self && l->inc == promises.inc;
  const auto served = learner ? asker.served_from[static_cast<std::size_t>(l->kind)] : 0;
  const auto to = served > 0 && !mutated(mutation::served_answered_too) ? std::min(p.to, served - 1) : p.to;
  std::size_t bytes = 0;
  for (sequence q = std::max(p.from, l->trimmed() + 1); q <= to && q >= p.from && bytes < options.pull_bytes_max; ++q) {
    const auto* b = l->find(q);
    if (!b) {
      if (q > l->held()) break;
      continue;
    }
    bytes += b->what.bytes();
    send(from.member, *b);
  }
}

void core::impl::pull_extras(const std::vector<extra>& extras, view_number number, member_id from) {
  for (const auto& x : extras) {
    const auto* l = lanes.find(number, x.slot);
    if (l && !l->find(x.seq)) send(from, pull{number, x.slot, x.seq, x.seq, l->owner.member, l->inc, l->kind});
  }
}

bool core::impl::holds(const std::vector<extra>& extras, view_number number) const {
  return std::ranges::all_of(extras, [&](const extra& x) {
    const auto* l = lanes.find(number, x.slot);
    return l && (x.seq <= l->trimmed() || l->find(x.seq));
  });
}

void core::impl::pull_for_offered() {
  if (offered.empty() || is_witness() || leader == no_member || journal_full()) return;
  const auto number = log.last_view().what->number;
  // An active member gets batches from their owners and waits a little; others depend on being answered (L7). So does a learner, which
  // cannot tell whether it is served by them.
  const bool served = my_slot != no_slot && !learning && number == in_force->number && offered.size() <= 32;
  if (now - offered_since < pull_patience() && served) return;
  const auto held = lanes.held(number);
  // Nothing is asked for twice, or a member far behind would be sent the same over and over; but for what did not come.
  const bool moved = asked.held != held;
  const bool other = asked.view != number || asked.upto.size() != held.size() || asked.of != leader;
  const bool anew = other || (!moved && now - asked.moved >= pull_patience());
  if (anew || mutated(mutation::pulled_twice)) asked = {number, leader, held, held, {}, 0};
  if (anew || moved) asked.moved = now;
  asked.held = held;

  frontier want;
  for (const auto& e : offered) {
    want = e.cut;
    if (e.kind != entry_kind::view) continue;
    if (asked.extras_of != e.index) pull_extras(e.extras, number, leader);
    asked.extras_of = e.index;
    break;
  }
  sequence lacking = 0;
  for (slot s = 0; s < want.size() && s < held.size(); ++s) lacking += held[s] < want[s];
  for (slot s = 0; s < want.size() && s < held.size(); ++s) {
    if (held[s] >= want[s]) continue;
    const auto& l = *lanes.find(number, s);
    pull_ahead(l, s, want[s], asked_ahead(l, lacking, options.batch_bytes));
  }
}

/// Asks for what lacks up to `want`, as far as so many batches above what is held.
void core::impl::pull_ahead(const lane& l, slot s, sequence want, sequence ahead) {
  auto& upto = asked.upto[s];
  upto = std::max(upto, l.held());
  const auto limit = std::min(want, l.held() + ahead);
  if (limit < want && limit < upto + asked_at_once) return;
  while (upto < limit) {
    const sequence from = upto + 1;
    if (l.find(from)) {
      upto = from;
      continue;
    }
    while (upto < limit && upto - from + 1 < asked_at_once && !l.find(upto + 1)) ++upto;
    send(asked.of, pull{asked.view, s, from, upto, l.owner.member, l.inc, l.kind});
  }
}

}  // namespace cohort::protocol
