#include "tests/trace/stage.hpp"

#include <algorithm>

namespace cohort::trace {

std::uint64_t simple_sum(std::span<const std::byte> bytes, std::uint64_t seed) {
  std::uint64_t h = seed ^ 0xcbf29ce484222325ull;
  for (const auto b : bytes) h = (h ^ std::to_integer<std::uint64_t>(b)) * 0x100000001b3ull;
  return h;
}

stage::stage(unsigned n, core_options o, std::vector<member_id> no_payload)
    : options(o), witnesses(std::move(no_payload)), members(n), cuts(n, std::vector<bool>(n)) {
  for (unsigned i = 0; i < n; ++i) start(i);
}

stage stage::founded(unsigned n, core_options o) {
  stage s(n, o);
  s.go(1s);
  return s;
}

wall_time stage::wall(unsigned i) const {
  return wall_time(1'700'000'000'000'000) + std::chrono::duration_cast<wall_time>(now) + members[i].clock_error;
}

int stage::leader() const {
  for (unsigned i = 0; i < members.size(); ++i)
    if (members[i].up && members[i].core->status().is_leader) return static_cast<int>(i);
  return -1;
}

void stage::start(unsigned i) {
  auto& m = members[i];
  const bool first = m.lives++ == 0;
  core_start s;
  s.seed = 77 * i + m.lives;
  s.checksum = simple_sum;
  for (unsigned k = 0; k < members.size(); ++k) s.founders.push_back(member_id(k));
  s.witnesses = witnesses;
  s.ever_founded = !first;
  bool given_up = false;  // X3
  if (!first && (options.durable || !m.records.empty())) {
    recovery r;
    if (std::ranges::binary_search(witnesses, member_id(i))) r.without_payload();
    if (m.checkpoint) r.checkpoint(m.checkpoint->first, m.checkpoint->second);
    for (const auto& op : m.records)
      if (const auto* state = std::get_if<persist_state>(&op.what)) r.state(state->what);
    for (const auto& op : m.records)
      if (!std::holds_alternative<persist_state>(op.what)) r.record(op);
    s.state = r.finish();
    s.blank = false;
    if (!s.state) std::abort();
    if (!m.records.empty()) s.last_position = m.records.back().position;
    given_up = !s.state->valid;
    if (given_up) s.state.reset();
  }
  std::uint64_t identity = 100 + i + (options.durable && !given_up ? 0 : 1000 * m.lives);
  if (s.state && s.state->promises.identity != 0) identity = s.state->promises.identity;
  m.id = s.self = {member_id(i), identity};
  m.core.emplace(options, s);
  m.up = true;
  feed(i, [](auto&) {});
  for (unsigned k = 0; k < members.size(); ++k)
    if (k != i && members[k].up) link(i, k);
}

void stage::crash(unsigned i, bool evidence) {
  auto& m = members[i];
  m.up = false;
  std::erase_if(m.records, [&](const auto& op) { return op.position > m.durable; });
  m.held.clear();
  std::erase_if(in_flight, [&](const flying& f) { return f.to == i; });
  if (!evidence) return;
  for (unsigned k = 0; k < members.size(); ++k)
    if (k != i && members[k].up) feed(k, [&](auto& c) { c.link_down(member_id(i), true); });
}

void stage::link(unsigned a, unsigned b) {
  const auto blank = [&](unsigned i) { return members[i].lives == 1 && !members[i].core->status().founded; };
  const bool a_blank = blank(a), b_blank = blank(b);
  feed(a, [&](auto& c) { c.link_up(members[b].id, b_blank); });
  feed(b, [&](auto& c) { c.link_up(members[a].id, a_blank); });
}

void stage::isolate(unsigned i) {
  for (unsigned k = 0; k < members.size(); ++k) cuts[i][k] = cuts[k][i] = true;
}

void stage::heal() {
  for (auto& row : cuts) std::fill(row.begin(), row.end(), false);
}

void stage::feed(unsigned i, const std::function<void(protocol::core&)>& input) {
  auto& m = members[i];
  auto& c = *m.core;
  c.tick(now, wall(i));
  input(c);
  c.tick(now, wall(i));
  c.drain();
  auto out = std::move(c.out());
  c.out() = {};
  c.drained();
  for (auto& op : out.persists) {
    if (op.position == 0) continue;  // kept in memory
    if (const auto* in = std::get_if<persist_install>(&op.what)) m.checkpoint = {{in->at, in->chunks}};
    m.records.push_back(std::move(op));
  }
  if (m.disk_works && !m.records.empty()) m.durable = std::max(m.durable, m.records.back().position);
  for (auto& s : out.sends)
    for (std::uint32_t t = 0; t < s.target_count; ++t) {
      flying f{i, static_cast<unsigned>(to_index(out.targets[s.first_target + t])), s.what};
      if (s.needs > m.durable)
        m.held.emplace_back(s.needs, std::move(f));
      else
        in_flight.push_back(std::move(f));
    }
  for (auto& d : out.deliveries) {
    if (const auto* b = std::get_if<deliver_batch>(&d)) {
      std::size_t offset = 0;
      for (const auto size : b->what.sizes) {
        m.delivered.emplace_back(reinterpret_cast<const char*>(b->what.blob.data()) + offset, size);
        if (b->late) m.late.push_back(m.delivered.back());
        offset += size;
      }
    }
    if (const auto* v = std::get_if<deliver_view>(&d)) m.views.push_back(v->what->number);
    if (const auto* t = std::get_if<deliver_time>(&d)) m.times.push_back(*t);
    if (const auto* r = std::get_if<deliver_read>(&d)) m.reads.push_back(*r);
    if (const auto* taken = std::get_if<deliver_restore>(&d)) c.restored(taken->at.index);
    if (const auto* k = std::get_if<deliver_checkpoint>(&d)) {
      if (k->on_disk) m.checkpoint = {{k->at, checkpoint_chunks}};
      c.checkpoint_stored(k->at.index, checkpoint_chunks);
    }
  }
  m.events.insert(m.events.end(), out.events.begin(), out.events.end());
  if (m.disk_works) sync(i);
}

void stage::sync(unsigned i) {
  auto& m = members[i];
  if (!m.records.empty()) m.durable = m.records.back().position;
  const auto out = std::stable_partition(m.held.begin(), m.held.end(), [&](const auto& h) { return h.first > m.durable; });
  for (auto h = out; h != m.held.end(); ++h) in_flight.push_back(std::move(h->second));
  m.held.erase(out, m.held.end());
  if (inside(i).persisted_to < m.durable) feed(i, [&](auto& c) { c.persisted(m.durable); });
}

void stage::pass(unsigned i) {
  feed(i, [](auto&) {});
}

submit_status stage::submit(unsigned i, std::string text, order how, wall_time deadline) {
  submit_status result{};
  feed(i, [&](auto& c) {
    const std::span<const std::byte> one = std::as_bytes(std::span(text));
    result = c.submit({&one, 1}, how, deadline);
  });
  return result;
}

void stage::read(unsigned i, std::uint64_t tag) {
  feed(i, [&](auto& c) { c.read(tag); });
}

void stage::want_time(wall_time due) {
  for (unsigned i = 0; i < members.size(); ++i)
    if (members[i].up) feed(i, [&](auto& c) { c.want_time(due); });
}

void stage::hand_over(unsigned i, member_id to) {
  feed(i, [&](auto& c) { c.hand_over(to); });
}

void stage::want_checkpoint(unsigned i) {
  feed(i, [](auto& c) { c.want_checkpoint(); });
}

void stage::states_differ(const std::vector<member_id>& odd) {
  for (unsigned i = 0; i < members.size(); ++i)
    if (members[i].up) feed(i, [&](auto& c) { c.states_differ(odd); });
}

void stage::deliver(const std::function<bool(const flying&)>& fits) {
  for (std::size_t i = 0; i < in_flight.size();) {
    if (!fits(in_flight[i])) {
      ++i;
      continue;
    }
    flying f = std::move(in_flight[i]);
    in_flight.erase(in_flight.begin() + static_cast<std::ptrdiff_t>(i));
    if (cuts[f.from][f.to] || !members[f.to].up) continue;
    feed(f.to, [&](auto& c) { c.receive(members[f.from].id, std::move(f.what)); });
  }
}

void stage::drop(const std::function<bool(const flying&)>& fits) { std::erase_if(in_flight, fits); }

void stage::settle() {
  for (int rounds = 0; rounds < 1000 && !in_flight.empty(); ++rounds) {
    const auto before = in_flight.size();
    std::size_t left = before;
    deliver([&](const flying&) { return left != 0 && left-- > 0; });
  }
}

void stage::go(duration d, bool deliver) {
  for (const instant end = now + d; now < end;) {
    now += 10ms;
    for (unsigned i = 0; i < members.size(); ++i)
      if (members[i].up) pass(i);
    if (deliver) settle();
  }
}

}  // namespace cohort::trace
