#include "framework/simulation/explore/member.hpp"

#include "framework/protocol/recovered_state.hpp"
#include "framework/simulation/explore/pass.hpp"
#include "framework/simulation/random.hpp"

#include <stdexcept>

namespace cohort::sim::explore {

using namespace protocol;
using namespace std::chrono_literals;

core_options options_of(const scope& s) {
  core_options o;
  o.durable = s.durable;
  o.orders = s.orders;
  if (!o.orders.has(o.default_order)) o.default_order = s.submissions.front().how;
  o.fail_after = 24h;  // silence is told by links, so that clocks of members need not be compared
  if (s.lapses > 0) o.heartbeat = o.election_min / 2;  // PROBEs, and what else is repeated, are few
  return o;
}

namespace {

std::uint64_t checksum(std::span<const std::byte> bytes, std::uint64_t seed) {
  for (const auto b : bytes) seed = mix(seed, std::to_integer<std::uint64_t>(b));
  return seed;
}

std::unique_ptr<member> copy(const member& m) {
  auto other = std::make_unique<member>();
  other->node = m.node, other->process = m.process, other->up = m.up, other->life = m.life, other->submitted = m.submitted, other->now = m.now;
  other->core.emplace(inspector::copy(*m.core));
  other->told = m.told;
  other->open = m.open;
  other->checkpoints = m.checkpoints;
  other->disk = m.disk;
  other->unsynced = m.unsynced;
  other->held = m.held;
  return other;
}

/// What the sender had delivered or sent before, for orders that promise it; U promises nothing, and nobody waits for
/// what has not its place yet (T) but T itself.
std::uint8_t past_of(const scope& s, const member& m, order how) {
  if (kind_of(how) == lane_kind::plain) return 0;
  unsigned past = 0, lost = 0;
  for (const auto& e : m.told.events) {
    if (e.what == story::kind::batch && e.cls != order::unordered) past |= 1u << e.message;
    if (e.what == story::kind::lost) lost |= 1u << e.message;
  }
  for (const auto& of_class : m.open)
    for (const auto message : of_class) {
      const auto cls = s.submissions[message].how;
      if (cls == order::unordered || (cls == order::total && how != order::total)) continue;
      past |= 1u << message;
    }
  return static_cast<std::uint8_t>(past & ~lost);
}

}  // namespace

core_start start_of(const scope& s, const member& m) {
  core_start start;
  start.checksum = checksum;
  start.self = m.id();
  start.seed = m.node + 1;
  for (unsigned n = 0; n < s.members; ++n) start.founders.push_back(member_id(n));
  return start;
}

void member::disk_image::write(const persist_op& op) {
  if (const auto* b = std::get_if<persist_batch>(&op.what)) {
    batches[b->what.lane()].try_emplace(b->what.seq, b->what);
  } else if (const auto* e = std::get_if<persist_entry>(&op.what)) {
    entries.push_back(e->what);
  } else if (const auto* t = std::get_if<persist_truncate>(&op.what)) {
    std::erase_if(entries, [&](const entry& kept) { return kept.index >= t->from; });
  } else if (const auto* s = std::get_if<persist_state>(&op.what)) {
    promises = s->what;
  }
}

std::shared_ptr<const recovered_state> member::disk_image::recover() const {
  recovery r;
  r.state(promises);
  for (const auto& [lane, of_lane] : batches)
    for (const auto& [seq, b] : of_lane) r.record({0, persist_batch{b}});
  for (const auto& e : entries) r.record({0, persist_entry{e}});
  auto state = r.finish();
  if (!state) throw std::logic_error("D10 recovery: " + r.why());
  return state;
}

journal_position member::sync() {
  const auto upto = unsynced.back().position;
  for (const auto& op : unsynced) disk.write(op);
  unsynced.clear();
  return upto;
}

std::unique_ptr<member> step(const scope& s, const member& before, input what, const letter* arriving,
                             std::vector<letter>& sent) {
  auto after = copy(before);
  auto& m = *after;
  const pass p{s, m, sent};
  const auto options = options_of(s);
  if (what.what == input::kind::crash) {
    m.up = false;
    for (std::uint32_t n = 0; n < what.number; ++n) m.disk.write(m.unsynced[n]);
    m.unsynced.clear();
    m.held.clear();
    m.open = {};  // nobody is left to be told
    for (unsigned other = 0; other < s.members; ++other)
      if (other != m.node) sent.push_back({m.node, other, letter::kind::reset, m.id(), nullptr});
    return after;
  }
  if (what.what == input::kind::restart) {
    m.up = true;
    ++m.life;
    auto start = start_of(s, m);
    start.blank = false;
    start.ever_founded = true;
    start.state = m.disk.recover();
    m.core.emplace(options, start);
    p.born();
    p.tick();
    for (unsigned other = 0; other < s.members; ++other) {
      if (other == m.node) continue;
      m.core->link_up({member_id(other), 100 + other}, false);
      sent.push_back({m.node, other, letter::kind::link_up, m.id(), nullptr});
    }
    p.finish();
    return after;
  }
  if (const auto at = m.timer(what.what, options); at && what.what != input::kind::arrive) m.now = *at;
  p.tick();
  journal_position persisted = 0;
  switch (what.what) {
    case input::kind::arrive:
      if (arriving->what == letter::kind::reset) {
        m.told.evident[arriving->from].reset = true;
        m.core->link_down(member_id(arriving->from), true);
        break;
      }
      if (arriving->what == letter::kind::link_up) {
        m.told.evident[arriving->from].reset = false;
        m.core->link_up(arriving->sender, false);
        break;
      }
      if (const auto* q = std::get_if<probe>(arriving->body.get()))
        if (auto& about = m.told.evident[to_index(q->subject)];
            q->answered && !q->reset && to_index(q->asker) == m.node && about.asked != never && q->asked >= about.asked)
          about.vouched = m.now;
      m.core->receive(arriving->sender, message(*arriving->body));
      break;
    case input::kind::submit: {
      std::uint8_t number = 0;
      for (unsigned of_mine = 0; s.submissions[number].node != m.node || of_mine++ < m.submitted;) ++number;
      const auto how = s.submissions[number].how;
      const std::byte bytes[] = {std::byte{number}, std::byte{past_of(s, m, how)}};
      const std::span<const std::byte> one = bytes;
      if (m.core->submit({&one, 1}, how) == submit_status::taken) m.open[static_cast<std::size_t>(how)].push_back(number);
      ++m.submitted;
      break;
    }
    case input::kind::sync:
      persisted = m.sync();
      m.core->persisted(persisted);
      break;
    case input::kind::doubt:
      m.told.evident[what.number].reset = true;
      m.core->link_down(member_id(what.number), true);
      break;
    default: break;
  }
  p.finish(persisted);
  return after;
}

}  // namespace cohort::sim::explore
