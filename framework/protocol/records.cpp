#include "framework/protocol/records.hpp"

#include "framework/protocol/assert.hpp"
#include "framework/protocol/bytes.hpp"
#include "framework/protocol/lanes.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

namespace cohort::protocol {
namespace {

constexpr std::size_t batch_fixed_bytes_v1 = 2 + 2 + 4 + 4 * 8;
constexpr std::size_t batch_fixed_bytes_v2 = batch_fixed_bytes_v1 + 8 + 4 + 4 + 8;
constexpr std::size_t batch_fixed_bytes = batch_fixed_bytes_v2 + 8 + 4 + 4;
constexpr std::size_t roster_bytes = 2 + 8 + 8 + 1, burnt_bytes = 2 + 8, note_bytes = 2 + 8 + 1, extra_bytes = 2 + 8;
constexpr std::size_t lane_bytes = 2 + 8 + 1, ended_lane_bytes = lane_bytes + 8 + 8 + 4, run_bytes = lane_bytes + 3 * 8;
constexpr std::size_t options_bytes = 5 + 2 * 2 + 6 * 8 + 2 * 4 + 3 * 8;
constexpr std::size_t lanes_max = no_slot;  // slots are 16 bits wide, no_slot is none
constexpr std::size_t extras_max = lanes_max * lane_ahead_max;

// ---- sizes ----------------------------------------------------------------------------------------------------------

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
std::size_t head_size(const persist_chunk&) { return 0; }
std::size_t head_size(const persist_trim&) { return 0; }
std::size_t head_size(const persist_release&) { return 0; }
std::size_t head_size(const persist_component& c) { return bytes_size(c.bytes); }

constexpr record_type type_of(const persist_batch&) { return record_type::batch; }
constexpr record_type type_of(const persist_entry&) { return record_type::entry; }
constexpr record_type type_of(const persist_truncate&) { return record_type::truncate; }
constexpr record_type type_of(const persist_state&) { return record_type::state; }
constexpr record_type type_of(const persist_install&) { return record_type::install; }
// Not records; never asked for, because their head size is 0.
constexpr record_type type_of(const persist_chunk&) { return record_type{}; }
constexpr record_type type_of(const persist_trim&) { return record_type{}; }
constexpr record_type type_of(const persist_release&) { return record_type{}; }
constexpr record_type type_of(const persist_component&) { return record_type::component; }

// ---- encoding -------------------------------------------------------------------------------------------------------

void put(byte_writer& w, const frontier& f) {
  w.put(static_cast<std::uint32_t>(f.size()));
  for (const auto s : f) w.put(s);
}

void put(byte_writer& w, voter_id id) {
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

void put(byte_writer& w, const view& v) {
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

void put(byte_writer& w, const view_ptr& v) {
  w.put(static_cast<std::uint8_t>(v ? 1 : 0));
  if (v) put(w, *v);
}

/// The place in the log alone.
void put_place(byte_writer& w, const mark& m) {
  w.put(m.index);
  w.put(m.term);
  w.put(static_cast<std::uint64_t>(m.time.count()));
  w.put(m.delivered);
  put(w, m.cut);
  put(w, m.in_force);
  w.put(static_cast<std::uint8_t>(m.with_parts ? 1 : 0));
}

void put(byte_writer& w, const lane_name& l) {
  w.put(static_cast<std::uint16_t>(l.owner));
  w.put(l.inc);
  w.put(static_cast<std::uint8_t>(l.kind));
}

void put(byte_writer& w, const lane_history_ptr& h) {
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

void put(byte_writer& w, const missed_ptr& m) {
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
void put(byte_writer& w, const bytes_ptr& b) {
  w.put(static_cast<std::uint32_t>(b ? b->size() : 0));
  if (b) w.put_bytes(*b);
}

void put(byte_writer& w, const mark& m) {
  put_place(w, m);
  put(w, m.ended);
  put(w, m.missed);
  put(w, m.component);
}

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

void put(byte_writer&, const persist_chunk&) {}
void put(byte_writer&, const persist_trim&) {}
void put(byte_writer&, const persist_release&) {}
void put(byte_writer& w, const persist_component& c) { put(w, c.bytes); }

std::span<const std::byte> blob_of(const persist_op& op) {
  const auto* b = std::get_if<persist_batch>(&op.what);
  return b ? b->what.what.blob : std::span<const std::byte>{};
}

/// Checksum of a record whose part before the blob is `head`.
std::uint64_t chain(std::span<const std::byte> head, std::span<const std::byte> blob, journal_position position,
                    checksum_fn sum) {
  return sum(head.subspan(8), sum(blob, position));
}

void put_header(byte_writer& w, journal_position position, std::uint32_t group, std::size_t length, record_type type) {
  COHORT_INVARIANT(length <= std::numeric_limits<std::uint32_t>::max(), length, position);
  w.put(std::uint64_t{0});  // the checksum, known last
  w.put(position);
  w.put(group);
  w.put(static_cast<std::uint32_t>(length));
  w.put(record_version);
  w.put(static_cast<std::uint8_t>(type));
  w.put(std::uint8_t{0});
  w.put(std::uint32_t{0});
}

void encode_into(std::uint32_t group, const persist_op& op, checksum_fn sum, std::span<std::byte> head) {
  const auto blob = blob_of(op);
  byte_writer w(head);
  std::visit(
    [&](const auto& what) {
      put_header(w, op.position, group, head.size() - record_header_bytes + blob.size(), type_of(what));
      put(w, what);
    },
    op.what);
  COHORT_INVARIANT(w.written() == head.size(), w.written(), head.size());
  byte_writer(head).put(chain(head, blob, op.position, sum));
}

// ---- decoding -------------------------------------------------------------------------------------------------------

voter_id get_voter(byte_reader& r) {
  const auto member = member_id{r.get<std::uint16_t>()};
  return {member, r.get<std::uint64_t>()};
}

frontier get_frontier(byte_reader& r) {
  frontier f(r.get_count(8, lanes_max));
  for (auto& s : f) s = r.get<std::uint64_t>();
  return f;
}

duration get_duration(byte_reader& r) {
  const auto count = r.get<std::uint64_t>();
  if (count > static_cast<std::uint64_t>(duration(std::chrono::hours(24 * 365)).count())) r.fail();
  return duration(static_cast<std::int64_t>(count));
}

view_options get_options(byte_reader& r, std::uint16_t version) {
  view_options o;
  const auto bits = r.get<std::uint8_t>();
  const auto usual = r.get<std::uint8_t>(), reads = r.get<std::uint8_t>(), slow = r.get<std::uint8_t>(), flags = r.get<std::uint8_t>();
  o.orders = order_set::from_bits(bits);
  if (o.orders.empty() || o.orders.bits() != bits || usual >= order_count || reads > 1 || slow > 2 || flags > 7) r.fail();
  o.default_order = static_cast<order>(usual);
  o.reads = static_cast<read_mode>(reads);
  o.slow = static_cast<slow_policy>(slow);
  o.minority_multicast = flags & 1;
  o.shrink = flags & 2;
  o.durable = (flags & 4) == 0;
  o.min_voters = r.get<std::uint16_t>();
  o.min_copies = r.get<std::uint16_t>();
  o.heartbeat = get_duration(r);
  o.election_min = get_duration(r);
  o.fail_after = get_duration(r);
  o.retain_time = get_duration(r);
  o.lane_window = r.get<std::uint64_t>();
  o.retain_bytes = r.get<std::uint64_t>();
  if (version < 5) return o;
  o.suspect_at = r.get<std::uint32_t>();
  o.clock_rate_ppm = r.get<std::uint32_t>();
  if (o.clock_rate_ppm > clock_rate_ppm_max) r.fail();
  o.lease = get_duration(r);
  o.clock_margin = get_duration(r);
  o.message_bytes_max = r.get<std::uint64_t>();
  return o;
}

view_ptr get_view(byte_reader& r, std::uint16_t version) {
  auto v = std::make_shared<view>();
  v->number = r.get<std::uint64_t>();
  v->roster.resize(r.get_count(roster_bytes, lanes_max));
  for (std::size_t i = 0; i < v->roster.size(); ++i) {
    auto& e = v->roster[i];
    e.id = get_voter(r);
    e.inc = r.get<std::uint64_t>();
    const auto flags = r.get<std::uint8_t>();
    e.voter = flags & 1;
    e.active = flags & 2;
    e.witness = flags & 4;
    // Everything that looks things up in a roster relies on this order, so it is checked here once.
    if (flags > 7 || (i > 0 && !(v->roster[i - 1].id < e.id))) r.fail();
  }
  v->burnt.resize(r.get_count(burnt_bytes, lanes_max));
  for (std::size_t i = 0; i < v->burnt.size(); ++i) {
    auto& b = v->burnt[i];
    b.member = member_id{r.get<std::uint16_t>()};
    b.inc = r.get<std::uint64_t>();
    if (i > 0 && !(v->burnt[i - 1].member < b.member)) r.fail();
  }
  v->notes.resize(r.get_count(note_bytes, 2 * lanes_max));
  for (auto& n : v->notes) {
    n.id = get_voter(r);
    const auto cause = r.get<std::uint8_t>();
    if (cause >= view_causes) r.fail();
    n.cause = static_cast<view_cause>(cause);
  }
  if (version >= 2) {
    v->options = get_options(r, version);
    v->kinds = r.get<std::uint8_t>();
    if ((v->kinds & ~3u) != 0 || (kinds_of(v->options.orders) & ~v->kinds) != 0) r.fail();
    v->barred.resize(r.get_count(2, lanes_max));
    for (auto& m : v->barred) m = member_id{r.get<std::uint16_t>()};
    if (!std::ranges::is_sorted(v->barred)) r.fail();
  }
  if (version >= 3) v->admitted = r.get<std::uint64_t>();
  v->largest_message = version >= 5 ? r.get<std::uint64_t>() : v->options.message_bytes_max;
  if (v->admitted > v->number || v->largest_message < v->options.message_bytes_max) r.fail();
  return r.failed() ? nullptr : v;
}

view_ptr get_optional_view(byte_reader& r, std::uint16_t version) {
  const auto present = r.get<std::uint8_t>();
  if (present > 1) r.fail();
  return present == 1 ? get_view(r, version) : nullptr;
}

wall_time get_time(byte_reader& r) { return wall_time{static_cast<std::int64_t>(r.get<std::uint64_t>())}; }

lane_name get_lane(byte_reader& r) {
  lane_name l;
  l.owner = member_id{r.get<std::uint16_t>()};
  l.inc = r.get<std::uint64_t>();
  const auto kind = r.get<std::uint8_t>();
  if (kind > static_cast<std::uint8_t>(lane_kind::causal)) r.fail();
  l.kind = static_cast<lane_kind>(kind);
  return l;
}

lane_history_ptr get_history(byte_reader& r) {
  auto h = std::make_shared<lane_history>();
  h->complete_from = r.get<std::uint64_t>();
  h->lanes.resize(r.get_count(ended_lane_bytes, ended_lanes_max));
  for (auto& l : h->lanes) {
    l.lane = get_lane(r);
    l.view = r.get<std::uint64_t>();
    l.upto = r.get<std::uint64_t>();
    l.extras.resize(r.get_count(8, lane_ahead_max));
    for (auto& s : l.extras) s = r.get<std::uint64_t>();
  }
  return h->complete_from == 0 && h->lanes.empty() ? nullptr : h;
}

missed_ptr get_missed(byte_reader& r) {
  const auto present = r.get<std::uint8_t>();
  if (present > 1) r.fail();
  if (present == 0) return nullptr;
  auto m = std::make_shared<missed_messages>();
  m->after = r.get<std::uint64_t>();
  m->view = r.get<std::uint64_t>();
  m->delivered = r.get<std::uint64_t>();
  const auto complete = r.get<std::uint8_t>();
  if (complete > 1) r.fail();
  m->complete = complete == 1;
  m->runs.resize(r.get_count(run_bytes, extras_max));
  for (auto& run : m->runs) {
    run.lane = get_lane(r);
    run.view = r.get<std::uint64_t>();
    run.from = r.get<std::uint64_t>();
    run.to = r.get<std::uint64_t>();
    if (run.from == 0 || run.from > run.to) r.fail();
  }
  return m;
}

mark get_place(byte_reader& r, std::uint16_t version) {
  mark m;
  m.index = r.get<std::uint64_t>();
  m.term = r.get<std::uint64_t>();
  m.time = get_time(r);
  m.delivered = r.get<std::uint64_t>();
  m.cut = get_frontier(r);
  m.in_force = get_optional_view(r, version);
  const auto with_parts = version >= 3 ? r.get<std::uint8_t>() : 0;
  if (with_parts > 1) r.fail();
  m.with_parts = with_parts == 1;
  return m;
}

bytes_ptr get_bytes(byte_reader& r) {
  const auto count = r.get_count(1, std::numeric_limits<std::uint32_t>::max());
  const auto bytes = r.get_bytes(count);
  if (bytes.empty()) return nullptr;
  return std::make_shared<const std::vector<std::byte>>(bytes.begin(), bytes.end());
}

mark get_mark(byte_reader& r, std::uint16_t version) {
  auto m = get_place(r, version);
  if (version >= 4) {
    m.ended = get_history(r);
    m.missed = get_missed(r);
    if (version >= 6) m.component = get_bytes(r);
  } else if (m.in_force) {
    m.ended = std::make_shared<lane_history>(lane_history{m.in_force->number, {}});  // older versions kept none
  }
  return m;
}

/// One allocation for sizes and blob; false if the sizes do not add up to the blob.
bool copy_payload(byte_reader& r, std::size_t count, std::span<const std::byte> blob, payload& out) {
  if (blob.size() > std::numeric_limits<std::uint32_t>::max()) return false;
  const std::size_t words = count + (blob.size() + 3) / 4;
  auto memory = std::make_shared_for_overwrite<std::uint32_t[]>(words == 0 ? 1 : words);
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < count; ++i) total += memory[i] = r.get<std::uint32_t>();
  if (total != blob.size()) return false;
  if (!blob.empty()) std::memcpy(memory.get() + count, blob.data(), blob.size());
  out.sizes = {memory.get(), count};
  out.blob = std::as_bytes(std::span(memory.get() + count, words - count)).first(blob.size());
  out.owner = std::move(memory);
  return true;
}

persist_batch get_batch(byte_reader& r, std::uint16_t version, std::span<const std::byte> blob) {
  persist_batch b;
  b.what.owner = member_id{r.get<std::uint16_t>()};
  b.what.slot = r.get<std::uint16_t>();
  const std::size_t count = r.get<std::uint32_t>();
  b.what.inc = r.get<std::uint64_t>();
  b.what.view = r.get<std::uint64_t>();
  b.what.seq = r.get<std::uint64_t>();
  b.what.stamp = r.get<std::uint64_t>();
  if (version >= 2) {
    b.what.tdep = r.get<std::uint64_t>();
    b.what.deps.resize(r.get_count(8, lanes_max));
    const auto cls = r.get<std::uint32_t>();
    if (cls >= order_count) r.fail();
    b.what.cls = static_cast<order>(cls);
    b.what.deadline = get_time(r);
    if (version >= 3) {
      b.what.part.begun = r.get<std::uint64_t>();
      b.what.part.number = r.get<std::uint32_t>();
      const auto more = r.get<std::uint32_t>();
      if (more > 1) r.fail();
      b.what.part.more = more == 1;
      if (!b.what.part.whole() && count != 1) r.fail();
    }
    for (auto& d : b.what.deps) d = r.get<std::uint64_t>();
  }
  if (r.rest().size() != 4 * count || !copy_payload(r, count, blob, b.what.what)) r.fail();
  return b;
}

persist_entry get_entry(byte_reader& r, std::uint16_t version) {
  persist_entry e;
  e.what.index = r.get<std::uint64_t>();
  e.what.term = r.get<std::uint64_t>();
  const auto kind = r.get<std::uint8_t>();
  if (kind > static_cast<std::uint8_t>(entry_kind::view)) r.fail();
  e.what.kind = static_cast<entry_kind>(kind);
  e.what.time = get_time(r);
  e.what.cut = get_frontier(r);
  e.what.next = get_optional_view(r, version);
  if (version >= 2) {
    e.what.extras.resize(r.get_count(extra_bytes, extras_max));
    for (auto& x : e.what.extras) {
      x.slot = r.get<std::uint16_t>();
      x.seq = r.get<std::uint64_t>();
    }
  }
  if ((e.what.kind == entry_kind::view) != (e.what.next != nullptr)) r.fail();
  return e;
}

persist_state get_state(byte_reader& r, std::uint16_t version) {
  persist_state s;
  s.what.term = r.get<std::uint64_t>();
  s.what.vote = get_voter(r);
  s.what.inc = r.get<std::uint64_t>();
  s.what.view_commit = r.get<std::uint64_t>();
  s.what.base = get_place(r, version);
  if (version < 7) return s;
  s.what.identity = r.get<std::uint64_t>();
  s.what.valid_from = r.get<std::uint64_t>();
  return s;
}

persist_install get_install(byte_reader& r, std::uint16_t version) {
  persist_install i;
  i.at = get_mark(r, version);
  i.chunks = r.get<std::uint32_t>();
  return i;
}

struct header {
  std::uint64_t checksum = 0;
  journal_position position = 0;
  std::uint32_t group = 0;
  std::uint32_t length = 0;
  std::uint16_t version = 0;
  std::uint8_t type = 0;
  std::uint64_t zero = 0;
};

header get_header(std::span<const std::byte> bytes) {
  byte_reader r(bytes.first(record_header_bytes));
  header h;
  h.checksum = r.get<std::uint64_t>();
  h.position = r.get<std::uint64_t>();
  h.group = r.get<std::uint32_t>();
  h.length = r.get<std::uint32_t>();
  h.version = r.get<std::uint16_t>();
  h.type = r.get<std::uint8_t>();
  h.zero = r.get<std::uint8_t>();
  h.zero |= r.get<std::uint32_t>();
  return h;
}

/// Bytes before the blob, or 0 if the record cannot hold what its header says.
std::size_t head_bytes(std::span<const std::byte> bytes, const header& h) {
  if (h.type != static_cast<std::uint8_t>(record_type::batch)) return bytes.size();
  const std::size_t fixed = h.version == 1 ? batch_fixed_bytes_v1 : h.version == 2 ? batch_fixed_bytes_v2 : batch_fixed_bytes;
  if (bytes.size() < record_header_bytes + fixed) return 0;
  byte_reader sizes(bytes.subspan(record_header_bytes + 4));
  byte_reader deps(bytes.subspan(record_header_bytes + batch_fixed_bytes_v1 + 8));
  const std::uint64_t head = record_header_bytes + fixed + 4 * std::uint64_t{sizes.get<std::uint32_t>()} +
                             (h.version == 1 ? 0 : 8 * std::uint64_t{deps.get<std::uint32_t>()});
  return head <= bytes.size() ? static_cast<std::size_t>(head) : 0;
}

/// Length, checksum, version: what must hold before a single field may be believed. `head` = bytes before the blob.
record_error check(std::span<const std::byte> bytes, journal_position expected, checksum_fn sum, header& h,
                   std::size_t& head) {
  if (bytes.size() < record_header_bytes) return record_error::too_short;
  h = get_header(bytes);
  if (bytes.size() - record_header_bytes < h.length) return record_error::too_short;
  if (bytes.size() - record_header_bytes > h.length) return record_error::malformed;
  head = head_bytes(bytes, h);
  if (head == 0) return record_error::bad_checksum;
  if (chain(bytes.first(head), bytes.subspan(head), h.position, sum) != h.checksum) return record_error::bad_checksum;
  // A sound record in the wrong place was put there by a lost or misdirected write, not by decay.
  if (h.position != expected) return record_error::wrong_position;
  if (h.version == 0 || h.version > record_version) return record_error::wrong_version;
  return h.zero == 0 ? record_error::none : record_error::malformed;
}

}  // namespace

std::vector<std::byte> encode_options(const view_options& o) {
  std::vector<std::byte> bytes(sizeof record_version + options_bytes);
  byte_writer w(bytes);
  w.put(record_version);
  put(w, o);
  return bytes;
}

bool decode_options(std::span<const std::byte> bytes, view_options& out) {
  byte_reader r(bytes);
  const auto version = r.get<std::uint16_t>();
  if (version < 6 || version > record_version) return false;  // nobody wrote them alone before
  out = get_options(r, version);
  return !r.failed() && r.rest().empty();
}

std::size_t record_bytes(const persist_op& op) {
  const std::size_t head = std::visit([](const auto& what) { return head_size(what); }, op.what);
  return head == 0 ? 0 : record_header_bytes + head + blob_of(op).size();
}

void encode_record(std::uint32_t group, const persist_op& op, checksum_fn sum, std::span<std::byte> out) {
  const auto blob = blob_of(op);
  encode_into(group, op, sum, out.first(out.size() - blob.size()));
  if (!blob.empty()) std::memcpy(out.data() + out.size() - blob.size(), blob.data(), blob.size());
}

std::span<const std::byte> encode_record_head(std::uint32_t group, const persist_op& op, checksum_fn sum,
                                              std::vector<std::byte>& head) {
  const auto blob = blob_of(op);
  head.resize(record_bytes(op) - blob.size());
  encode_into(group, op, sum, head);
  return blob;
}

std::size_t record_length(std::span<const std::byte> front) {
  return front.size() < record_header_bytes ? 0 : record_header_bytes + std::size_t{get_header(front).length};
}

record_error decode_record(std::span<const std::byte> bytes, journal_position expected, checksum_fn sum,
                           decoded_record& out) {
  header h;
  std::size_t head = 0;
  if (const auto error = check(bytes, expected, sum, h, head); error != record_error::none) return error;
  out.group = h.group;
  out.op.position = h.position;
  byte_reader r(bytes.first(head).subspan(record_header_bytes));
  switch (static_cast<record_type>(h.type)) {
    case record_type::batch: out.op.what = get_batch(r, h.version, bytes.subspan(head)); break;
    case record_type::entry: out.op.what = get_entry(r, h.version); break;
    case record_type::truncate: out.op.what = persist_truncate{r.get<std::uint64_t>()}; break;
    case record_type::state: out.op.what = get_state(r, h.version); break;
    case record_type::install: out.op.what = get_install(r, h.version); break;
    case record_type::component: out.op.what = persist_component{get_bytes(r)}; break;
    case record_type::mark:
    default: return record_error::malformed;
  }
  return r.failed() || !r.rest().empty() ? record_error::malformed : record_error::none;
}

const char* to_string(record_error e) {
  switch (e) {
    case record_error::none: return "sound";
    case record_error::too_short: return "too short";
    case record_error::bad_checksum: return "bad checksum";
    case record_error::wrong_position: return "wrong position";
    case record_error::wrong_version: return "unknown version";
    case record_error::malformed: return "malformed";
  }
  return "unknown error";
}

std::vector<std::byte> encode_mark(const mark& m, std::uint32_t chunks, checksum_fn sum) {
  const std::size_t length = 4 + mark_size(m);
  std::vector<std::byte> out(record_header_bytes + length);
  byte_writer w(out);
  put_header(w, m.index, 0, length, record_type::mark);
  w.put(chunks);
  put(w, m);
  COHORT_INVARIANT(w.written() == out.size(), w.written(), out.size());
  byte_writer(out).put(chain(out, {}, m.index, sum));
  return out;
}

record_error decode_mark(std::span<const std::byte> bytes, checksum_fn sum, mark& out, std::uint32_t& chunks) {
  if (bytes.size() < record_header_bytes) return record_error::too_short;
  header h;
  std::size_t head = 0;
  if (const auto error = check(bytes, get_header(bytes).position, sum, h, head); error != record_error::none)
    return error;
  if (h.type != static_cast<std::uint8_t>(record_type::mark) || h.group != 0) return record_error::malformed;
  byte_reader r(bytes.subspan(record_header_bytes));
  chunks = r.get<std::uint32_t>();
  out = get_mark(r, h.version);
  if (out.index != h.position) r.fail();
  return r.failed() || !r.rest().empty() ? record_error::malformed : record_error::none;
}

}  // namespace cohort::protocol
