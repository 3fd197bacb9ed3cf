#pragma once

#include "framework/protocol/inspect.hpp"

#include <concepts>
#include <ranges>

namespace cohort::protocol {

/// Folds values into a fingerprint, the order matters. Every class is taken apart with a structured binding: a field that
/// is added there fails to compile here, and gets its place (or the reason why it needs none).
class digester {
public:
  template <class... T>
  void all(const T&... values) {
    (add(values), ...);
  }
  fingerprint result() const { return {a_, b_}; }

  template <class T>
    requires std::integral<T> || std::is_enum_v<T>
  void add(T value) {
    word(static_cast<std::uint64_t>(value));
  }
  void add(std::chrono::nanoseconds d) { word(static_cast<std::uint64_t>(d.count())); }
  void add(std::chrono::microseconds d) { word(static_cast<std::uint64_t>(d.count())); }
  template <class T>
    requires std::ranges::sized_range<T>
  void add(const T& range) {
    word(std::ranges::size(range));
    for (const auto& value : range) add(value);
  }
  template <class A, class B>
  void add(const std::pair<A, B>& p) {
    all(p.first, p.second);
  }
  template <class... T>
  void add(const std::variant<T...>& v) {
    word(v.index());
    std::visit([this](const auto& held) { this->add(held); }, v);
  }
  template <class T>
  void add(const std::shared_ptr<T>& p) {
    add(p != nullptr);
    if (p) add(*p);
  }
  template <class T>
  void add(const std::optional<T>& o) {
    add(o.has_value());
    if (o) add(*o);
  }
  void add(const payload& p) {  // its owner is a matter of memory
    add(p.sizes);
    word(p.blob.size());
    for (const auto byte : p.blob) add(std::to_integer<unsigned>(byte));
  }

  // ---- values
  void add(const voter_id& x) { const auto& [member, identity] = x; all(member, identity); }
  void add(const roster_entry& x) { const auto& [id, inc, voter, active, witness] = x; all(id, inc, voter, active, witness); }
  void add(const burnt_entry& x) { const auto& [member, inc] = x; all(member, inc); }
  void add(const view_note& x) { const auto& [id, cause] = x; all(id, cause); }
  void add(const view_options& x) {
    const auto& [orders, default_order, durable, reads, slow, minority_multicast, shrink, min_voters, min_copies, heartbeat, election_min,
                 fail_after, suspect_at, lease, clock_rate_ppm, clock_margin, message_bytes_max, lane_window, retain_bytes,
                 retain_time] = x;
    all(orders.bits(), default_order, durable, reads, slow, minority_multicast, shrink, min_voters, min_copies, heartbeat, election_min,
        fail_after, suspect_at, lease, clock_rate_ppm, clock_margin, message_bytes_max, lane_window, retain_bytes, retain_time);
  }
  void add(const view& x) {
    const auto& [number, roster, burnt, notes, options, kinds, barred, admitted, largest_message] = x;
    all(number, roster, burnt, notes, options, kinds, barred, admitted, largest_message);
  }
  void add(const mark& x) {
    const auto& [index, term, time, cut, in_force, delivered, with_parts, ended, missed, component] = x;
    all(index, term, time, cut, in_force, delivered, with_parts, ended, missed);
    bytes(component);
  }
  void add(const ended_lane& x) { const auto& [lane, view, upto, extras] = x; all(lane, view, upto, extras); }
  void add(const lane_history& x) { const auto& [complete_from, lanes] = x; all(complete_from, lanes); }
  void add(const missed_run& x) { const auto& [lane, view, from, to] = x; all(lane, view, from, to); }
  void add(const missed_messages& x) {
    const auto& [after, view, delivered, complete, runs] = x;
    all(after, view, delivered, complete, runs);
  }
  void add(const lane_name& x) { const auto& [owner, inc, kind] = x; all(owner, inc, kind); }
  void add(const extra& x) { const auto& [slot, seq] = x; all(slot, seq); }
  void add(const hard_state& x) {
    const auto& [term, vote, inc, view_commit, base, identity, valid_from] = x;
    all(term, vote, inc, view_commit, base, identity, valid_from);
  }

  void add(const vouch& x) { const auto& [kind, term, to] = x; all(kind, term, to); }
  void add(const node_contact& x) { const auto& [kind, term, heard, echo, live, awake] = x; all(kind, term, heard, echo, live, awake); }

