#include "framework/protocol/record_layout.hpp"

namespace cohort::protocol::layout {

// ---- sizes ----------------------------------------------------------------------------------------------------------

namespace {

std::size_t view_size(const view& v) {
  return 8 + 3 * 4 + options_bytes + 1 + 4 + 8 + 8 + v.barred.size() * 2 + v.roster.size() * roster_bytes + v.burnt.size() * burnt_bytes + v.notes.size() * note_bytes;
}

std::size_t view_size(const view_ptr& v) { return 1 + (v ? view_size(*v) : 0); }
std::size_t frontier_size(const frontier& f) { return 4 + 8 * f.size(); }
std::size_t history_size(const lane_history_ptr& h) {
  std::size_t bytes = 8 + 4;
  for (const auto& l : h ? h->lanes : std::vector<ended_lane>()) bytes += ended_lane_bytes + 8 * l.extras.size();
  return bytes;
}
std::size_t missed_size(const missed_ptr& m) { return 1 + (m ? 3 * 8 + 1 + 4 + run_bytes * m->runs.size() : 0); }
std::size_t place_size(const mark& m) { return 4 * 8 + 1 + frontier_size(m.cut) + view_size(m.in_force); }
std::size_t bytes_size(const bytes_ptr& b) { return 4 + (b ? b->size() : 0); }

}  // namespace

std::size_t mark_size(const mark& m) {
  return place_size(m) + history_size(m.ended) + missed_size(m.missed) + bytes_size(m.component);
}

std::size_t head_size(const persist_batch& b) {
  return batch_fixed_bytes + b.what.what.sizes.size_bytes() + 8 * b.what.deps.size();
}
std::size_t head_size(const persist_entry& e) {
  return 3 * 8 + 1 + frontier_size(e.what.cut) + view_size(e.what.next) + 4 + extra_bytes * e.what.extras.size();
}
std::size_t head_size(const persist_truncate&) { return 8; }
std::size_t head_size(const persist_state& s) { return 8 + 2 + 5 * 8 + place_size(s.what.base); }
std::size_t head_size(const persist_install& i) { return mark_size(i.at) + 4; }
std::size_t head_size(const persist_component& c) { return bytes_size(c.bytes); }

// ---- parts of records -----------------------------------------------------------------------------------------------

static void put(byte_writer& w, const frontier& f) {
  w.put(static_cast<std::uint32_t>(f.size()));
  for (const auto s : f) w.put(s);
}

static void put(byte_writer& w, voter_id id) {
  w.put(static_cast<std::uint16_t>(id.member));
  w.put(id.identity);
}

void put(byte_writer& w, const view_options& o) {
  w.put(o.orders.bits());
  w.put(static_cast<std::uint8_t>(o.default_order));
  w.put(static_cast<std::uint8_t>(o.reads));
  w.put(static_cast<std::uint8_t>(o.slow));
  w.put(static_cast<std::uint8_t>((o.minority_multicast ? 1 : 0) | (o.shrink ? 2 : 0) | (o.durable ? 0 : 4)));
  w.put(o.min_voters);
  w.put(o.min_copies);
  for (const auto d : {o.heartbeat, o.election_min, o.fail_after, o.retain_time}) w.put(static_cast<std::uint64_t>(d.count()));
  w.put(o.lane_window);
  w.put(o.retain_bytes);
  w.put(o.suspect_at);
  w.put(o.clock_rate_ppm);
  for (const auto d : {o.lease, o.clock_margin}) w.put(static_cast<std::uint64_t>(d.count()));
  w.put(o.message_bytes_max);
}

static void put(byte_writer& w, const view& v) {
  w.put(v.number);
  w.put(static_cast<std::uint32_t>(v.roster.size()));
  for (const auto& r : v.roster) {
    put(w, r.id);
    w.put(r.inc);
    w.put(static_cast<std::uint8_t>((r.voter ? 1 : 0) | (r.active ? 2 : 0) | (r.witness ? 4 : 0)));
  }
  w.put(static_cast<std::uint32_t>(v.burnt.size()));
  for (const auto& b : v.burnt) {
    w.put(static_cast<std::uint16_t>(b.member));
    w.put(b.inc);
  }
  w.put(static_cast<std::uint32_t>(v.notes.size()));
  for (const auto& n : v.notes) {
    put(w, n.id);
    w.put(static_cast<std::uint8_t>(n.cause));
  }
  put(w, v.options);
  w.put(v.kinds);
  w.put(static_cast<std::uint32_t>(v.barred.size()));
  for (const auto m : v.barred) w.put(static_cast<std::uint16_t>(m));
  w.put(v.admitted);
  w.put(v.largest_message);
}

static void put(byte_writer& w, const view_ptr& v) {
  w.put(static_cast<std::uint8_t>(v ? 1 : 0));
  if (v) put(w, *v);
}

/// The place in the log alone.
static void put_place(byte_writer& w, const mark& m) {
  w.put(m.index);
  w.put(m.term);
  w.put(static_cast<std::uint64_t>(m.time.count()));
  w.put(m.delivered);
  put(w, m.cut);
  put(w, m.in_force);
  w.put(static_cast<std::uint8_t>(m.with_parts ? 1 : 0));
}

static void put(byte_writer& w, const lane_name& l) {
  w.put(static_cast<std::uint16_t>(l.owner));
  w.put(l.inc);
  w.put(static_cast<std::uint8_t>(l.kind));
}

static void put(byte_writer& w, const lane_history_ptr& h) {
  w.put(h ? h->complete_from : 0);
  w.put(static_cast<std::uint32_t>(h ? h->lanes.size() : 0));
  if (!h) return;
  for (const auto& l : h->lanes) {
    put(w, l.lane);
    w.put(l.view);
    w.put(l.upto);
    w.put(static_cast<std::uint32_t>(l.extras.size()));
    for (const auto s : l.extras) w.put(s);
  }
}

static void put(byte_writer& w, const missed_ptr& m) {
  w.put(static_cast<std::uint8_t>(m ? 1 : 0));
  if (!m) return;
  w.put(m->after);
  w.put(m->view);
  w.put(m->delivered);
  w.put(static_cast<std::uint8_t>(m->complete ? 1 : 0));
  w.put(static_cast<std::uint32_t>(m->runs.size()));
  for (const auto& r : m->runs) {
    put(w, r.lane);
    w.put(r.view);
    w.put(r.from);
    w.put(r.to);
  }
}

/// None and empty are the same: whoever has something to say has some bytes.
static void put(byte_writer& w, const bytes_ptr& b) {
  w.put(static_cast<std::uint32_t>(b ? b->size() : 0));
  if (b) w.put_bytes(*b);
}

void put(byte_writer& w, const mark& m) {
  put_place(w, m);
  put(w, m.ended);
  put(w, m.missed);
  put(w, m.component);
}

// ---- records --------------------------------------------------------------------------------------------------------

void put(byte_writer& w, const persist_batch& b) {
  // Fields of older versions first: how many sizes there are is found before the version may be believed.
  w.put(static_cast<std::uint16_t>(b.what.owner));
  w.put(b.what.slot);
  w.put(static_cast<std::uint32_t>(b.what.what.sizes.size()));
  w.put(b.what.inc);
  w.put(b.what.view);
  w.put(b.what.seq);
  w.put(b.what.stamp);
  w.put(b.what.tdep);
  w.put(static_cast<std::uint32_t>(b.what.deps.size()));
  w.put(static_cast<std::uint32_t>(b.what.cls));
  w.put(static_cast<std::uint64_t>(b.what.deadline.count()));
  w.put(b.what.part.begun);
  w.put(b.what.part.number);
  w.put(static_cast<std::uint32_t>(b.what.part.more ? 1 : 0));
  for (const auto d : b.what.deps) w.put(d);
  for (const auto size : b.what.what.sizes) w.put(size);
}

void put(byte_writer& w, const persist_entry& e) {
  w.put(e.what.index);
  w.put(e.what.term);
  w.put(static_cast<std::uint8_t>(e.what.kind));
  w.put(static_cast<std::uint64_t>(e.what.time.count()));
  put(w, e.what.cut);
  put(w, e.what.next);
  w.put(static_cast<std::uint32_t>(e.what.extras.size()));
  for (const auto& x : e.what.extras) {
    w.put(x.slot);
    w.put(x.seq);
  }
}

void put(byte_writer& w, const persist_truncate& t) { w.put(t.from); }

void put(byte_writer& w, const persist_state& s) {
  w.put(s.what.term);
  put(w, s.what.vote);
  w.put(s.what.inc);
  w.put(s.what.view_commit);
  put_place(w, s.what.base);
  w.put(s.what.identity);
  w.put(s.what.valid_from);
}

void put(byte_writer& w, const persist_install& i) {
  put(w, i.at);
  w.put(i.chunks);
}

void put(byte_writer& w, const persist_component& c) { put(w, c.bytes); }

}  // namespace cohort::protocol::layout
