#include "framework/simulation/check/book.hpp"

#include "framework/simulation/trace.hpp"

#include <algorithm>

namespace cohort::sim {

using namespace protocol;

// ---- what a process has had -----------------------------------------------------------------------------------------

bool book::had_set::has(sequence s) const { return s <= upto_ || std::ranges::binary_search(beyond_, s); }

bool book::had_set::add(sequence s) {
  if (has(s)) return false;
  if (s != upto_ + 1) {
    beyond_.insert(std::ranges::lower_bound(beyond_, s), s);
    return true;
  }
  raise(s);
  return true;
}

void book::had_set::raise(sequence s) {
  if (s <= upto_) return;
  upto_ = s;
  auto rest = beyond_.begin();
  for (; rest != beyond_.end() && *rest <= upto_ + 1; ++rest) upto_ = std::max(upto_, *rest);
  beyond_.erase(beyond_.begin(), rest);
}

const book::had_set& book::had(const reader& r, index lane) const {
  static const had_set nothing;
  return lane < r.had.size() ? r.had[lane] : nothing;
}

// ---- names ----------------------------------------------------------------------------------------------------------

book::index book::lane_of(const lane_name& name) {
  const auto [known, fresh] = lane_index_.try_emplace(name, static_cast<index>(lanes_.size()));
  if (fresh) lanes_.push_back({name, {}});
  return known->second;
}

std::vector<book::index> book::lanes_of(const view& v) {
  std::vector<index> all;
  for (slot s = 0; s < lane_count(v); ++s) all.push_back(lane_of(lane_at(v, s)));
  return all;
}

book::reader& book::reader_of(const life& l) {
  auto& r = readers_[l.number];
  r.who = l;
  return r;
}

book::index book::stream_of(std::uint64_t life, lane_kind k) const {
  const auto known = stream_index_.find({life, k});
  return known == stream_index_.end() ? none : known->second;
}

std::string name_of(const life& l) { return "member " + std::to_string(to_index(l.member())) + " (life " + std::to_string(l.number) + ")"; }

std::string name_of(const lane_name& n, sequence seq) {
  return std::string(n.kind == lane_kind::plain ? "plain" : "causal") + " batch " + std::to_string(seq) + " of member " +
         std::to_string(to_index(n.owner)) + " incarnation " + std::to_string(n.inc);
}

// ---- what happens ---------------------------------------------------------------------------------------------------

void book::begin(reader& r, const mark& at) {
  for (slot s = 0; s < lane_count(*at.in_force); ++s) {
    const auto lane = lane_of(lane_at(*at.in_force, s));
    const auto cut = s < at.cut.size() ? at.cut[s] : 0;
    if (r.had.size() <= lane) r.had.resize(lane + 1);
    if (r.reached.size() <= lane) r.reached.resize(lane + 1);
    r.had[lane].raise(cut);
    r.reached[lane].floor = std::max(r.reached[lane].floor, cut);
  }
}

void book::started(const life& l, const disk::found& found) {
  auto& r = reader_of(l);
  const mark* at = found.checkpoint ? &*found.checkpoint
                   : found.state && found.state->founded ? &found.state->promises.base
                                                         : nullptr;
  if (!at || !at->in_force) return;
  r.in = at->in_force;
  const auto* own = find(*r.in, l.id);
  r.witness = own && own->witness;
  begin(r, *at);
}

void book::stopped(const life& l) { reader_of(l).up = false; }

void book::restored(const life& l, const mark& at) {
  auto& r = reader_of(l);
  r.restored = true;
  r.had_before = r.had;
  begin(r, at);
  for (const auto kind : {lane_kind::plain, lane_kind::causal})
    if (const auto s = stream_of(l.number, kind); s != none)
      for (const auto m : streams_[s].messages)
        // Also what others have delivered, in a lane that ended before the checkpoint: it is in there.
        if (const auto& what = messages_[m]; !what.lost && (what.seq == 0 || !had(r, what.lane).has(what.seq))) messages_[m].unknown = true;
}

void book::installed(const life& l, const deliver_view& v) {
  auto& r = reader_of(l);
  r.before = r.in;
  r.inc_before = r.inc;
  const auto* own = find(*v.what, l.id);
  r.witness = own && own->witness;
  r.from_log = !r.restored && r.before && r.before->number + 1 == v.what->number;
  r.restored = false;
  r.in = v.what;
  r.inc = 0;
  if (v.member)
    for (const auto& e : v.what->roster)
      if (e.active && e.id == l.id) r.inc = e.inc;
  if (r.inc != r.inc_before) r.member_since = v.what->number;
}

void book::submitted(const life& l, order cls, std::uint64_t hash) {
  const auto& r = reader_of(l);
  const auto [known, fresh] = stream_index_.try_emplace({l.number, kind_of(cls)}, static_cast<index>(streams_.size()));
  if (fresh) streams_.push_back({l.number, l.member(), kind_of(cls), {}});
  auto& s = streams_[known->second];
  message m;
  m.hash = hash;
  m.cls = cls;
  m.stream = known->second;
  m.nth = static_cast<index>(s.messages.size());
  m.submitted_in = r.in ? r.in->number : 0;
  last_submitted_ = static_cast<index>(messages_.size());
  if (const auto [same, first] = by_hash_.try_emplace(hash, last_submitted_); !first) {
    m.same = same->second;
    for (auto other = m.same; other != none; other = messages_[other].same)
      if (streams_[messages_[other].stream].member == l.member()) m.twin = messages_[other].twin = true;
    same->second = last_submitted_;
  }
  messages_.push_back(m);
  s.messages.push_back(last_submitted_);
}

void book::undelivered(const life& l, order cls, std::uint64_t hash) {
  last_lost_ = none;
  const auto known = by_hash_.find(hash);
  const auto stream = stream_of(l.number, kind_of(cls));
  for (auto m = known == by_hash_.end() ? none : known->second; m != none; m = messages_[m].same)
    if (messages_[m].stream == stream && messages_[m].cls == cls && !messages_[m].lost) last_lost_ = m;  // the oldest
  if (last_lost_ != none) messages_[last_lost_].lost = true;
}

void book::part(const life& l, const lane_name& name, sequence seq, const message_part&) {
  auto& r = reader_of(l);
  const auto lane = lane_of(name);
  if (r.had.size() <= lane) r.had.resize(lane + 1);
  if (r.reached.size() <= lane) r.reached.resize(lane + 1);
  r.had[lane].add(seq);
}

/// It counts as had: nobody delivers it, and nobody may.
void book::expired(const life& l, const deliver_void& d) {
  auto& r = reader_of(l);
  const auto lane = lane_of(d.lane());
  if (r.had.size() <= lane) r.had.resize(lane + 1);
  if (r.reached.size() <= lane) r.reached.resize(lane + 1);
  r.had[lane].add(d.seq);
  std::size_t begin = 0;
  for (std::size_t i = 0; i < d.what.sizes.size(); begin += d.what.sizes[i++]) {
    const auto known = by_hash_.find(hash_payload({nullptr, {&d.what.sizes[i], 1}, d.what.blob.subspan(begin, d.what.sizes[i])}));
    for (auto m = known == by_hash_.end() ? none : known->second; m != none; m = messages_[m].same)
      if (streams_[messages_[m].stream].member == d.sender && messages_[m].seq == 0) messages_[m].unknown = true;
  }
}

void book::know(batch& b, index lane, sequence seq, const deliver_batch& d) {
  b.known = true;
  b.cls = d.cls;
  b.view = d.view;
  b.what = d.what;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < d.what.sizes.size(); begin += d.what.sizes[i++]) {
    const auto hash = hash_payload({nullptr, {&d.what.sizes[i], 1}, d.what.blob.subspan(begin, d.what.sizes[i])});
    const auto known = by_hash_.find(hash);
    index found = none;
    bool placed = false;
    for (auto m = known == by_hash_.end() ? none : known->second; m != none; m = messages_[m].same) {
      const auto& what = messages_[m];
      if (what.cls != d.cls || streams_[what.stream].member != d.sender) continue;
      if (what.seq == 0) found = m;  // the oldest
      placed |= what.seq != 0;
    }
    now_.repeated |= placed && found == none;
    if (found != none) {
      messages_[found].lane = lane;
      messages_[found].seq = seq;
    }
    b.messages.push_back(found);
  }
}

void book::delivered(const life& l, const deliver_batch& d) {
  auto& r = reader_of(l);
  now_ = {};
  now_.lane = lane_of(d.lane());
  auto& batches = lanes_[now_.lane].batches;
  if (batches.size() < d.seq) batches.resize(d.seq);
  auto& b = batches[d.seq - 1];
  if (!b.known)
    know(b, now_.lane, d.seq, d);
  else if (b.what.blob.data() != d.what.blob.data() || b.cls != d.cls || b.view != d.view)
    now_.same = b.cls == d.cls && b.view == d.view && std::ranges::equal(b.what.sizes, d.what.sizes) &&
                std::ranges::equal(b.what.blob, d.what.blob);
  now_.what = &b;
  if (r.had.size() <= now_.lane) r.had.resize(now_.lane + 1);
  if (r.reached.size() <= now_.lane) r.reached.resize(now_.lane + 1);
  now_.fresh = r.had[now_.lane].add(d.seq);
  if (d.cls == order::total) r.reached[now_.lane].total = std::max(r.reached[now_.lane].total, d.seq);
  else if (d.cls != order::unordered) r.reached[now_.lane].ordered = std::max(r.reached[now_.lane].ordered, d.seq);
}

}  // namespace cohort::sim