  // ---- messages
  void add(const entry& x) {
    const auto& [index, term, kind, time, cut, next, extras] = x;
    all(index, term, kind, time, cut, next, extras);
  }
  void add(const message_part& x) { const auto& [number, more, begun] = x; all(number, more, begun); }
  void add(const batch& x) {
    const auto& [view, slot, seq, stamp, what, owner, inc, cls, tdep, deps, deadline, part] = x;
    all(view, slot, seq, stamp, what, owner, inc, cls, tdep, deps, deadline, part);
  }
  void add(const append& x) {
    const auto& [term, prev_index, prev_term, commit, send_time, min_applied, entries] = x;
    all(term, prev_index, prev_term, commit, send_time, min_applied, entries);
  }
  void add(const ack& x) {
    const auto& [term, inc, match_term, match, applied, view, echo_time, have, no_state, reject, refused_prev, hint, clock_ahead, base] = x;
    all(term, inc, match_term, match, applied, view, echo_time, have, no_state, reject, refused_prev, hint, clock_ahead, base);
  }
  void add(const vote& x) {
    const auto& [phase, request, granted, term, for_term, last_index, last_term, handed_over] = x;
    all(phase, request, granted, term, for_term, last_index, last_term, handed_over);
  }
  void add(const wedge& x) { const auto& [term, attempt, view] = x; all(term, attempt, view); }
  void add(const report& x) {
    const auto& [term, attempt, view, inc, no_state, front, extras] = x;
    all(term, attempt, view, inc, no_state, front, extras);
  }
  void add(const pull& x) {
    const auto& [view, slot, from, to, owner, inc, kind] = x;
    all(view, slot, from, to, owner, inc, kind);
  }
  void add(const pull_chunk& x) { const auto& [index, number] = x; all(index, number); }
  void add(const chunk& x) {
    const auto& [term, index, number, count, data] = x;
    all(term, index, number, count, data);
  }
  void add(const join& x) { const auto& [inc, known, has_state, burnt, barred] = x; all(inc, known, has_state, burnt, barred); }
  void add(const form& x) { const auto& [phase, attempt, founders] = x; all(phase, attempt, founders); }
  void add(const read_request& x) { const auto& [id] = x; add(id); }
  void add(const read_reply& x) { const auto& [id, refused, index] = x; all(id, refused, index); }
  void add(const take_over& x) { const auto& [term, for_links] = x; all(term, for_links); }
  void add(const change_request& x) { const auto& [id, kind, who, options, based_on] = x; all(id, kind, who, options, based_on); }
  void add(const change_reply& x) { const auto& [id, why] = x; all(id, why); }
  void add(const probe& x) {
    const auto& [term, asker, subject, asked, answered, deaf, reset] = x;
    all(term, asker, subject, asked, answered, deaf, reset);
  }
  void add(const component_control& x) {
    const auto& [said] = x;
    word(said.size());
    for (const auto b : said) word(std::to_integer<std::uint64_t>(b));
  }
  void add(const call_answers& x) {
    const auto& [inc, to, items, what] = x;
    all(inc, to);
    for (const auto& i : items) all(i.number, i.view, i.too_large, i.offset, i.total);
    add(what);
  }
  void add(const calls_over& x) {
    const auto& [inc, numbers] = x;
    all(inc, numbers);
  }
  void add(const state_digest& x) {
    const auto& [inc, position, digest] = x;
    all(inc, position, digest);
  }

  // ---- records
  void add(const persist_batch& x) { const auto& [what] = x; add(what); }
  void add(const persist_entry& x) { const auto& [what] = x; add(what); }
  void add(const persist_truncate& x) { const auto& [from] = x; add(from); }
  void add(const persist_state& x) { const auto& [what] = x; add(what); }
  void add(const persist_chunk& x) { const auto& [index, number, data] = x; all(index, number, data); }
  void add(const persist_install& x) { const auto& [at, chunks] = x; all(at, chunks); }
  void add(const persist_trim& x) { const auto& [below] = x; add(below); }
  void add(const persist_release& x) { const auto& [index] = x; add(index); }
  void add(const persist_component& x) { const auto& [what] = x; bytes(what); }
  void add(const persist_op& x) { const auto& [position, what] = x; all(position, what); }

private:
  void bytes(const bytes_ptr& x) {
    word(x ? x->size() + 1 : 0);
    if (!x) return;
    for (const auto b : *x) word(std::to_integer<std::uint64_t>(b));
  }
  void word(std::uint64_t value) {
    a_ = (a_ ^ value) * 0xbf58476d1ce4e5b9ull;
    a_ ^= a_ >> 29;
    b_ = (b_ + value) * 0x94d049bb133111ebull;
    b_ ^= b_ >> 32;
  }

  std::uint64_t a_ = 0x9e3779b97f4a7c15ull, b_ = 0x2545f4914f6cdd1dull;
};

}  // namespace cohort::protocol
