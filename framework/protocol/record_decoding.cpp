#include "framework/protocol/record_layout.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

namespace cohort::protocol::layout {

namespace {

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

}  // namespace

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

namespace {

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

}  // namespace

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

namespace {

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

}  // namespace

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

persist_truncate get_truncate(byte_reader& r) { return {r.get<std::uint64_t>()}; }

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

persist_component get_component(byte_reader& r) { return {get_bytes(r)}; }

}  // namespace cohort::protocol::layout
