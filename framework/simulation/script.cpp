#include "framework/simulation/script.hpp"

#include "framework/simulation/check/linearizable.hpp"
#include "framework/simulation/trace.hpp"

#include <algorithm>
#include <cstdio>

namespace cohort::sim {

using namespace protocol;
using namespace std::chrono_literals;
using std::chrono::microseconds;
using std::chrono::milliseconds;

script::script(world& w, std::uint64_t seed, session_clients* sessions)
    : world_(w), sessions_(sessions), plan_(w.plan()), chance_(seed ^ 0x5ca1ab1e0ddba11ull), waiting_for_(plan_.clients, 0),
      cuts_(plan_.members, std::vector<unsigned>(plan_.members, 0)) {}

duration script::span() { return microseconds(chance_.between(50'000, plan_.down_most)); }
unsigned script::any() { return static_cast<unsigned>(chance_.below(world_.members())); }
unsigned script::leader_or_any() {
  const int l = world_.leader();
  const bool aim = chance_.chance(650);
  const auto other = any();
  return l >= 0 && aim ? static_cast<unsigned>(l) : other;
}

void script::run() {
  for (unsigned i = 0; i < world_.members(); ++i) {
    const auto when = milliseconds(chance_.between(0, 200));
    world_.at(when, [this, i] { world_.start(i); });
  }
  world_.on_returned = [this](const operation& o) {
    if (sessions_ && sessions_->owns(o)) return sessions_->returned(o);
    if (waiting_for_[o.client] != o.number) return;
    waiting_for_[o.client] = 0;
    const auto think = microseconds(o.result == operation::outcome::done ? chance_.between(100, plan_.think_most)
                                                                         : chance_.between(20'000, 150'000));
    world_.at(world_.now() + think, [this, c = o.client] { next_operation(c); });
  };
  world_.on_elected = [this](unsigned node) {
    if (!faults_on_ || world_.now() > hunt_until_) return;
    const auto after = microseconds(chance_.between(0, 60'000));
    world_.at(world_.now() + after, [this, node] {
      if (!faults_on_ || !world_.up(node)) return;
      switch (chance_.below(3)) {
        case 0: kill(node, plan_.quick_crash_evidence, span()); break;
        case 1: world_.pause(node, span()); break;
        default:
          for (unsigned other = 0; other < world_.members(); ++other)
            if (other != node) {
              const auto how_long = span();
              cut(node, other, how_long);
              cut(other, node, how_long);
            }
      }
    });
  };
  world_.on_left = [this](unsigned node) {
    world_.at(world_.now(), [this, node] {
      world_.crash(node, true);
      const auto away = milliseconds(chance_.between(10, 1500));
      world_.at(world_.now() + away, [this, node] { world_.start(node); });
    });
  };
  world_.on_vote = [this](unsigned node, const message& what) {
    const auto& v = std::get<vote>(what);
    if (voter_kills_ == 0 || v.phase != vote_phase::real || v.request || !v.granted) return;
    --voter_kills_;
    const auto after = microseconds(chance_.between(0, 300));
    const auto away = milliseconds(chance_.between(1, 40));
    world_.at(world_.now() + after, [this, node, away] { kill(node, true, away); });
  };
  for (unsigned c = 0; c < plan_.clients; ++c) {
    const auto begin = milliseconds(chance_.between(300, 900));
    world_.at(begin, [this, c] { next_operation(c); });
  }
  if (sessions_) sessions_->begin();
  for (unsigned i = 0; plan_.talk_most > 0 && i < world_.members(); ++i) {
    const auto begin = milliseconds(chance_.between(300, 900));
    world_.at(begin, [this, i] { next_multicast(i); });
  }
  const bool at_once = chance_.chance(120);
  const auto first = at_once || plan_.decreed ? milliseconds(50) : milliseconds(1200);
  if (plan_.lasting == bad_links::none)
    world_.at(first, [this] { strike(); });
  else
    world_.at(first + 2s, [this] { spoil_links(); });
  if (!world_.run_until(first + plan_.faults_last)) return;
  heal();
  if (!world_.run_until(world_.now() + 500ms)) return;
  clients_work_ = false;
  if (sessions_) {
    sessions_->finish();
    for (const auto end = world_.now() + 30s; !sessions_->idle();) {
      if (!world_.run_until(world_.now() + 100ms)) return;
      if (world_.now() > end) return world_.fail("F2 exactly once: a healed group does not answer a session's request");
    }
  }
  if (!settle(40s)) return;
  if (!plan_.restart_all_at_end || !world_.all_on_disk()) return;
  for (unsigned i = 0; i < world_.members(); ++i) world_.crash(i, true);
  for (unsigned i = 0; i < world_.members(); ++i) {
    const auto when = milliseconds(chance_.between(1, 300));
    world_.at(world_.now() + when, [this, i] { world_.start(i); });
  }
  if (!world_.run_until(world_.now() + 400ms)) return;
  settle(40s);
}

// ---- clients --------------------------------------------------------------------------------------------------------

void script::next_operation(unsigned client) {
  if (!clients_work_ || waiting_for_[client] != 0) return;
  // Of every four seconds the group has nothing to do for two and a half.
  if (plan_.idle_phases && faults_on_ && world_.now() % 4s > 1500ms) {
    world_.at(world_.now() - world_.now() % 4s + 4s + milliseconds(chance_.below(30)), [this, client] { next_operation(client); });
    return;
  }
  const bool stray = chance_.chance(200);
  const auto stray_node = any();
  const unsigned node = stray ? stray_node : client % world_.members();
  const auto draw = chance_.below(1000);
  auto what = operation::kind::write;
  if (draw < plan_.read_share)
    what = operation::kind::read;
  else if (draw < plan_.read_share + plan_.swap_share)
    what = operation::kind::swap;
  else if (draw < plan_.read_share + plan_.swap_share + plan_.other_share)
    what = operation::kind::other;
  const auto key = static_cast<unsigned>(chance_.below(plan_.keys));
  waiting_for_[client] = world_.operations().size() + 1;  // `call` may answer at once
  const auto number = world_.call(client, node, what, key);
  world_.at(world_.now() + 2s, [this, client, number] {
    if (waiting_for_[client] != number) return;
    waiting_for_[client] = 0;  // its outcome is unknown for ever
    next_operation(client);
  });
}

/// Rules that differ from those in force in a few points.
view_options script::other_rules() {
  view_options o = plan_.core;
  if (const int leader = world_.leader(); leader >= 0)
    if (const auto& in = inspector::of(*world_.core_of(static_cast<unsigned>(leader))); in.in_force) o = in.in_force->options;
  if (chance_.chance(400)) {
    o.orders = order_set::from_bits(static_cast<std::uint8_t>(1 + chance_.below(63)));
    o.orders.add(order::total);
    o.default_order = order::total;
  }
  if (plan_.switches_durability && chance_.chance(600)) o.durable = !o.durable;
  if (chance_.chance(300)) o.reads = o.reads == read_mode::lease ? read_mode::read_index : read_mode::lease;
  if (chance_.chance(300)) o.lane_window = static_cast<std::uint64_t>(chance_.between(4'096, 1'000'000));
  if (chance_.chance(300)) {
    o.election_min = milliseconds(chance_.between(200, 450));
    o.fail_after = std::max<duration>(o.fail_after, 2 * o.election_min);
  }
  if (chance_.chance(200)) {
    o.heartbeat = milliseconds(chance_.between(20, 50));
    o.suspect_at = static_cast<std::uint32_t>(chance_.between(900, 15'000));  // below 1000 is refused
  }
  if (chance_.chance(300)) {
    o.clock_margin = milliseconds(chance_.between(10, 80));
    o.lease = chance_.chance(500) ? duration(0) : milliseconds(chance_.between(20, 300));  // some fit into no E_min: refused
  }
  if (chance_.chance(300)) o.message_bytes_max = static_cast<std::uint64_t>(chance_.between(100, 6000));
  if (chance_.chance(200)) o.minority_multicast = !o.minority_multicast;
  if (chance_.chance(200)) o.slow = static_cast<slow_policy>(chance_.below(3));
  if (chance_.chance(200)) o.retain_bytes = chance_.below(200'000);
  if (chance_.chance(100)) o.min_copies = static_cast<std::uint16_t>(chance_.below(3));  // 0 is nonsense: refused
  return o;
}

/// Whoever is still barred when the faults are over is restored, however often that takes.
void script::restore_removed() {
  const int leader = world_.leader();
  if (leader < 0) return;
  const auto& in = inspector::of(*world_.core_of(static_cast<unsigned>(leader)));
  if (!in.in_force || !in.asked_changes.empty()) return;
  for (const auto m : in.in_force->barred)
    world_.request(static_cast<unsigned>(leader), change_kind::restore, static_cast<unsigned>(to_index(m)), {});
  // Nor may rules stay that wait for the slow for ever, or want more copies than a quorum makes.
  if (in.in_force->options.slow != slow_policy::exclude) {
    auto o = in.in_force->options;
    o.slow = slow_policy::exclude;
    world_.request(static_cast<unsigned>(leader), change_kind::options, 0, o);
  }
}

/// Every member talks in all orders the group takes, T apart: that is what clients do.
void script::next_multicast(unsigned node) {
  if (!clients_work_) return;
  for (std::uint64_t burst = 1 + chance_.below(4); burst > 0; --burst) {
    const auto how = static_cast<order>(chance_.below(order_count));
    const auto bytes = 16 + chance_.below(chance_.chance(30) ? 4000 : 100);
    if (how != order::total && plan_.core.orders.has(how)) world_.multicast(node, how, bytes);
  }
  world_.at(world_.now() + microseconds(chance_.between(100, plan_.talk_most)), [this, node] { next_multicast(node); });
}

// ---- faults ---------------------------------------------------------------------------------------------------------

void script::strike() {
  if (!faults_on_) return;
  unsigned total = 0;
  for (const auto& [f, weight] : plan_.weights) total += weight;
  auto draw = chance_.below(total);
  for (const auto& [f, weight] : plan_.weights) {
    if (draw < weight) {
      apply(f);
      break;
    }
    draw -= weight;
  }
  const auto gap = microseconds(chance_.between(20'000, plan_.fault_gap_most));
  world_.at(world_.now() + gap, [this] { strike(); });
}

/// Bad links that last: drawn once, and left alone.
void script::spoil_links() {
  const auto n = world_.members();
  const auto node = leader_or_any();
  const auto other = (node + 1 + static_cast<unsigned>(chance_.below(n - 1))) % n;
  const bool turned = chance_.chance(500);
  const bool both_ways = chance_.chance(400);
  const bool given_up = chance_.chance(400);
  auto& cut = world_.network().cut;
  const auto spoil = [&](unsigned a, unsigned b) {
    cut[a][b] = true;
    if (given_up) world_.reset_link(a, b);
  };
  switch (plan_.lasting) {
    case bad_links::none: return;
    case bad_links::one_way:
      ++counts_[static_cast<std::size_t>(fault::one_way)];
      spoil(turned ? other : node, turned ? node : other);
      if (both_ways)
        for (unsigned i = 0; i < n; ++i)
          if (i != node) spoil(turned ? i : node, turned ? node : i);
      break;
    case bad_links::bridge:
      ++counts_[static_cast<std::size_t>(fault::bridge)];
      for (unsigned a = 0; a < n; ++a)
        for (unsigned b = 0; b < n; ++b)
          if (a != b && a != other && b != other) spoil(a, b);
      break;
    case bad_links::ring:
      ++counts_[static_cast<std::size_t>(fault::bridge)];
      for (unsigned a = 0; a < n; ++a) spoil(a, (a + n / 2) % n);
      break;
    case bad_links::flapping:
      ++counts_[static_cast<std::size_t>(fault::slow_link)];
      flap(node, other, both_ways, true);
      break;
  }
  world_.steady(true);
}

void script::flap(unsigned a, unsigned b, bool both_ways, bool on) {
  if (!faults_on_) return;
  world_.network().cut[a][b] = on;
  if (both_ways) world_.network().cut[b][a] = on;
  const auto span = milliseconds(on ? chance_.between(200, 3000) : chance_.between(50, 2500));
  world_.at(world_.now() + span, [=, this] { flap(a, b, both_ways, !on); });
}

void script::kill(unsigned node, bool evidence, duration away) {
  if (!faults_on_ || !world_.up(node)) return;
  if (!world_.all_on_disk() && !world_.expendable(node)) return;
  world_.crash(node, evidence);
  world_.at(world_.now() + away, [this, node] { world_.start(node); });
}

void script::cut(unsigned from, unsigned to, duration how_long) {
  ++cuts_[from][to];
  world_.network().cut[from][to] = true;
  const auto era = heals_;
  world_.at(world_.now() + how_long, [this, from, to, era] {
    if (era != heals_) return;
    if (--cuts_[from][to] == 0) world_.network().cut[from][to] = false;
  });
  // A connection that hears nothing is given up sooner or later.
  if (chance_.chance(300)) {
    const auto patience = milliseconds(chance_.between(300, 3000));
    world_.at(world_.now() + patience, [this, from, to, era] {
      if (era == heals_ && cuts_[from][to] > 0) world_.reset_link(from, to);
    });
  }
}

void script::apply(fault f) {
  const auto n = world_.members();
  const auto node = leader_or_any();
  const auto other = any();
  const auto how_long = span();
  ++counts_[static_cast<std::size_t>(f)];
  switch (f) {
    case fault::crash: kill(node, plan_.quick_crash_evidence, how_long); break;
    case fault::power_off: kill(node, false, how_long); break;
    case fault::restart_all:
      for (unsigned i = 0; i < n; ++i) {
        const auto away = milliseconds(chance_.between(1, 800));
        kill(i, true, away);
      }
      break;
    case fault::wipe:
      // View 0 may be known to nobody else yet: then its directory is the only copy of the group.
      if (!world_.up(node) || !world_.expendable(node) || !world_.founded_beside(node)) break;
      world_.wipe(node);
      world_.at(world_.now() + how_long, [this, node] { world_.start(node); });
      break;
    case fault::pause: world_.pause(node, how_long); break;
    case fault::split: {
      const auto side = chance_.next();
      for (unsigned a = 0; a < n; ++a)
        for (unsigned b = 0; b < n; ++b)
          if (a != b && ((side >> a ^ side >> b) & 1)) cut(a, b, how_long);
      break;
    }
    case fault::isolate:
      for (unsigned i = 0; i < n; ++i)
        if (i != node) {
          cut(node, i, how_long);
          cut(i, node, how_long);
        }
      break;
    case fault::one_way:
      if (other != node) cut(node, other, how_long);
      if (chance_.chance(300))
        for (unsigned i = 0; i < n; ++i)
          if (i != node) cut(node, i, how_long);
      break;
    case fault::bridge:
      for (unsigned a = 0; a < n; ++a)
        for (unsigned b = 0; b < n; ++b)
          if (a != b && a != node && b != node) cut(a, b, how_long);
      break;
    case fault::reset_link:
      if (other != node) world_.reset_link(node, other);
      break;
    case fault::slow_link: {
      if (other == node) break;
      const auto extra = chance_.between(5'000, 400'000);
      world_.network().slow[node][other] = extra;
      world_.at(world_.now() + how_long, [this, node, other] { world_.network().slow[node][other] = 0; });
      break;
    }
    case fault::slow_disk: {
      const auto factor = chance_.between(5, 60);
      world_.slow_disk(node, factor);
      world_.at(world_.now() + how_long, [this, node] { world_.slow_disk(node, 1); });
      break;
    }
    case fault::loss_burst: {
      world_.network().extra_loss = static_cast<unsigned>(chance_.between(100, 600));
      world_.at(world_.now() + how_long, [this] { world_.network().extra_loss = 0; });
      break;
    }
    case fault::clock_step: {
      const auto by = microseconds(chance_.between(-4'000'000, 400'000));
      world_.step_clock(node, by);
      if (chance_.chance(500)) kill(node, plan_.quick_crash_evidence, how_long);
      break;
    }
    case fault::hunt: hunt_until_ = world_.now() + 2 * how_long; break;
    case fault::hand_over: world_.hand_over(node); break;
    case fault::leave:
      if (!world_.witness(node) && world_.up(node) && (world_.all_on_disk() || world_.expendable(node)))
        world_.request(node, change_kind::leave, node, {});
      break;
    case fault::remove:
      // Volatile groups have no votes to spare: one removed by mistake cannot be had back before it has joined.
      if (other == node || !plan_.core.durable || plan_.switches_durability) break;
      world_.request(node, change_kind::remove, other, {});
      world_.at(world_.now() + how_long, [this, node, other] { world_.request(node, change_kind::restore, other, {}); });
      break;
    case fault::new_rules: world_.request(node, change_kind::options, 0, other_rules()); break;
    case fault::kill_voter: voter_kills_ = 1 + static_cast<unsigned>(chance_.below(3)); break;
  }
}

// ---- the end --------------------------------------------------------------------------------------------------------

void script::heal() {
  faults_on_ = false;
  ++heals_;
  if (plan_.lasting != bad_links::none) world_.steady(false);
  for (auto& row : cuts_) std::ranges::fill(row, 0u);
  for (auto& row : world_.network().cut) row.assign(row.size(), false);
  for (auto& row : world_.network().slow) row.assign(row.size(), 0);
  world_.network().extra_loss = 0;
  world_.mend_disks();
  world_.lift_deadlines();
  for (unsigned i = 0; i < world_.members(); ++i) {
    world_.slow_disk(i, 1);
    // Somebody sets the clocks right.
    world_.step_clock(i, -world_.clock_offset(i));
    world_.start(i);
  }
}

/// Empty if nothing is left to be done anywhere; else what is.
std::string script::unrest() const {
  int leader = world_.leader();
  if (leader < 0) return "there is no leader";
  if (!world_.core_of(0)) return "member 0 is down";
  const auto& first = inspector::of(*world_.core_of(0));
  for (unsigned i = 0; i < world_.members(); ++i) {
    const auto name = "member " + std::to_string(i);
    const auto* c = world_.core_of(i);
    if (!c) return name + " is down";
    if (world_.paused(i)) return name + " is paused";  // healing does not shorten that
    const auto& in = inspector::of(*c);
    if (!in.has_state) return name + " has no state";
    if (!in.in_force->barred.empty()) return "somebody is removed";
    if (!in.asked_changes.empty()) return name + " asks for a change";
    if (in.my_slot == no_slot && !world_.witness(i)) return name + " is not active";
    if (in.in_force->number != first.in_force->number) return name + " is in another view";
    if (in.wedged.on) return name + " is wedged";
    const auto* entry = find(*in.in_force, in.start.self);
    if (!entry || !entry->voter) return name + " is no voter";
    if (!in.primary) return name + " has no leader";
    if (in.applied != in.commit || in.commit != in.log.last()) return name + " has entries that are not applied";
    if (in.applied != first.applied || (in.delivered != first.delivered && !world_.witness(i))) return name + " lags behind";
    if (!in.nothing_open() || !in.all_delivered()) return name + " has submissions under way";
    // An ack that was lost closes the window until the next heartbeat's.
    if (in.own_in_flight() > 0) return name + " waits for acks of its lane";
    // A flush begun on a slow disk may outlast the faults by seconds; its member may yet be excluded for it.
    if (in.kept != inspector::inside::keeping::memory && in.persisted_to + 1 < in.next_position) return name + " waits for its disk";
    if (in.in_force->options.durable && !in.secured()) return name + " has not everything on its disk";
    if (!in.reads.none())
      return name + " has reads under way";
  }
  return {};
}

bool script::settle(duration patience) {
  const auto end = world_.now() + patience;
  std::string why = "not looked at";
  while (world_.now() < end && !(why = unrest()).empty()) {
    restore_removed();
    if (!world_.run_until(world_.now() + 100ms)) return false;
  }
  if (!why.empty()) {
    world_.fail("I20 liveness: " + std::to_string(patience / 1s) + " s after the last fault " + why);
    return false;
  }
  // Everybody is served, and reads what was written last.
  std::vector<std::uint64_t> probes;
  for (unsigned i = 0; i < world_.members(); ++i)
    if (!world_.witness(i)) probes.push_back(world_.call(plan_.clients - 1, i, operation::kind::write, 0));
  if (!world_.run_until(world_.now() + 3s)) return false;
  for (unsigned i = 0; i < world_.members(); ++i)
    if (!world_.witness(i)) probes.push_back(world_.call(plan_.clients - 1, i, operation::kind::read, 0));
  if (!world_.run_until(world_.now() + 3s)) return false;
  for (const auto p : probes)
    if (world_.op(p).result != operation::outcome::done) {
      world_.fail("I20 liveness: a healed group does not serve member " + std::to_string(world_.op(p).node));
      return false;
    }
  // Where the network loses messages for ever, so many in a row may get lost that a member is excluded; then it has to
  // come back.
  const auto again = world_.now() + (plan_.loss > 0 ? patience : duration(0));
  while (!(why = unrest()).empty() && world_.now() < again)
    if (!world_.run_until(world_.now() + 100ms)) return false;
  if (!why.empty()) world_.fail("I20 liveness: a quiet group gets restless, " + why);
  return world_.broken().empty();
}

/// Harmless changes: a test that fails on one is itself wrong.
static void disguise(scenario& s) {
  auto& o = s.core;
  if (mutated(mutation::sham_batch_size)) o.batch_bytes = std::max<std::size_t>(48, o.batch_bytes / 3);
  if (mutated(mutation::sham_larger_window)) {
    o.lane_window *= 3;
    o.append_window *= 2;
  }
  if (mutated(mutation::sham_slower_timers)) {
    o.heartbeat = o.heartbeat * 6 / 5;
    o.election_min = o.election_min * 6 / 5;
    o.election_max = o.election_max * 6 / 5;
    o.wedge_wait = o.wedge_wait * 6 / 5;
    o.pull_wait = o.pull_wait * 6 / 5;
    o.fail_after = std::max(o.fail_after, o.election_max);
  }
}

outcome run_seed(std::uint64_t seed, std::string_view profile, const applications& apps, checksum_fn sum,
                 bool tracing) {
  auto plan = draw_scenario(seed, profile);
  disguise(plan);
  auto watchers = make_checkers();
  const auto& app = plan.rich_application ? *apps.rich : plan.timers ? *apps.timed : *apps.small;
  auto& ledger = static_cast<session_ledger&>(*watchers.emplace_back(std::make_unique<session_ledger>()));
  const session_workload behind_sessions(app, ledger);
  world w(plan, plan.sessions > 0 ? static_cast<const workload&>(behind_sessions) : app, watchers, sum);
  w.tracing = tracing;
  std::optional<session_clients> callers;
  if (plan.sessions > 0) callers.emplace(w, app, ledger, plan.clients);
  script s(w, seed, callers ? &*callers : nullptr);
  s.run();
  outcome o;
  if (w.broken().empty()) {
    const std::vector<operation> history(w.operations().begin(), w.operations().end());
    for (const auto& c : watchers) {
      c->finished(history);
      if (!c->broken().empty()) w.fail(std::string(c->property()) + ": " + c->broken());
    }
    const auto verdict = check_linearizable(history, 200'000);
    if (verdict.result == linearizability::violated) w.fail("linearizability: " + verdict.why);
    o.unknown_histories = verdict.result == linearizability::unknown ? 1 : 0;
  }
  for (unsigned i = 0; tracing && i < w.members(); ++i)
    if (const auto* c = w.core_of(i))
      if (const auto& in = inspector::of(*c); in.in_force)
        std::printf("member %u %s, log from %llu to %llu, committed %llu\n", i, describe(*in.log.last_view().what).c_str(),
                    static_cast<unsigned long long>(in.log.base().index), static_cast<unsigned long long>(in.log.last()),
                    static_cast<unsigned long long>(in.commit));
  if (tracing)
    for (const auto& op : w.operations())
      std::printf("op %llu client %u member %u key %u kind %d outcome %d value %llu read %llu position %llu from %.6f to %.6f\n",
                  static_cast<unsigned long long>(op.number), op.client, op.node, op.key, static_cast<int>(op.what),
                  static_cast<int>(op.result), static_cast<unsigned long long>(op.value), static_cast<unsigned long long>(op.read),
                  static_cast<unsigned long long>(op.position), static_cast<double>(op.called.count()) / 1e9,
                  op.returned == never ? -1.0 : static_cast<double>(op.returned.count()) / 1e9);
  o.seed = seed;
  o.profile = plan.profile;
  o.broken = w.broken();
  o.trace_hash = w.trace_hash();
  o.events = w.events();
  o.hours = static_cast<double>(w.now().count()) / 3.6e12;
  o.faults = s.faults();
  o.operations = w.operations().size();
  for (const auto& op : w.operations()) o.done += op.result == operation::outcome::done ? 1 : 0;
  for (unsigned i = 0; i < w.members(); ++i)
    if (const auto* c = w.core_of(i)) {
      const auto& in = inspector::of(*c);
      if (in.in_force) o.views = std::max<std::uint64_t>(o.views, in.in_force->number);
    }
  return o;
}

}  // namespace cohort::sim
