// Founding of view 0 by all founders together (rules V19, PA2).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>

namespace cohort::protocol {

namespace {

bool names_all(const view& v, const std::vector<member_id>& founders, const std::vector<member_id>& witnesses) {
  if (v.number != 0 || v.roster.size() != founders.size()) return false;
  for (std::size_t i = 0; i < founders.size(); ++i) {
    const auto& r = v.roster[i];
    const bool witness = std::ranges::binary_search(witnesses, founders[i]);
    if (r.id.member != founders[i] || !r.voter || r.active == witness || r.witness != witness || r.inc != 1) return false;
  }
  return true;
}

mark beginning(const view_ptr& founders) {
  mark base;
  base.in_force = founders;
  base.cut.assign(lane_count(*founders), 0);
  return base;
}

}  // namespace

view_ptr founders_view(std::vector<voter_id> founders, const std::vector<member_id>& witnesses, const view_options& rules) {
  std::ranges::sort(founders);
  auto v = std::make_shared<view>();
  for (const auto& id : founders) {
    const bool witness = std::ranges::binary_search(witnesses, id.member);
    v->roster.push_back({id, 1, true, !witness, witness});
    v->burnt.push_back({id.member, 1});
    v->notes.push_back({id, view_cause::founded});
  }
  v->options = rules;
  v->kinds = kinds_of(rules.orders);
  v->largest_message = rules.message_bytes_max;
  return v;
}

/// They vote, and none of them has been active: the first views say who begins, and nobody who is away has failed.
std::shared_ptr<const recovered_state> founded_by_decree(const view_ptr& founders) {
  auto first = std::make_shared<view>(*founders);
  for (auto& r : first->roster) {
    if (!r.active) continue;
    r.inc = 0;
    r.active = false;
    std::erase_if(first->burnt, [&](const burnt_entry& b) { return b.member == r.id.member; });
  }
  first->notes.clear();
  auto s = std::make_shared<recovered_state>();
  s->founded = s->decreed = true;
  s->promises.base = beginning(first);
  return s;
}

/// The founder with the smallest number proposes once it is linked to all others and every directory is blank. Nobody
/// acts before *all* have accepted in this boot: a founder that was missed could otherwise hold an older promise. The
/// proposer itself begins last, when another founder says that it has begun: were it the only one and died, the others
/// would wait for a view which its next life, not blank any more, could never propose again.
void core::impl::drive_founding() {
  if (has_state || !start.blank || (start.ever_founded && !mutated(mutation::pa2_founded_again)) || start.founders.empty() || start.founders.front() != self()) return;
  std::vector<voter_id> founders{start.self};
  for (const auto& p : peers)
    if (p.linked && p.blank) founders.push_back(p.id);
  if (founders.size() != start.founders.size()) return;
  const auto v = founders_view(std::move(founders), start.witnesses, options);
  if (!names_all(*v, start.founders, start.witnesses)) return;
  if (!forming.proposed || *forming.proposed != *v) {
    forming.proposed = v;
    ++forming.attempt;
    forming.accepted.clear();
    forming.sent = instant::min();
    forming.coordinating = true;
    forming.committing = false;
  }
  if (v->roster.size() == 1) {
    found(v);
    return;
  }
  if (forming.sent != instant::min() && now - forming.sent < options.heartbeat) return;
  forming.sent = now;
  std::vector<member_id> others(start.founders.begin() + 1, start.founders.end());
  const auto phase = forming.committing ? form_phase::commit : form_phase::propose;
  send_to(others, form{phase, forming.attempt, forming.proposed});
}

void core::impl::receive_form(voter_id from, const form& f) {
  if (has_state && f.phase == form_phase::commit && f.founders) return confirm_founding(from, *f.founders);
  if (has_state || !start.blank || !f.founders || !names_all(*f.founders, start.founders, start.witnesses)) return;
  const auto* self_entry = find(*f.founders, start.self);
  if (!self_entry) return;  // names an earlier life of this member
  switch (f.phase) {
    case form_phase::propose:
      if ((start.ever_founded && !mutated(mutation::pa2_founded_again)) || from.member != start.founders.front()) return;
      forming.proposed = f.founders;  // a later proposal renounces the earlier
      forming.attempt = f.attempt;
      send(from.member, form{form_phase::accept, f.attempt, f.founders});
      return;
    case form_phase::accept:
      if (!forming.coordinating || f.attempt != forming.attempt || *f.founders != *forming.proposed) return;
      if (std::ranges::find(forming.accepted, from.member) == forming.accepted.end()) forming.accepted.push_back(from.member);
      if (forming.accepted.size() + 1 < start.founders.size() || forming.committing) return;
      forming.committing = true;
      forming.sent = instant::min();
      return;
    case form_phase::commit:
      // Our identity is in it and has never acted, so it can have promised nothing, whoever tells us.
      // Renounced by accepting a later one (PA2). What we only proposed we may give up: a founder that has begun accepts
      // nothing more, so ours would never have been accepted by all.
      if (forming.proposed && !forming.coordinating && *forming.proposed != *f.founders) return;
      found(f.founders);
      confirm_founding(from, *f.founders);
      return;
  }
}

/// Tells the proposer that it is not alone.
void core::impl::confirm_founding(voter_id from, const view& v) {
  if (from.member != start.founders.front() || log.base().index != 0 || *log.base().in_force != v) return;
  send(from.member, form{form_phase::commit, 0, log.base().in_force}, state_position);
}

void core::impl::found(view_ptr v) {
  const auto base = beginning(v);
  has_state = true;
  // A founder that missed the commit has asked to join by now, under an incarnation above the founders': it stays with
  // that one and is admitted like any member that recovers.
  promises.inc = std::max<incarnation>(promises.inc, 1);
  promises.base = base;
  save_state();
  view_position = state_position;
  durable_view = 0;
  log.reset(base);
  lanes.learn(*v, base.cut);
  applied_cut = base.cut;
  view_floor = base.cut;
  in_force = v;
  adopt_options();
  begin_view_delivery();
  for (auto& p : peers) await_anew(p);
  forming = {};
  place_self();
  notify(event_kind::founded, self(), 0);
  deliver_view d;
  d.what = v;
  d.member = my_slot != no_slot;
  out.deliveries.emplace_back(std::move(d));
  // The coordinator stands first; the others hear of it before their own draw.
  draw_election();
  if (start.founders.front() == self()) election_at = now + options.heartbeat;
}

}  // namespace cohort::protocol
