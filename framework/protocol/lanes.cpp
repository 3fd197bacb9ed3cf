#include "framework/protocol/lanes.hpp"

#include "framework/protocol/assert.hpp"
#include "framework/protocol/frontier.hpp"

#include <algorithm>

namespace cohort::protocol {

bool lane::store(batch b, journal_position at) {
  if (b.seq <= held_ || b.seq > held_ + lane_ahead_max) return false;
  const auto offset = static_cast<std::size_t>(b.seq - trimmed_ - 1);
  if (batches_.size() <= offset) batches_.resize(offset + 1);
  auto& place = batches_[offset];
  if (place.present) return false;
  ahead_bytes_ += b.what.bytes();
  place.what = std::move(b);
  place.position = at;
  place.present = true;
  advance();
  return true;
}

void lane::advance() {
  while (held_ - trimmed_ < batches_.size() && batches_[held_ - trimmed_].present) {
    auto& next = batches_[held_ - trimmed_];
    ahead_bytes_ -= next.what.what.bytes();
    total_ += next.what.what.bytes();
    next.bytes_through = total_;
    ++held_;
  }
}

sequence lane::durable(journal_position persisted) {
  while (durable_ < held_ && batches_[durable_ - trimmed_].position <= persisted) ++durable_;
  return durable_;
}

const lane::stored* lane::slot_of(sequence seq) const {
  if (seq <= trimmed_ || seq - trimmed_ > batches_.size()) return nullptr;
  const auto& place = batches_[seq - trimmed_ - 1];
  return place.present ? &place : nullptr;
}

const batch* lane::find(sequence seq) const {
  if (const auto* place = slot_of(seq)) return &place->what;
  for (const auto& e : extras_)
    if (e.what.seq == seq) return &e.what;
  return nullptr;
}

std::size_t lane::bytes_above(sequence seq) const {
  std::uint64_t below = trimmed_bytes_;
  if (seq >= held_)
    below = total_;
  else if (const auto* place = slot_of(seq))
    below = place->bytes_through;
  return static_cast<std::size_t>(total_ - below + ahead_bytes_);
}

void lane::seal(sequence at, std::span<const sequence> extras) {
  COHORT_INVARIANT(held_ >= at, held_, at);
  for (const sequence seq : extras)
    if (const auto* place = slot_of(seq); place && seq > at) extras_.push_back(*place);
  if (at < trimmed_) return;  // everything up to the final cut has been delivered and forgotten already
  batches_.resize(std::min<std::size_t>(batches_.size(), at - trimmed_));
  held_ = at;
  durable_ = std::min(durable_, at);
  total_ = batches_.empty() ? trimmed_bytes_ : batches_.back().bytes_through;
  ahead_bytes_ = 0;
}

void lane::trim(sequence upto) {
  COHORT_INVARIANT(upto <= held_, upto, held_);
  while (trimmed_ < upto) {
    trimmed_bytes_ = batches_.front().bytes_through;
    batches_.pop_front();
    ++trimmed_;
  }
  durable_ = std::max(durable_, trimmed_);
}

journal_position lane::first_position(journal_position none_above) const {
  journal_position first = none_above;
  for (const auto& b : batches_)
    if (b.present) first = std::min(first, b.position);
  for (const auto& e : extras_) first = std::min(first, e.position);
  return first;
}

lane_store::lane_store(const lane_store& other) : tables_(other.tables_) {
  for (const auto& l : other.all_) all_.push_back(std::make_shared<lane>(*l));
  for (auto& t : tables_)
    for (auto& l : t.lanes) l = all_[static_cast<std::size_t>(std::ranges::find(other.all_, l) - other.all_.begin())];
}

void lane_store::learn(const view& v, const frontier& first) {
  COHORT_INVARIANT(tables_.empty() || tables_.back().number < v.number, tables_.back().number, v.number);
  table t{v.number, {}};
  slot s = 0;
  for (const auto& r : v.roster) {
    if (!r.active) continue;
    for (const auto kind : {lane_kind::plain, lane_kind::causal}) {
      if (!has_lanes(v, kind)) continue;
      lane_ptr found;
      for (const auto& known : tables_)
        for (const auto& l : known.lanes)
          if (l->owner == r.id && l->inc == r.inc && l->kind == kind) found = l;
      t.lanes.push_back(found ? found : std::make_shared<lane>(r.id, r.inc, kind, at(first, s)));
      ++s;
    }
  }
  tables_.push_back(std::move(t));
  gather();
}

void lane_store::forget_from(view_number number) {
  while (!tables_.empty() && tables_.back().number >= number) tables_.pop_back();
  gather();
}

void lane_store::forget_below(view_number number) {
  if (std::erase_if(tables_, [&](const table& t) { return t.number < number; }) > 0) gather();
}

void lane_store::clear() {
  tables_.clear();
  all_.clear();
}

const lane_store::table* lane_store::table_of(view_number number) const {
  for (auto t = tables_.rbegin(); t != tables_.rend(); ++t)
    if (t->number == number) return &*t;
  return nullptr;
}

lane* lane_store::find(view_number number, slot s) const {
  const auto* t = table_of(number);
  return t && s < t->lanes.size() ? t->lanes[s].get() : nullptr;
}

lane* lane_store::find(const lane_name& name) const {
  for (auto t = tables_.rbegin(); t != tables_.rend(); ++t)
    for (const auto& l : t->lanes)
      if (l->name() == name) return l.get();
  return nullptr;
}

frontier lane_store::held(view_number number) const {
  frontier f;
  if (const auto* t = table_of(number))
    for (const auto& l : t->lanes) f.push_back(l->held());
  return f;
}

void lane_store::gather() {
  all_.clear();
  std::vector<lane_ptr> before;  // a lane is in consecutive tables: what was not in the one before is new
  for (const auto& t : tables_) {
    std::ranges::copy_if(t.lanes, std::back_inserter(all_), [&](const lane_ptr& l) { return !std::ranges::binary_search(before, l); });
    before = t.lanes;
    std::ranges::sort(before);
  }
}

std::size_t lane_store::bytes() const {
  std::size_t sum = 0;
  for (const auto& l : all_) sum += l->bytes();
  return sum;
}

}  // namespace cohort::protocol
