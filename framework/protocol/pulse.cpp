// Heartbeats between nodes, for all their groups (rules Q1 to Q6).
#include "framework/protocol/pulse.hpp"

#include "framework/protocol/mutations.hpp"

#include <algorithm>
#include <utility>

namespace cohort::protocol {

static bool told(const vouch& v, std::size_t member) { return v.kind != vouch_kind::none && (v.to >> member & 1); }

pulses::pulses(const pulse_options& options, std::size_t places, pulse_host& host)
    : options_(options), host_(host), ours_(places) {}

void pulses::resize(std::size_t places) {
  if (places <= ours_.size()) return;
  ours_.resize(places);
  for (auto& l : links_) l.theirs.resize(places);
}

pulses::link* pulses::find(member_id peer) {
  return to_index(peer) < links_.size() && links_[to_index(peer)].up ? &links_[to_index(peer)] : nullptr;
}

const pulses::link* pulses::find(member_id peer) const {
  return to_index(peer) < links_.size() && links_[to_index(peer)].up ? &links_[to_index(peer)] : nullptr;
}

void pulses::link_up(member_id peer) {
  if (to_index(peer) >= vouch_members_max) return;
  if (to_index(peer) >= links_.size()) links_.resize(to_index(peer) + 1);
  auto& l = links_[to_index(peer)];
  if (mutated(mutation::pulse_outlives_link) && l.number > 0) {
    l.up = true;
    return;
  }
  l = {};
  l.up = true;
  l.theirs.resize(ours_.size());
  for (const auto& o : ours_)
    if (told(o.what, to_index(peer))) change(l, o.group, o.what, true);
  next_send_ = {};  // the peer's patience has begun
  watching_ = false;
}

void pulses::link_down(member_id peer) {
  auto* l = find(peer);
  if (!l) return;
  l->up = false;
  if (mutated(mutation::pulse_outlives_link)) return;
  l->live = false;
  l->theirs.clear();
  l->unacked.clear();
}

void pulses::change(link& l, std::uint32_t group, const vouch& what, bool told) {
  l.unacked.push_back({group, told ? what.kind : vouch_kind::none, told ? what.term : 0});
}

void pulses::say(std::uint32_t group, const vouch& what) {
  if (place_of(group) >= ours_.size()) return;
  auto& own = ours_[place_of(group)];
  if (own.group != group) {
    if (what.kind == vouch_kind::none) return;  // of a group that is over
    if (own.what.kind != vouch_kind::none) say(own.group, {});
    own.group = group;
  }
  if (own.what == what) return;
  const auto before = std::exchange(own.what, what);
  for (std::size_t m = 0; m < links_.size(); ++m) {
    const bool was = told(before, m), is = told(what, m);
    if (!links_[m].up || (!was && !is)) continue;
    if (was == is && before.kind == what.kind && before.term == what.term) continue;
    change(links_[m], group, what, is);
  }
}

bool pulses::fresh(const link& l, instant now) const {
  return l.heard != instant::min() && now - l.heard < options_.silence_max && now - l.echo < options_.echo_age_max;
}

void pulses::receive(member_id from, const pulse& p, instant now) {
  auto* l = find(from);
  if (!l || p.number <= l->newest) return;  // a late one says what may not be true any more
  l->newest = p.number;
  const auto made = l->acked + l->unacked.size();
  if (p.known > l->acked && p.known <= made) {
    l->unacked.erase(l->unacked.begin(), l->unacked.begin() + static_cast<std::ptrdiff_t>(p.known - l->acked));
    l->acked = p.known;
  }
  const bool gap = p.first_change == 0 || p.first_change > l->known + 1;
  if (gap && !mutated(mutation::pulse_gap_counted)) return;  // Q3: it stands on changes that we do not know
  if (!gap)
    for (std::size_t i = l->known + 1 - p.first_change; i < p.changes.size(); ++i) {
      const auto& c = p.changes[i];
      ++l->known;
      if (place_of(c.group) >= l->theirs.size()) continue;
      auto& word = l->theirs[place_of(c.group)];
      if (word.group != c.group && c.kind == vouch_kind::none) continue;  // another one has the place by now
      host_.touch(c.group);  // Q5: the core takes what counted under the old word
      if (word.group != c.group && word.kind != vouch_kind::none) host_.touch(word.group);
      word = {c.group, c.kind, c.term};
    }
  if (!p.complete) return;
  l->counted = std::max(l->counted, p.send_time);
  l->heard = now;
  l->echo = std::max(l->echo, std::min(p.echo_time, now));
  if (!l->live) l->live = fresh(*l, now);
}

node_contact pulses::contact(member_id peer, std::uint32_t group) const {
  const auto* l = find(peer);
  if (!l || place_of(group) >= l->theirs.size()) return {};
  const auto& t = l->theirs[place_of(group)];
  const auto word = t.group == group ? t : said{};
  return {word.kind, word.term, l->heard, l->echo, l->live, awake_};
}

duration pulses::check(instant now) {
  // V22: a group that rests asks for no deadline by which it could notice that its process stood still.
  const auto due = next_deadline();
  auto late = watching_ && due != never ? now - std::max(due, checked_) : duration(0);
  if (late <= 2 * options_.interval || mutated(mutation::stall_not_noticed)) late = {};
  if (late > duration(0)) awake_ = now;
  checked_ = now;
  watching_ = true;
  for (auto& l : links_) {
    if (!l.up || !l.live || fresh(l, now)) continue;
    l.live = false;
    if (mutated(mutation::pulse_silence_unnoticed)) continue;
    for (const auto& t : l.theirs)
      if (t.kind != vouch_kind::none) host_.touch(t.group);
  }
  return late;
}

const pulse& pulses::compose(member_id peer, instant now) {
  auto& l = *find(peer);
  out_.number = ++l.number;
  out_.send_time = now;
  out_.echo_time = l.counted;
  out_.first_change = l.acked + 1;
  out_.known = l.known;
  out_.complete = l.unacked.size() <= options_.changes_max;
  out_.changes.assign(l.unacked.begin(), l.unacked.begin() + static_cast<std::ptrdiff_t>(std::min(l.unacked.size(), options_.changes_max)));
  return out_;
}

void pulses::sent(instant now) { next_send_ = now + options_.interval; }

instant pulses::next_deadline() const {
  auto next = never;
  for (const auto& l : links_) {
    if (!l.up) continue;
    next = std::min(next, next_send_);
    if (l.live) next = std::min(next, std::min(l.heard + options_.silence_max, l.echo + options_.echo_age_max));
  }
  return next;
}

bool pulses::linked(member_id peer) const { return find(peer) != nullptr; }

std::vector<member_id> pulses::linked_peers() const {
  std::vector<member_id> all;
  for (std::size_t i = 0; i < links_.size(); ++i)
    if (links_[i].up) all.push_back(static_cast<member_id>(i));
  return all;
}

}  // namespace cohort::protocol
