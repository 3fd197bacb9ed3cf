// Time, links, crashes and what goes wrong in the simulated network of a partitionable group.
#include "framework/simulation/partition/node.hpp"

#include <algorithm>

namespace cohort::sim::partition {

using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

std::uint64_t checksum(std::span<const std::byte> bytes, std::uint64_t seed) {
  for (const auto b : bytes) seed = mix(seed, std::to_integer<std::uint64_t>(b));
  return seed;
}

}  // namespace

world::world(const scenario& s, std::uint64_t seed) : scenario_(s), chance_(seed * 2 + 1) {
  seen_.merge = s.options.merge;
  seen_.rules = s.options;
  seen_.durable = s.options.durable;
  seen_.dependencies = needs_dependencies(s.options.orders);
  const auto window = s.changes ? std::max<std::size_t>(s.options.lane_window, largest_window) : s.options.lane_window;
  const auto lane = 2 * window + s.options.batch_bytes + 2 * s.options.part_bytes;
  seen_.payload_bound = 2 * s.members * lane;
  seen_.parts_bound = std::max<std::size_t>(window / 8, 2 * s.options.part_bytes);
  for (unsigned i = 0; i < s.members; ++i) {
    seen_.founders.push_back(static_cast<member_id>(i));
    nodes_.push_back(std::make_unique<node>());
    nodes_.back()->links.resize(s.members);
    nodes_.back()->skew = chance_.between(0, s.skew_most);
    if (s.options.durable) nodes_.back()->journal = std::make_unique<disk>(chance_.next(), true, &checksum);
  }
  cut_.assign(s.members, std::vector<bool>(s.members, false));
}

world::~world() = default;

wall_time world::wall(unsigned n) const { return wall_time(now_.count() / 1000 + nodes_[n]->skew); }

void world::at(instant when, std::function<void()> what) {
  queue_.push_back({when, ++sequence_, std::move(what)});
  std::ranges::push_heap(
      queue_, [](const event& a, const event& b) { return std::pair(a.at, a.sequence) > std::pair(b.at, b.sequence); });
}

void world::run_until(instant until) {
  const auto later = [](const event& a, const event& b) {
    return std::pair(a.at, a.sequence) > std::pair(b.at, b.sequence);
  };
  while (!queue_.empty() && queue_.front().at <= until) {
    std::ranges::pop_heap(queue_, later);
    auto next = std::move(queue_.back());
    queue_.pop_back();
    now_ = std::max(now_, next.at);
    next.what();
  }
  now_ = until;
}

step& world::add(unsigned n, step_kind kind) {
  auto& l = seen_.lives[nodes_[n]->life];
  l.steps.push_back({});
  auto& s = l.steps.back();
  s.kind = kind;
  s.at = ++steps_;
  s.state = nodes_[n]->digest;
  hash_ = mix(mix(hash_, static_cast<std::uint64_t>(kind)), s.state);
  return s;
}

