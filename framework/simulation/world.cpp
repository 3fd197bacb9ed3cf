#include "framework/simulation/world.hpp"

#include "framework/protocol/recovered_state.hpp"
#include "framework/simulation/trace.hpp"

#include <algorithm>
#include <cstdio>

namespace cohort::sim {

using namespace protocol;
using std::chrono::microseconds;
using std::chrono::milliseconds;

world::world(const scenario& s, const workload& app, checkers& watchers, checksum_fn sum)
    : scenario_(s), app_(app), watchers_(watchers), sum_(sum), chance_(s.seed) {
  network_.cut.assign(s.members, std::vector<bool>(s.members, false));
  network_.slow.assign(s.members, std::vector<std::int64_t>(s.members, 0));
  nodes_.resize(s.members);
  for (unsigned i = 0; i < s.members; ++i) {
    auto& n = nodes_[i];
    const auto rate = chance_.between(-s.clock_rate_most, s.clock_rate_most);
    const auto offset = chance_.between(-s.clock_offset_most, s.clock_offset_most);
    n.clock = clock_model(rate, microseconds(i == 1 && s.bad_clock_ahead ? s.bad_clock_ahead : offset));
    n.storage = std::make_unique<disk>(chance_.next() | 1, real_disks(), sum_);
    n.links.resize(s.members);
  }
  if (s.decreed) {
    std::vector<voter_id> founders;
    for (unsigned i = 0; i < s.members; ++i) founders.push_back({static_cast<member_id>(i), nodes_[i].storage->identity()});
    decree_ = founders_view(std::move(founders), witnesses(), s.core);
  }
  for (unsigned a = 0; a < s.members; ++a)
    for (unsigned b = a + 1; b < s.members; ++b) plan_connect(a, b, milliseconds(chance_.between(1, 50)));
}

world::~world() = default;

std::vector<member_id> world::witnesses() const {
  std::vector<member_id> all;
  for (unsigned i = 0; i < members(); ++i)
    if (witness(i)) all.push_back(static_cast<member_id>(i));
  return all;
}

// ---- the queue ------------------------------------------------------------------------------------------------------

void world::push(event e) {
  e.sequence = ++sequence_;
  queue_.push_back(std::move(e));
  std::push_heap(queue_.begin(), queue_.end(), [](const event& l, const event& r) {
    return l.at != r.at ? l.at > r.at : l.sequence > r.sequence;
  });
}

bool world::run_until(instant until) {
  while (broken_.empty() && !queue_.empty() && queue_.front().at <= until) {
    std::pop_heap(queue_.begin(), queue_.end(), [](const event& l, const event& r) {
      return l.at != r.at ? l.at > r.at : l.sequence > r.sequence;
    });
    const event e = queue_.back();
    queue_.pop_back();
    now_ = e.at;
    ++events_;
    try {
      handle(e);
    } catch (const std::exception& problem) {
      fail(problem.what());
    }
    check();
  }
  now_ = std::max(now_, until);
  return broken_.empty();
}

void world::fail(std::string why) {
  if (broken_.empty()) {
    broken_ = std::move(why);
    say("BROKEN " + broken_);
  }
}

void world::check() {
  for (const auto& c : watchers_)
    if (!c->broken().empty()) {
      fail(std::string(c->property()) + ": " + c->broken());
      return;
    }
}

void world::at(instant when, std::function<void()> what) {
  const auto slot = next_call_++;
  calls_[slot] = std::move(what);
  push({.at = std::max(when, now_), .type = event_type::call, .slot = slot});
}

void world::note(std::uint64_t what, std::uint64_t a, std::uint64_t b) {
  hash_ = mix(hash_, static_cast<std::uint64_t>(now_.count()));
  hash_ = mix(hash_, what);
  hash_ = mix(hash_, a);
  hash_ = mix(hash_, b);
}

void world::say(const std::string& text) {
  if (tracing) std::printf("%10.6f %s\n", static_cast<double>(now_.count()) / 1e9, text.c_str());
}

void world::handle(const event& e) {
  switch (e.type) {
    case event_type::message: {
      auto f = std::move(flights_[e.slot]);
      flights_[e.slot] = {};
      free_flights_.push_back(e.slot);
      auto& to = nodes_[e.b];
      // A frame is read from a live connection only: those of an earlier one died with it.
      if (!to.alive || !to.links[e.a].up || to.links[e.a].session != e.x) return;
      if (auto* beat = std::get_if<pulse>(&f.what)) {
        note(52, e.a, e.b);
        to.alive->take(in_pulse{f.from.member, std::move(*beat)});
      } else {
        auto& what = std::get<message>(f.what);
        if (tracing) say(std::to_string(e.a) + " -> " + std::to_string(e.b) + " " + describe(what));
        hash_ = hash_message(mix(hash_, static_cast<std::uint64_t>(now_.count())), what);
        to.alive->take(in_message{f.from, std::move(what)});
      }
      plan_pass(e.b, now_ + microseconds(chance_.below(60)));
      return;
    }
    case event_type::pass:
      if (nodes_[e.a].alive && nodes_[e.a].pass_at == e.at && nodes_[e.a].alive->who().number == e.x) run_pass(e.a);
      return;
    case event_type::wake:
      if (nodes_[e.a].alive && nodes_[e.a].wake_at == e.at && nodes_[e.a].alive->who().number == e.x) {
        nodes_[e.a].wake_at = never;
        plan_pass(e.a, now_);
      }
      return;
    case event_type::input: {
      auto what = std::move(inputs_[e.slot]);
      inputs_.erase(e.slot);
      if (!nodes_[e.a].alive || nodes_[e.a].alive->who().number != e.x) return;
      nodes_[e.a].alive->take(std::move(what));
      plan_pass(e.a, now_);
      return;
    }
    case event_type::sync_done: {
      auto& n = nodes_[e.a];
      if (!n.alive || n.alive->who().number != e.x) return;
      n.disk_busy = false;
      const auto position = n.storage->sync(e.y);
      n.alive->take(in_persisted{position});
      for (const auto& [index, chunks] : n.storage->take_stored_checkpoints())
        n.alive->take(in_checkpoint_stored{index, chunks});
      plan_pass(e.a, now_);
      plan_sync(e.a);
      return;
    }
    case event_type::connect:
      connect(e.a, e.b);
      return;
    case event_type::link_lost: {
      auto& end = nodes_[e.a].links[e.b];
      if (end.up && end.session == e.x) drop_end(e.a, e.b, e.flag);
      return;
    }
    case event_type::call: {
      auto what = std::move(calls_[e.slot]);
      calls_.erase(e.slot);
      what();
      return;
    }
  }
}

void world::give(unsigned node, std::uint64_t life_number, input what, duration after) {
  const auto slot = next_input_++;
  inputs_[slot] = std::move(what);
  push({.at = now_ + after, .type = event_type::input, .a = static_cast<std::uint16_t>(node), .x = life_number, .slot = slot});
}

// ---- processes ------------------------------------------------------------------------------------------------------

void world::plan_pass(unsigned node, instant when) {
  auto& n = nodes_[node];
  when = std::max(when, n.paused_until);
  if (n.pass_at <= when) return;
  n.pass_at = when;
  push({.at = when, .type = event_type::pass, .a = static_cast<std::uint16_t>(node), .x = n.alive->who().number});
}

void world::plan_wake(unsigned node) {
  auto& n = nodes_[node];
  const auto deadline = n.alive->next_deadline();
  if (deadline == never) return;
  const auto when = std::max(n.clock.truth_at(deadline), now_ + microseconds(1));
  if (n.wake_at <= when) return;
  n.wake_at = when;
  push({.at = when, .type = event_type::wake, .a = static_cast<std::uint16_t>(node), .x = n.alive->who().number});
}

void world::run_pass(unsigned node) {
  auto& n = nodes_[node];
  if (n.paused_until > now_) {
    n.pass_at = never;
    plan_pass(node, n.paused_until);
    return;
  }
  n.pass_at = never;
  const auto number = n.alive->who().number;
  for (const auto& c : watchers_) c->time(now_);
  n.alive->pass(n.clock.mono(now_), n.clock.wall(now_));
  if (!n.alive || n.alive->who().number != number) return;
  plan_wake(node);
}

const core* world::core_of(unsigned node) const { return nodes_[node].alive ? &nodes_[node].alive->inside() : nullptr; }

int world::leader() const {
  int found = -1;
  term_number term = 0;
  for (unsigned i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i].alive) continue;
    const auto& c = inspector::of(nodes_[i].alive->inside());
    if (c.role == core_role::leader && c.promises.term >= term) {
      found = static_cast<int>(i);
      term = c.promises.term;
    }
  }
  return found;
}

