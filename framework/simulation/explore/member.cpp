#include "framework/simulation/explore/member.hpp"

#include "framework/protocol/recovered_state.hpp"
#include "framework/simulation/clock.hpp"
#include "framework/simulation/disk.hpp"
#include "framework/simulation/explore/properties.hpp"
#include "framework/simulation/trace.hpp"

#include <functional>
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

core_start start_of(const scope& s, const member& m) {
  core_start start;
  start.checksum = checksum;
  start.self = m.id();
  start.seed = m.node + 1;
  for (unsigned n = 0; n < s.members; ++n) start.founders.push_back(member_id(n));
  return start;
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

void write(member::disk_image& disk, const persist_op& op) {
  if (const auto* b = std::get_if<persist_batch>(&op.what)) {
    disk.batches[b->what.lane()].try_emplace(b->what.seq, b->what);
  } else if (const auto* e = std::get_if<persist_entry>(&op.what)) {
    disk.entries.push_back(e->what);
  } else if (const auto* t = std::get_if<persist_truncate>(&op.what)) {
    std::erase_if(disk.entries, [&](const entry& kept) { return kept.index >= t->from; });
  } else if (const auto* s = std::get_if<persist_state>(&op.what)) {
    disk.promises = s->what;
  }
}

/// Through the production recovery.
std::shared_ptr<const recovered_state> recover(const member::disk_image& disk) {
  recovery r;
  r.state(disk.promises);
  for (const auto& [lane, batches] : disk.batches)
    for (const auto& [seq, b] : batches) r.record({0, persist_batch{b}});
  for (const auto& e : disk.entries) r.record({0, persist_entry{e}});
  auto state = r.finish();
  if (!state) throw std::logic_error("D10 recovery: " + r.why());
  return state;
}

struct pass {
  const scope& s;
  member& m;
  std::vector<letter>& sent;
  std::size_t told_before = m.told.events.size();

  void tick() const {
    // The time of day stands still: stamps and agreed time become counters. A new life needs a new incarnation.
    m.core->tick(m.now, clock_model::epoch + wall_time(m.life));
  }

  void post(unsigned to, std::shared_ptr<const message> what) const {
    if (!s.joins && std::holds_alternative<join>(*what)) return;
    if (const auto* q = std::get_if<probe>(what.get())) {
      if (!s.probes) return;  // they may get lost: then a verdict takes longer, and is the same
      auto& about = m.told.evident[to_index(q->subject)];
      if (to_index(q->asker) == m.node && !q->answered && about.asked == never) about.asked = m.now, about.vouched = never;
    }
    // How far others have applied the log opens windows and lets it be trimmed, of which there is nothing here. A lower
    // bound that is true is as good, and tells fewer states apart.
    if (const auto* a = std::get_if<ack>(what.get()); a && a->applied != 0) {
      auto less = *a;
      less.applied = 0;
      what = std::make_shared<const message>(std::move(less));
    } else if (const auto* e = std::get_if<append>(what.get()); e && e->min_applied != 0) {
      auto less = *e;
      less.min_applied = 0;
      what = std::make_shared<const message>(std::move(less));
    }
    sent.push_back({m.node, to, letter::kind::message, m.id(), std::move(what)});
  }

  void finish(journal_position persisted = 0) const {
    m.core->drain();
    auto& out = m.core->out();
    if (s.durable)
      for (auto& op : out.persists) m.unsynced.push_back(op);
    std::erase_if(m.held, [&](const member::held_send& h) {
      if (h.needs > persisted) return false;
      post(h.to, h.what);
      return true;
    });
    for (auto& send : out.sends) {
      const auto what = std::make_shared<const message>(std::move(send.what));
      for (std::uint32_t t = 0; t < send.target_count; ++t) {
        const auto to = static_cast<unsigned>(to_index(out.targets[send.first_target + t]));
        if (send.needs > persisted)
          m.held.push_back({send.needs, to, what});
        else
          post(to, what);
      }
    }
    for (const auto& op : out.persists)
      if (const auto* c = std::get_if<persist_chunk>(&op.what)) m.checkpoints[c->index] = c->data;
    std::vector<std::function<void()>> answers;
    for (auto& d : out.deliveries) {
      deliver(d);
      if (const auto* c = std::get_if<deliver_checkpoint>(&d))
        answers.push_back([this, index = c->at.index] { m.core->checkpoint_stored(index, 1); });
    }
    for (const auto& e : out.events) {
      if (e.kind == event_kind::elected) m.told.led.push_back(e.number);
      if (e.kind == event_kind::member_silent && s.probes) m.told.accused.push_back({static_cast<unsigned>(to_index(e.member)), e.why});
    }
    for (const auto& e : out.events)
      if (e.kind == event_kind::chunk_wanted)
        answers.push_back([this, e] { m.core->chunk_loaded(e.member, e.index, static_cast<std::uint32_t>(e.number), m.checkpoints[e.index]); });
    note_evidence();
    m.core->drained();
    if (!answers.empty()) {  // a store that takes no time
      tick();
      for (const auto& answer : answers) answer();
      finish();
      return;
    }
    m.core->check_invariants();
    inspector::without_clocks(*m.core, s.lapses > 0);
    const auto by = inspector::simplify(*m.core);
    for (auto& op : m.unsynced) op.position -= std::min(op.position, by);
    for (auto& h : m.held) h.needs -= std::min(h.needs, by);
    note_commitments();
    check_alone(m, told_before);
    sort_events();
  }

  /// In which order messages came is judged by now; later only what came in which view is of interest.
  void sort_events() const {
    auto& all = m.told.events;
    for (auto begin = all.begin(); begin != all.end();) {
      const auto is_batch = [](const story::event& e) { return e.what == story::kind::batch; };
      begin = std::find_if(begin, all.end(), is_batch);
      const auto end = std::find_if_not(begin, all.end(), is_batch);
      const auto key = [](const story::event& e) { return std::tuple(e.position, e.message, e.view, e.inc, e.seq, e.hash); };
      std::sort(begin, end, [&](const auto& x, const auto& y) { return key(x) < key(y); });
      begin = end;
    }
  }

  /// What the state here holds, in bits.
  std::uint8_t state() const {
    unsigned held = 0;
    for (const auto& e : m.told.events) {
      if (e.what == story::kind::restored) held = e.past;
      if (e.what == story::kind::batch) held |= 1u << e.message;
    }
    return static_cast<std::uint8_t>(held);
  }

  void deliver(const delivery_op& what) const {
    story::event e;
    if (const auto* c = std::get_if<deliver_checkpoint>(&what)) {
      struct memory {
        std::uint32_t size = 1;
        std::byte held{};
      };
      auto bytes = std::make_shared<memory>();
      bytes->held = std::byte{state()};
      m.checkpoints[c->at.index] = {bytes, {&bytes->size, 1}, {&bytes->held, 1}};
    } else if (const auto* r = std::get_if<deliver_restore>(&what)) {
      e.what = story::kind::restored;
      e.past = std::to_integer<std::uint8_t>(m.checkpoints.at(r->at.index).blob[0]);
      e.position = r->at.delivered;
      m.told.events.push_back(e);
      return;
    }
    if (const auto* b = std::get_if<deliver_batch>(&what)) {
      e.what = story::kind::batch;
      e.safe = b->stable;
      e.cls = b->cls;
      e.view = b->view;
      e.inc = b->inc;
      e.sender = b->sender;
      e.seq = b->seq;
      e.position = b->position;
      lose(b->cls, b->lost_before);
      std::size_t begin = 0;
      for (const auto size : b->what.sizes) {
        e.message = std::to_integer<std::uint8_t>(b->what.blob[begin]);
        e.past = std::to_integer<std::uint8_t>(b->what.blob[begin + 1]);
        auto hash = mix(mix(e.message, e.view), mix(to_index(e.sender), mix(e.inc, e.seq)));
        if (e.cls == order::total) hash = mix(hash, mix(b->index, static_cast<std::uint64_t>(b->time.count())));
        e.hash = hash;
        m.told.events.push_back(e);
        if (e.position != 0) ++e.position;
        begin += size;
        auto& mine = m.open[static_cast<std::size_t>(b->cls)];
        if (b->own && !mine.empty()) mine.erase(mine.begin());
      }
    } else if (const auto* v = std::get_if<deliver_view>(&what)) {
      for (std::size_t c = 0; c < order_count; ++c) lose(static_cast<order>(c), v->lost_messages[c]);
      e.what = story::kind::view;
      e.view = v->what->number;
      e.member = v->member;
      if (const auto* r = find(*v->what, m.id())) e.inc = r->inc;
      e.hash = hash_view(*v->what);
      e.roster = v->what;
      m.told.events.push_back(e);
    }
  }

  void lose(order cls, std::uint64_t count) const {
    auto& mine = m.open[static_cast<std::size_t>(cls)];
    for (; count > 0 && !mine.empty(); --count) {
      story::event l;
      l.what = story::kind::lost;
      l.cls = cls;
      l.message = mine.front();
      m.told.events.push_back(l);
      mine.erase(mine.begin());
    }
  }

  void note_evidence() const {
    for (const auto& p : m.inside().peers)
      if (auto& about = m.told.evident[to_index(p.id.member)]; about.asked != never && p.rhythm.last_heard() >= about.asked)
        about.asked = about.vouched = never;
  }

  void note_commitments() const {
    const auto& in = m.inside();
    auto& known = m.told.committed;
    while (known.size() < std::min(in.commit, in.log.base().index)) known.push_back({});  // a checkpoint took its place
    for (log_index i = in.log.base().index + 1; i <= in.commit && in.log.has(i); ++i) {
      const auto hash = hash_entry(in.log.at(i));
      if (i > known.size())
        known.push_back({hash, in.log.last_term()});
      else if (known[i - 1].hash != hash)
        throw std::logic_error("I5 agreement: member " + std::to_string(m.node) + " commits another entry " + std::to_string(i) +
                               " than before");
    }
  }

  void born() const {
    const auto& in = m.inside();
    if (!in.has_state) return;
    story::event e;
    e.what = story::kind::born;
    e.view = in.in_force->number;
    e.member = in.my_slot != no_slot;
    e.inc = in.promises.inc;
    e.hash = hash_view(*in.in_force);
    e.roster = in.in_force;
    m.told.events.push_back(e);
  }
};

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

std::unique_ptr<member> step(const scope& s, const member& before, input what, const letter* arriving,
                             std::vector<letter>& sent) {
  auto after = copy(before);
  auto& m = *after;
  const pass p{s, m, sent};
  const auto options = options_of(s);
  if (what.what == input::kind::crash) {
    m.up = false;
    for (std::uint32_t n = 0; n < what.number; ++n) write(m.disk, m.unsynced[n]);
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
    start.state = recover(m.disk);
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
      persisted = m.unsynced.back().position;
      for (const auto& op : m.unsynced) write(m.disk, op);
      m.unsynced.clear();
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

std::vector<std::unique_ptr<member>> settled_group(const scope& s, std::vector<letter>& flight) {
  std::vector<std::unique_ptr<member>> group;
  const auto options = options_of(s);
  const auto on = [&](unsigned n, auto&& act) {
    auto& m = *group[n];
    const pass p{s, m, flight};
    p.tick();
    act(m);
    p.finish();
    while (!m.unsynced.empty()) {
      const auto persisted = m.unsynced.back().position;
      for (const auto& op : m.unsynced) write(m.disk, op);
      m.unsynced.clear();
      p.tick();
      m.core->persisted(persisted);
      p.finish(persisted);
    }
  };
  for (unsigned n = 0; n < s.members; ++n) {
    auto& m = *group.emplace_back(std::make_unique<member>());
    m.node = n, m.process = 100 + n;
    m.core.emplace(options, start_of(s, m));
  }
  for (unsigned a = 0; a < s.members; ++a)
    on(a, [&](member& m) {
      for (unsigned b = 0; b < s.members; ++b)
        if (a != b) m.core->link_up({member_id(b), 100 + b}, true);
    });
  instant now{};
  const auto go_on = [&](instant end, auto&& done) {
    for (; now < end && !done(); now += 10ms)
      for (unsigned n = 0; n < s.members && !done(); ++n) {
        for (auto& m : group) m->now = now;
        on(n, [](member&) {});
        while (!flight.empty() && !done()) {
          const auto l = flight.front();
          flight.erase(flight.begin());
          on(l.to, [&](member& m) { m.core->receive(l.sender, message(*l.body)); });
        }
      }
  };
  go_on(instant{3s}, [] { return false; });
  if (s.newcomer) {
    auto& fresh = *group[*s.newcomer];
    for (auto& m : group)
      if (m->node != fresh.node)
        on(m->node, [&](member& other) { other.core->link_down(member_id(fresh.node), true); });
    fresh.process += 100;
    ++fresh.life;
    auto start = start_of(s, fresh);
    start.blank = false;
    start.ever_founded = true;
    fresh.core.emplace(options, start);
    flight.clear();
    for (auto& m : group) {
      if (m->node == fresh.node) continue;
      on(m->node, [&](member& other) { other.core->link_up(fresh.id(), false); });
      on(fresh.node, [&](member& f) { f.core->link_up(m->id(), false); });
    }
    const auto admitted = [&] {
      const auto* r = find(*group[0]->inside().in_force, fresh.id());
      return r && r->active;
    };
    go_on(instant{6s}, admitted);
    if (!admitted()) throw std::runtime_error("the newcomer was not admitted");
  }
  for (auto& m : group) {
    const auto& in = m->inside();
    if (s.newcomer) {
      m->told.events.clear();
      pass{s, *m, flight}.born();
      continue;
    }
    if (!in.has_state || in.leader != member_id(0) || in.my_slot == no_slot || in.applied != in.log.last())
      throw std::runtime_error("the group did not settle: member " + std::to_string(m->node));
    m->told.events.clear();
    pass{s, *m, flight}.born();
  }
  return group;
}

}  // namespace cohort::sim::explore
