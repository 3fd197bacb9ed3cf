#include "framework/simulation/partition/world.hpp"

#include "framework/protocol/partition/policy.hpp"

#include <algorithm>
#include <cstring>
#include <set>

namespace cohort::sim::partition {

using namespace protocol;
using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

struct link_end {
  bool up = false;
  std::uint64_t session = 0;
  instant last_arrival{};
};

}  // namespace

struct world::node {
  std::unique_ptr<protocol::partition::core> core;  ///< null: down
  voter_id id;
  incarnation inc = 0;
  std::uint64_t lives = 0;
  std::size_t life = 0;  ///< in `history::lives`
  std::vector<link_end> links;
  instant pass_at = never;
  std::vector<std::uint64_t> state;  ///< of the application: T messages in their order
  std::uint64_t digest = 0;          ///< of `state`

  void grow(std::uint64_t number) {
    state.push_back(number);
    digest = mix(digest, number);
  }
  void begin_anew() {
    state.clear();
    digest = 0;
  }
};

world::world(const scenario& s, std::uint64_t seed) : scenario_(s), chance_(seed * 2 + 1) {
  seen_.merge = s.options.merge;
  seen_.dependencies = needs_dependencies(s.options.orders);
  for (unsigned i = 0; i < s.members; ++i) {
    seen_.founders.push_back(static_cast<member_id>(i));
    nodes_.push_back(std::make_unique<node>());
    nodes_.back()->links.resize(s.members);
  }
  cut_.assign(s.members, std::vector<bool>(s.members, false));
}