void world::start(unsigned node) {
  auto& n = nodes_[node];
  if (n.alive) return;
  disk::found found;
  if (real_disks()) found = n.storage->recover(witness(node));
  if (!found.damage.empty()) {
    fail("recovery of member " + std::to_string(node) + ": " + found.damage);
    return;
  }
  life l;
  l.node = node;
  l.number = ++lives_;
  l.durable = scenario_.core.durable;
  std::uint64_t identity = n.storage->identity();
  // Volatile: the identity is drawn at every boot (PA1).
  if (scenario_.switches_durability) {
    if (found.retired) n.storage->mark_group_seen();
    if (found.state) identity = found.state->promises.identity;
    else if (n.storage->saw_group() || !scenario_.core.durable) identity = chance_.next() | 1;
  } else if (!scenario_.core.durable && (n.lives > 0 || !decree_)) {
    const bool seen = n.storage->saw_group();
    n.storage = std::make_unique<disk>(chance_.next() | 1, false, sum_);
    if (seen) n.storage->mark_group_seen();
  }
  if (!scenario_.switches_durability) identity = n.storage->identity();
  l.id = {static_cast<member_id>(node), identity};
  l.storage = n.storage.get();
  if (decree_ && !(found.state && found.state->founded) && find(*decree_, l.id)) found.state = founded_by_decree(decree_);
  core_start begin;
  begin.self = l.id;
  begin.seed = chance_.next() ^ (mutated(mutation::sham_other_draws) ? 0x5eed : 0);
  for (unsigned i = 0; i < nodes_.size(); ++i) begin.founders.push_back(static_cast<member_id>(i));
  begin.witnesses = witnesses();
  begin.ever_founded = n.storage->saw_group();
  begin.blank = !begin.ever_founded;
  begin.state = found.state;
  begin.last_position = found.last;
  begin.checksum = sum_;
  if (found.state && found.state->founded) begin.blank = false, begin.ever_founded = true;
  if (decree_) begin.blank = false;
  ++n.lives;
  n.pass_at = n.wake_at = never;
  n.paused_until = {};
  n.disk_busy = false;
  n.alive = std::make_unique<driver>(*this, app_, l, *n.storage, scenario_.core, begin, found, scenario_.chunk_bytes, scenario_.quiet);
  note(1, node, l.number);
  say("start " + std::to_string(node));
  for (const auto& c : watchers_) c->started(l, found);
  plan_pass(node, now_);
  for (unsigned other = 0; other < nodes_.size(); ++other)
    if (other != node) plan_connect(std::min(node, other), std::max(node, other), milliseconds(chance_.between(1, 30)));
}

