// Disks in the simulated world of a partitionable group: what is written when, and what a restart finds.
#include "framework/simulation/partition/node.hpp"

#include "framework/memory_stream.hpp"

#include <algorithm>
#include <utility>

namespace cohort::sim::partition {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// A flush is under way for what was given before it began; more gathers meanwhile.
void world::write(unsigned n) {
  auto& here = *nodes_[n];
  if (!here.journal || here.syncing || here.journal->unsynced() == 0) return;
  here.syncing = true;
  const auto latency = chance_.between(100, chance_.chance(20) ? 80'000 : scenario_.flush_most);
  at(now_ + microseconds(latency), [this, n, start = here.starts, count = here.journal->unsynced()] {
    auto& there = *nodes_[n];
    if (!there.core || there.starts != start) return;
    there.syncing = false;
    const auto durable = there.journal->sync(count);
    there.core->tick(now_, wall(n));
    there.core->persisted(durable);
    for (const auto& [number, chunks] : there.journal->take_stored_checkpoints())
      there.core->checkpoint_stored(number, chunks);
    for (; !there.held.empty() && there.held.front().needs <= durable; there.held.pop_front())
      transmit(n, there.held.front().to, there.held.front().what);
    plan_pass(n, now_);
    write(n);
  });
}

void world::store(unsigned n, const mark& at) {
  auto& here = *nodes_[n];
  memory_sink out;
  here.parts.checkpoint(at, out);
  for (const auto number : here.state) out.write_u64(number);
  here.taken[at.index] = seen_.lives[here.life].steps.size();
  here.journal->store_checkpoint(at, {one_message(out.bytes())});
}

/// Power fails where it hurts: right behind a promise on which others now rely. Often the network goes with it, so that
/// those who heard the promise and the one who gave it go on apart.
void world::aim(unsigned n, const message& what) {
  if (scenario_.aimed == 0 || now_ >= scenario_.faults_until) return;
  auto& here = *nodes_[n];
  const auto* bytes = std::get_if<component_control>(&what);
  protocol::partition::control said;
  if (!bytes || !decode(bytes->bytes, said)) return;
  const auto is_promise = [&](const auto& body) {
    using body_type = std::decay_t<decltype(body)>;
    if constexpr (std::is_same_v<body_type, protocol::partition::progress>) {
      if (!body.merged || std::exchange(here.told_merged, body.view) == body.view) return false;
      const auto in = here.core->status().in_force;
      return in->id == body.view && in->sides.size() > 1;
    } else {
      return std::is_same_v<body_type, protocol::partition::gather> ||
             std::is_same_v<body_type, protocol::partition::account> ||
             std::is_same_v<body_type, protocol::partition::prepared> ||
             std::is_same_v<body_type, protocol::partition::install>;
    }
  };
  // Of all promises that of the coordinator is heard by most, and given last.
  const unsigned weight = std::holds_alternative<protocol::partition::install>(said.body) ? 5 : 1;
  if (!std::visit(is_promise, said.body) || !chance_.chance(weight * scenario_.aimed)) return;
  const bool alone = chance_.chance(600);
  at(now_, [this, n, start = here.starts] {
    if (nodes_[n]->starts == start) crash(n);
  });
  const auto heard = now_ + 2 * microseconds(scenario_.delay_most);
  at(heard, [this, n, alone] {
    for (unsigned other = 0; alone && other < scenario_.members; ++other)
      if (other != n) cut_[n][other] = cut_[other][n] = true;
  });
  at(heard + milliseconds(chance_.between(1, 150)), [this, n] { start(n); });
}

/// Goes on from what the disk has; false if that is nothing. The process's steps are cut back to what the checkpoint
/// holds: the rest it either does again or has forgotten.
bool world::resume(unsigned n) {
  auto& here = *nodes_[n];
  here.held.clear();
  here.syncing = false;
  if (!here.journal) return false;
  protocol::partition::recovery r;
  bool anything = false;
  const auto damage = here.journal->read({[&](const mark& at, std::uint32_t chunks) { r.checkpoint(at, chunks); },
                                          [](const hard_state&) {}, [&](const persist_op& op) { return r.record(op); }},
                                         anything);
  if (!damage.empty() || !r.why().empty()) throw std::logic_error("a disk cannot be read: " + damage + " " + r.why());
  const auto state = r.finish();
  if (!state) return false;
  auto later = std::make_shared<protocol::partition::recovered>(*state);
  later->last_position = std::max(later->last_position, here.journal->synced_to());
  auto& l = seen_.lives[here.life];
  l.ended = false;
  l.resumed = ++steps_;
  std::size_t kept = 0;
  if (state->checkpoint != 0) {
    kept = here.taken.at(state->checkpoint);
    const auto chunk = here.journal->load(state->checkpoint, 1);
    memory_source in(chunk.blob);
    here.parts.restore(in);
    while (in.left() > 0) here.grow(in.read_u64());
  }
  l.lost.emplace_back(l.steps.begin() + static_cast<std::ptrdiff_t>(kept), l.steps.end());
  l.steps.resize(kept);
  protocol::partition::core_start s{here.id, here.inc, seen_.founders, true, later};
  here.core = std::make_unique<protocol::partition::core>(scenario_.options, s);
  return true;
}

/// When the process did the same before it crashed, if it did: what came of it then happened behind that.
std::uint64_t world::first_time(unsigned n, const step& s) const {
  const auto& l = seen_.lives[nodes_[n]->life];
  for (const auto& tail : l.lost)
    for (const auto& before : tail) {
      if (before.kind != s.kind) continue;
      if (s.kind == step_kind::enters ? before.view->id == s.view->id : before.message == s.message) return before.at;
    }
  return s.at;
}

}  // namespace cohort::sim::partition