void world::start(unsigned n) {
  auto& here = *nodes_[n];
  if (here.core) return;
  here.begin_anew();
  here.parts = assembler(std::size_t{1} << 20);
  here.large.reset();
  here.submitted.clear();
  here.asked.clear();
  if (!resume(n)) {
    ++here.lives;
    here.id = {static_cast<member_id>(n), here.journal ? here.journal->identity() : chance_.next()};
    here.inc = static_cast<incarnation>(now_.count() / 1000 + 1'000'000 + static_cast<std::int64_t>(here.lives));
    here.life = seen_.lives.size();
    seen_.lives.push_back({{here.id.member, here.inc}, false, {}, {}, 0});
    protocol::partition::core_start s{here.id, here.inc, seen_.founders, here.lives == 1, nullptr};
    here.core = std::make_unique<protocol::partition::core>(scenario_.options, s);
  }
  ++here.starts;
  for (unsigned other = 0; other < scenario_.members; ++other)
    if (other != n) at(now_ + microseconds(chance_.between(200, 50'000)), [this, n, other] { connect(n, other); });
  plan_pass(n, now_);
  // Some applications look around for a while before they say something: their state stays blank.
  at(now_ + milliseconds(chance_.chance(400) ? chance_.between(0, 3000) : 0), [this, n, start = here.starts] {
    if (nodes_[n]->starts == start) submit_some(n);
  });
}

void world::crash(unsigned n) {
  auto& here = *nodes_[n];
  if (!here.core) return;
  here.core.reset();
  if (here.journal) here.journal->crash(chance_);
  seen_.lives[here.life].ended = true;
  for (unsigned other = 0; other < scenario_.members; ++other) {
    here.links[other].up = false;
    if (!nodes_[other]->links[n].up) continue;
    const bool reset = chance_.chance(600);
    const auto session = nodes_[other]->links[n].session;
    at(now_ + microseconds(chance_.between(50, 20'000)), [this, n, other, reset, session] {
      if (nodes_[other]->links[n].session == session) lose_link(other, n, reset);
    });
  }
}

void world::connect(unsigned a, unsigned b) {
  auto& left = *nodes_[a];
  auto& right = *nodes_[b];
  if (!left.core || !right.core ||
      (left.links[b].up && right.links[a].up && left.links[b].session == right.links[a].session))
    return;
  if (cut_[a][b] || cut_[b][a]) {
    at(now_ + milliseconds(chance_.between(20, 200)), [this, a, b] { connect(a, b); });
    return;
  }
  if (left.links[b].up) lose_link(a, b, false);
  if (right.links[a].up) lose_link(b, a, false);
  const auto session = ++sessions_;
  left.links[b] = {true, session, now_};
  right.links[a] = {true, session, now_};
  left.core->tick(now_, wall(a));
  left.core->link_up(right.id, false);
  right.core->tick(now_, wall(b));
  right.core->link_up(left.id, false);
  plan_pass(a, now_);
  plan_pass(b, now_);
}

void world::lose_link(unsigned from, unsigned to, bool reset) {
  auto& here = *nodes_[from];
  if (!here.links[to].up) return;
  here.links[to].up = false;
  if (!here.core) return;
  here.core->link_down(static_cast<member_id>(to), reset);
  plan_pass(from, now_);
  at(now_ + milliseconds(chance_.between(5, 150)), [this, from, to] { connect(from, to); });
}

/// Members of different components hear nothing of each other; some of the links break at once, others keep silent.
void world::cut_as(const std::vector<unsigned>& component_of) {
  for (unsigned a = 0; a < scenario_.members; ++a)
    for (unsigned b = 0; b < scenario_.members; ++b) {
      cut_[a][b] = component_of[a] != component_of[b];
      if (cut_[a][b] && nodes_[a]->links[b].up && chance_.chance(300)) {
        const bool reset = chance_.chance(500);
        const auto session = nodes_[a]->links[b].session;
        at(now_ + milliseconds(chance_.between(1, 500)), [this, a, b, reset, session] {
          if (nodes_[a]->links[b].session == session) lose_link(a, b, reset);
        });
      }
    }
}

void world::cut_at_random() {
  const auto components = 1 + chance_.below(3);
  std::vector<unsigned> of(scenario_.members);
  for (auto& c : of) c = static_cast<unsigned>(chance_.below(components));
  cut_as(of);
}

void world::transmit(unsigned from, unsigned to, const message& what) {
  aim(from, what);
  auto& end = nodes_[from]->links[to];
  if (!end.up || cut_[from][to] || chance_.chance(scenario_.loss)) return;
  const unsigned copies = chance_.chance(scenario_.duplication) ? 2 : 1;
  for (unsigned i = 0; i < copies; ++i) {
    auto arrival = now_ + microseconds(chance_.between(scenario_.delay_least, scenario_.delay_most));
    if (!scenario_.reorders) arrival = std::max(arrival, end.last_arrival + duration(1));
    end.last_arrival = std::max(end.last_arrival, arrival);
    at(arrival, [this, from, to, session = end.session, sender = nodes_[from]->id, copy = message(what)]() mutable {
      auto& there = *nodes_[to];
      if (!there.core || !there.links[from].up || there.links[from].session != session || cut_[from][to]) return;
      there.core->tick(now_, wall(to));
      there.core->receive(sender, std::move(copy));
      plan_pass(to, now_);
    });
  }
}

void world::plan_pass(unsigned n, instant when) {
  auto& here = *nodes_[n];
  if (when >= here.pass_at) return;
  here.pass_at = when;
  at(when, [this, n, when] {
    if (nodes_[n]->pass_at == when) pass(n);
  });
}

void world::pass(unsigned n) {
  auto& here = *nodes_[n];
  here.pass_at = never;
  if (!here.core) return;
  here.core->tick(now_, wall(n));
  here.core->drain();
  auto& out = here.core->out();
  for (const auto& op : out.persists) here.journal->append(op);
  for (const auto& op : out.sends)
    for (std::uint32_t i = 0; i < op.target_count; ++i) {
      const auto to = static_cast<unsigned>(to_index(out.targets[op.first_target + i]));
      if (here.journal && op.needs > here.journal->synced_to())
        here.held.push_back({op.needs, to, op.what});
      else
        transmit(n, to, op.what);
    }
  for (const auto& d : out.deliveries) deliver(n, d);
  const bool opened = std::ranges::any_of(out.events, [](const auto& e) { return e.kind == event_kind::window_open; });
  for (const auto& e : out.events) told_of_change(n, e);
  here.core->drained();
  const auto status = here.core->status();
  seen_.payload_most = std::max(seen_.payload_most, status.payload_bytes);
  seen_.parts_most = std::max(seen_.parts_most, status.part_bytes);
  if (opened) give_parts(n);
  write(n);
  plan_pass(n, here.core->next_deadline());
}

/// A side loses power: its processes end together and begin together, often out of reach of the others.
void world::restart_many() {
  const bool all = chance_.chance(300);
  if (chance_.chance(700)) cut_at_random();
  const auto spared = static_cast<unsigned>(chance_.below(scenario_.members));
  for (unsigned n = 0; n < scenario_.members; ++n) {
    if (all || cut_[spared][n] || (n != spared && chance_.chance(600))) {
      crash(n);
      at(now_ + milliseconds(chance_.between(100, 400)), [this, n] { start(n); });
    }
  }
}

void world::next_fault() {
  at(now_ + milliseconds(chance_.between(50, 1500)), [this] {
    if (now_ >= scenario_.faults_until) return;
    const auto n = static_cast<unsigned>(chance_.below(scenario_.members));
    const auto other = static_cast<unsigned>(chance_.below(scenario_.members));
    switch (chance_.below(9)) {
      case 0:
      case 1:
      case 2:
        cut_at_random();
        break;
      case 3:
        cut_as(std::vector<unsigned>(scenario_.members, 0));
        break;
      case 4:
        if (n != other) cut_[n][other] = true;  // one way only
        break;
      case 5:
        crash(n);
        break;
      case 6:
        restart_many();
        break;
      default:
        start(n);
        break;
    }
    next_fault();
  });
}

const history& world::run() {
  for (unsigned n = 0; n < scenario_.members; ++n) at(milliseconds(chance_.between(0, 300)), [this, n] { start(n); });
  next_fault();
  if (scenario_.changes) change_rules();
  run_until(scenario_.faults_until);
  cut_as(std::vector<unsigned>(scenario_.members, 0));
  for (unsigned n = 0; n < scenario_.members; ++n) start(n);
  run_until(scenario_.faults_until + scenario_.quiet_after);
  seen_.healed = true;
  return seen_;
}

}  // namespace cohort::sim::partition