world::~world() = default;

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
  ++here.lives;
  here.id = {static_cast<member_id>(n), chance_.next()};
  here.inc = static_cast<incarnation>(now_.count() / 1000 + 1'000'000 + static_cast<std::int64_t>(here.lives));
  here.begin_anew();
  here.life = seen_.lives.size();
  seen_.lives.push_back({{here.id.member, here.inc}, false, {}});
  protocol::partition::core_start s{here.id, here.inc, seen_.founders, here.lives == 1};
  here.core = std::make_unique<protocol::partition::core>(scenario_.options, s);
  for (unsigned other = 0; other < scenario_.members; ++other)
    if (other != n) at(now_ + microseconds(chance_.between(200, 50'000)), [this, n, other] { connect(n, other); });
  plan_pass(n, now_);
  // Some applications look around for a while before they say something: their state stays blank.
  at(now_ + milliseconds(chance_.chance(400) ? chance_.between(0, 3000) : 0), [this, n, life = here.life] {
    if (nodes_[n]->life == life) submit_some(n);
  });
}

void world::crash(unsigned n) {
  auto& here = *nodes_[n];
  if (!here.core) return;
  here.core.reset();
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
  left.core->tick(now_, wall_time(now_.count() / 1000));
  left.core->link_up(right.id, false);
  right.core->tick(now_, wall_time(now_.count() / 1000));
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
      there.core->tick(now_, wall_time(now_.count() / 1000));
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
  here.core->tick(now_, wall_time(now_.count() / 1000));
  here.core->drain();
  auto& out = here.core->out();
  for (const auto& op : out.sends)
    for (std::uint32_t i = 0; i < op.target_count; ++i)
      transmit(n, static_cast<unsigned>(to_index(out.targets[op.first_target + i])), op.what);
  for (const auto& d : out.deliveries) deliver(n, d);
  here.core->drained();
  plan_pass(n, here.core->next_deadline());
}

void world::deliver(unsigned n, const delivery_op& what) {
  auto& here = *nodes_[n];
  if (const auto* b = std::get_if<deliver_batch>(&what)) {
    const auto* bytes = b->what.blob.data();
    auto position = b->position;
    for (const auto size : b->what.sizes) {
      std::uint64_t number = 0;
      std::memcpy(&number, bytes, sizeof number);
      bytes += size;
      if (b->cls == order::total) here.grow(number);
      auto& s = add(n, step_kind::delivers);
      s.message = number;
      s.position = b->cls == order::total ? position++ : 0;
    }
  } else if (const auto* v = std::get_if<deliver_component>(&what)) {
    add(n, step_kind::enters).view = v->what;
    if (now_ < scenario_.faults_until && chance_.chance(80)) cut_at_random();  // while others do not know yet
  } else if (const auto* t = std::get_if<deliver_transition>(&what)) {
    auto& s = add(n, step_kind::transition);
    s.id = t->view;
    s.together = t->together;
  } else if (const auto* o = std::get_if<deliver_offer>(&what)) {
    std::vector<std::byte> bytes(here.state.size() * sizeof(std::uint64_t));
    if (!bytes.empty()) std::memcpy(bytes.data(), here.state.data(), bytes.size());
    at(now_ + microseconds(chance_.between(10, scenario_.offer_delay)),
       [this, n, life = here.life, view = o->view, bytes] {
         if (!nodes_[n]->core || nodes_[n]->life != life) return;
         nodes_[n]->core->tick(now_, wall_time(now_.count() / 1000));
         nodes_[n]->core->offer_ready(view, bytes);
         plan_pass(n, now_);
       });
  } else if (const auto* m = std::get_if<deliver_merge>(&what)) {
    // The application's own way: what one side has and an earlier one has not, in the sides' order.
    const bool all = scenario_.options.merge == merge_policy::application;
    const auto only = all ? 0 : protocol::partition::winner(*m->what, scenario_.options.merge);
    here.begin_anew();
    std::set<std::uint64_t> known;
    for (std::size_t side = all ? 0 : only; side < (all ? m->states.size() : only + 1); ++side)
      for (std::size_t i = 0; i + sizeof(std::uint64_t) <= m->states[side]->size(); i += sizeof(std::uint64_t)) {
        std::uint64_t number = 0;
        std::memcpy(&number, m->states[side]->data() + i, sizeof number);
        if (known.insert(number).second) here.grow(number);
      }
    add(n, step_kind::merges).id = m->what->id;
  }
}

/// The application of a member goes on sending until faults end.
void world::submit_some(unsigned n) {
  auto& here = *nodes_[n];
  at(now_ + microseconds(chance_.between(1, 2 * scenario_.pause_between)), [this, n, life = here.life] {
    auto& sender = *nodes_[n];
    if (!sender.core || sender.life != life || now_ > scenario_.faults_until + milliseconds(500)) return;
    std::vector<order> orders;
    for (std::size_t o = 0; o < order_count; ++o)
      if (scenario_.options.orders.has(static_cast<order>(o))) orders.push_back(static_cast<order>(o));
    const auto how = orders[chance_.below(orders.size())];
    const auto number = ++messages_;
    std::vector<std::byte> bytes(sizeof number + chance_.below(60));
    std::memcpy(bytes.data(), &number, sizeof number);
    const std::span<const std::byte> one(bytes);
    sender.core->tick(now_, wall_time(now_.count() / 1000));
    if (sender.core->submit({&one, 1}, how) == submit_status::taken) {
      seen_.messages[number] = {{sender.id.member, sender.inc}, how};
      add(n, step_kind::submits).message = number;
      plan_pass(n, now_);
    }
    submit_some(n);
  });
}

/// A side loses power: its processes end together and begin together, often out of reach of the others.
void world::restart_many() {
  if (chance_.chance(700)) cut_at_random();
  const auto spared = static_cast<unsigned>(chance_.below(scenario_.members));
  for (unsigned n = 0; n < scenario_.members; ++n) {
    if (cut_[spared][n] || (n != spared && chance_.chance(600))) {
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
  run_until(scenario_.faults_until);
  cut_as(std::vector<unsigned>(scenario_.members, 0));
  for (unsigned n = 0; n < scenario_.members; ++n) start(n);
  run_until(scenario_.faults_until + scenario_.quiet_after);
  seen_.healed = true;
  return seen_;
}

scenario draw(std::uint64_t seed) {
  random chance(seed);
  scenario s;
  s.members = static_cast<unsigned>(chance.between(2, 6));
  const auto kind = chance.below(4);
  if (kind == 0) s.options.orders = order_set{order::total};
  if (kind == 1) s.options.orders = order_set{order::causal, order::safe_causal};
  if (kind >= 2) s.options.orders = order_set::all();
  const merge_policy policies[] = {merge_policy::none, merge_policy::application, merge_policy::application,
                                   merge_policy::largest_component, merge_policy::primary_descended};
  s.options.merge = policies[chance.below(5)];
  s.options.fail_after = milliseconds(chance.between(250, 900));
  s.options.heartbeat = milliseconds(50);
  s.options.batches_in_flight = 1 + chance.below(3);
  s.options.batch_bytes = chance.chance(300) ? 100 : 64 * 1024;
  if (chance.chance(500)) s.loss = static_cast<unsigned>(chance.below(60));
  if (chance.chance(300)) s.duplication = 50;
  s.reorders = chance.chance(200);
  s.delay_most = chance.chance(500) ? 800 : 12'000;
  s.pause_between = chance.between(5'000, 60'000);
  s.offer_delay = chance.chance(300) ? 400'000 : 5'000;
  s.faults_until = milliseconds(chance.between(5000, 12000));
  s.quiet_after = std::chrono::seconds(12);
  return s;
}

}  // namespace cohort::sim::partition