void world::crash(unsigned node, bool evidence) {
  auto& n = nodes_[node];
  if (!n.alive) return;
  note(2, node, evidence);
  say("crash " + std::to_string(node));
  const auto gone = n.alive->who();
  for (const auto& c : watchers_) c->stopped(gone);
  if (scenario_.switches_durability && inspector::of(n.alive->inside()).has_state && !inspector::of(n.alive->inside()).secured())
    n.storage->mark_group_seen();
  n.alive.reset();
  if (real_disks()) n.storage->crash(chance_);
  n.disk_busy = false;
  for (unsigned other = 0; other < nodes_.size(); ++other) {
    if (other == node) continue;
    n.links[other].up = false;
    const auto& end = nodes_[other].links[node];
    if (!end.up) continue;
    const auto after = evidence ? microseconds(chance_.between(20, 3000)) : microseconds(chance_.between(500'000, 4'000'000));
    push({.at = now_ + after, .type = event_type::link_lost, .a = static_cast<std::uint16_t>(other),
          .b = static_cast<std::uint16_t>(node), .x = end.session, .flag = evidence});
  }
}

void world::wipe(unsigned node) {
  auto& n = nodes_[node];
  if (n.alive) crash(node, true);
  note(3, node, 0);
  say("wipe " + std::to_string(node));
  for (const auto& c : watchers_) c->disk_lost(node);
  n.storage = std::make_unique<disk>(chance_.next() | 1, real_disks(), sum_);
}

void world::pause(unsigned node, duration d) {
  auto& n = nodes_[node];
  if (!n.alive) return;
  note(4, node, static_cast<std::uint64_t>(d.count()));
  say("pause " + std::to_string(node) + " for " + std::to_string(d.count() / 1'000'000) + " ms");
  n.paused_until = std::max(n.paused_until, now_ + d);
}

bool world::blank(unsigned node) const {
  const auto& n = nodes_[node];
  return !n.storage->saw_group() && !inspector::of(n.alive->inside()).has_state;
}

/// Counts the voters that would be left in every view that may still govern somebody.
bool world::expendable(unsigned node) const {
  if (nodes_.size() < 3) return false;
  std::set<voter_id> living;
  for (unsigned i = 0; i < nodes_.size(); ++i)
    if (i != node && (scenario_.core.durable || nodes_[i].alive))
      living.insert(nodes_[i].alive ? nodes_[i].alive->who().id : voter_id{static_cast<member_id>(i), nodes_[i].storage->identity()});
  bool any = false;
  for (const auto& n : nodes_) {
    if (!n.alive) continue;
    const auto& c = inspector::of(n.alive->inside());
    if (!c.has_state) continue;
    any = true;
    for (const auto& v : c.log.views()) {
      std::size_t left = 0;
      for (const auto& r : v.what->roster) left += r.voter && living.contains(r.id) ? 1 : 0;
      // Views the group has left behind everywhere bind nobody; those from each member's own commit on do.
      const bool governs = v.what->number >= c.log.view_at(std::max(c.commit, c.log.base().index))->number;
      if (governs && left < std::max<std::size_t>(quorum_size(*v.what), v.what->options.min_copies)) return false;
    }
  }
  // Disks of members that are down may know of more; they had their quorum before they went.
  for (const auto& n : nodes_)
    if (!n.alive && real_disks()) return false;
  return any;
}

/// It is what the protocol promises that is relied on, not what the disks hold.
bool world::all_on_disk() const {
  if (!scenario_.switches_durability) return scenario_.core.durable;
  view_ptr newest;
  for (const auto& n : nodes_) {
    if (!n.alive || !inspector::of(n.alive->inside()).has_state) continue;
    const auto& installed = inspector::of(n.alive->inside()).in_force;
    if (!newest || installed->number > newest->number) newest = installed;
  }
  if (!newest || !newest->options.durable) return false;
  for (const auto& n : nodes_) {
    if (!n.alive || !inspector::of(n.alive->inside()).has_state) continue;
    for (const auto& v : inspector::of(n.alive->inside()).log.views())
      if (v.what->number > newest->number && !v.what->options.durable) return false;
  }
  return true;
}

bool world::founded_beside(unsigned node) const {
  for (unsigned i = 0; i < nodes_.size(); ++i)
    if (i != node && nodes_[i].alive && inspector::of(nodes_[i].alive->inside()).has_state) return true;
  return false;
}

// ---- disks ----------------------------------------------------------------------------------------------------------

void world::disk_has_work(const life& l) {
  if (!real_disks()) {
    for (const auto& [index, chunks] : nodes_[l.node].storage->take_stored_checkpoints())
      give(l.node, l.number, in_checkpoint_stored{index, chunks}, microseconds(chance_.between(10, 5000)));
    return;
  }
  plan_sync(l.node);
}

void world::plan_sync(unsigned node) {
  auto& n = nodes_[node];
  if (n.disk_busy || n.storage->unsynced() == 0) return;
  n.disk_busy = true;
  // Bounded, or a flush begun on a slow disk outlasts the healing by many seconds.
  const auto drawn = chance_.between(scenario_.sync_least, scenario_.sync_most) * n.disk_slowness;
  const auto latency = microseconds(std::min<std::int64_t>(drawn, 400'000));
  push({.at = now_ + latency, .type = event_type::sync_done, .a = static_cast<std::uint16_t>(node),
        .x = n.alive->who().number, .y = n.storage->unsynced()});
}

void world::chunk_wanted(const life& l, member_id to, log_index index, std::uint32_t number) {
  give(l.node, l.number, in_chunk{to, index, number}, microseconds(chance_.between(10, 2000)));
}

void world::happened(const life& l, const protocol::event& e) {
  note(5 + static_cast<std::uint64_t>(e.kind), l.node, e.number);
  static constexpr const char* names[] = {"founded", "leader_changed", "elected", "stepped_down", "election_started", "primary", "wedged",
    "window_open", "excluded", "chunk_wanted", "transfer_started", "transfer_finished", "clock_ahead", "member_silent", "unfounded_restart", "change_done", "change_refused", "left", "barred", "handing_over",
    "stalled", "member_suspected", "member_stuck"};
  if (tracing)
    say("* " + std::to_string(l.node) + " " + names[static_cast<std::size_t>(e.kind)] + " member=" + std::to_string(to_index(e.member)) +
        " number=" + std::to_string(e.number) + (e.flag ? " on" : "") + " index=" + std::to_string(e.index) +
        (e.why == absence::none ? "" : " why=" + std::to_string(static_cast<unsigned>(e.why))));
  // Journaled groups: the founding is a record like others, the directory knows of it when that is on disk.
  if (e.kind == event_kind::founded && !scenario_.core.durable) nodes_[l.node].storage->mark_group_seen();
  if (e.kind == event_kind::elected && on_elected) on_elected(l.node);
  if (e.kind == event_kind::left && on_left) on_left(l.node);
}

// ---- clients --------------------------------------------------------------------------------------------------------

std::uint64_t world::call(unsigned client, unsigned node, operation::kind what, unsigned key) {
  operation o;
  o.client = client;
  o.node = node;
  o.key = key;
  o.what = what;
  in_operation i;
  switch (what) {
    case operation::kind::write:
      o.value = ++values_;
      i.bytes = app_.write(key, o.value);
      break;
    case operation::kind::swap:
      o.value = ++values_;
      i.bytes = app_.swap(key, o.value);
      break;
    case operation::kind::other:
      i.bytes = app_.other(chance_);
      break;
    case operation::kind::read:
      i.read = true;
      break;
    case operation::kind::request: break;
  }
  if (what == operation::kind::write || what == operation::kind::swap) {
    const auto bytes = one_message(i.bytes);
    o.message_hash = hash_payload(bytes);
  }
  return begin(o, std::move(i));
}

std::uint64_t world::submit(unsigned client, unsigned node, std::vector<std::byte> request) {
  operation o;
  o.client = client;
  o.node = node;
  o.what = operation::kind::request;
  in_operation i;
  i.bytes = std::move(request);
  return begin(o, std::move(i));
}

std::uint64_t world::begin(operation o, in_operation i) {
  const auto node = o.node;
  o.called = now_;
  i.number = o.number = operations_.size() + 1;
  operations_.push_back(o);
  for (const auto& c : watchers_) c->called(operations_.back());
  const auto& n = nodes_[node];
  if (!n.alive) {
    returned(operations_.back(), operation::outcome::refused);
    return o.number;
  }
  if (!i.read && scenario_.deadline_share > 0 && chance_.chance(scenario_.deadline_share))
    i.deadline = n.clock.wall(now_) + microseconds(chance_.between(100, scenario_.deadline_most));
  give(node, n.alive->who().number, std::move(i), microseconds(chance_.between(5, 100)));
  return o.number;
}

void world::multicast(unsigned node, order how, std::size_t bytes) {
  if (!nodes_[node].alive) return;
  in_multicast m{how, std::vector<std::byte>(bytes)};
  const std::uint64_t number = ++values_;
  for (std::size_t i = 0; i < 8; ++i) m.bytes[i] = static_cast<std::byte>(number >> (8 * i) & 0xff);
  m.bytes[8] = static_cast<std::byte>(0x80 + static_cast<unsigned>(how));  // no operation begins like this
  give(node, nodes_[node].alive->who().number, std::move(m), microseconds(chance_.between(1, 50)));
}

void world::returned(operation& o, operation::outcome result) {
  if (o.result != operation::outcome::open) return;
  o.result = result;
  o.returned = now_;
  note(40, o.number, static_cast<std::uint64_t>(result));
  for (const auto& c : watchers_) c->returned(o);
  if (on_returned) on_returned(o);
}

}  // namespace cohort::sim
