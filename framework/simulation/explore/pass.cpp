#include "framework/simulation/explore/pass.hpp"

#include "framework/simulation/clock.hpp"
#include "framework/simulation/explore/properties.hpp"
#include "framework/simulation/random.hpp"
#include "framework/simulation/trace.hpp"

#include <algorithm>
#include <functional>
#include <stdexcept>

namespace cohort::sim::explore {

using namespace protocol;

void pass::tick() const {
  // The time of day stands still: stamps and agreed time become counters. A new life needs a new incarnation.
  m.core->tick(m.now, clock_model::epoch + wall_time(m.life));
}

void pass::post(unsigned to, std::shared_ptr<const message> what) const {
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

void pass::finish(journal_position persisted) const {
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

void pass::sort_events() const {
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

std::uint8_t pass::state() const {
  unsigned held = 0;
  for (const auto& e : m.told.events) {
    if (e.what == story::kind::restored) held = e.past;
    if (e.what == story::kind::batch) held |= 1u << e.message;
  }
  return static_cast<std::uint8_t>(held);
}

void pass::deliver(const delivery_op& what) const {
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

void pass::lose(order cls, std::uint64_t count) const {
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

void pass::note_evidence() const {
  for (const auto& p : m.inside().peers)
    if (auto& about = m.told.evident[to_index(p.id.member)]; about.asked != never && p.rhythm.last_heard() >= about.asked)
      about.asked = about.vouched = never;
}

void pass::note_commitments() const {
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

void pass::born() const {
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

}  // namespace cohort::sim::explore
