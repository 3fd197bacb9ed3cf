#include "framework/simulation/profile.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace cohort::sim {

using namespace std::chrono_literals;

namespace {

constexpr std::array<const char*, fault_kinds> fault_names{
  "crash", "power_off", "restart_all", "wipe",      "pause",     "split",      "isolate", "one_way",
  "bridge", "reset_link", "slow_link",  "slow_disk", "loss_burst", "clock_step", "hunt",    "kill_voter", "hand_over", "leave", "remove", "new_rules"};

/// What every profile begins with: three to five members, everything a little.
void general(scenario& s, random& r) {
  constexpr std::array<unsigned, 6> sizes{3, 3, 3, 5, 4, 3};
  s.members = sizes[r.below(sizes.size())];
  s.core.durable = r.chance(650);
  s.core.reads = r.chance(250) ? protocol::read_mode::lease : protocol::read_mode::read_index;
  s.core.fail_after = std::chrono::milliseconds(r.between(600, 2000));
  s.core.append_entries_max = r.chance(300) ? 1 + r.below(4) : 256;
  s.core.batches_in_flight = 1 + r.below(4);
  s.core.batch_bytes = r.chance(500) ? 256 : 64 * 1024;
  s.core.lane_window = r.chance(300) ? 4096 : 1u << 20;
  s.core.checkpoint_entries = static_cast<std::uint64_t>(r.between(15, 150));
  s.core.join_hold = std::chrono::milliseconds(r.between(300, 2000));
  s.chunk_bytes = r.chance(500) ? 96 : 4096;
  if (r.chance(400)) {
    s.loss = static_cast<unsigned>(r.below(r.chance(300) ? 250 : 40));
    s.duplication = static_cast<unsigned>(r.below(60));
    s.reorders = true;
  }
  if (r.chance(250)) s.delay_most = r.between(1000, 40'000);
  if (r.chance(200)) s.sync_most = r.between(5000, 60'000);
  s.rich_application = r.chance(400);
  s.clients = static_cast<unsigned>(r.between(2, 5));
  s.keys = static_cast<unsigned>(r.between(1, 4));
  s.think_most = r.between(20'000, 150'000);
  s.quick_crash_evidence = r.chance(800);
  s.restart_all_at_end = s.core.durable && r.chance(500);
  s.faults_last = std::chrono::milliseconds(r.between(5000, 14'000));
  s.fault_gap_most = r.between(300'000, 2'500'000);
  s.down_most = r.between(200'000, 4'000'000);
  using enum fault;
  s.weights = {{crash, 6},    {power_off, 2}, {restart_all, 1}, {wipe, 1},       {pause, 3},     {split, 3},
               {isolate, 4},  {one_way, 2},   {bridge, 1},      {reset_link, 3}, {slow_link, 2}, {slow_disk, 2},
               {loss_burst, 2}, {clock_step, 1}, {hunt, 1},     {kill_voter, 1}};
}

/// Messages of other orders beside T: any set of them.
void mixed(scenario& s, random& r) {
  s.core.orders = order_set::from_bits(static_cast<std::uint8_t>(r.chance(500) ? 63 : 1 + r.below(63)));
  if (s.core.orders == order_set{order::total}) s.core.orders.add(order::causal);
  s.core.orders.add(order::total);  // clients' operations
  s.talk_most = r.between(4'000, 60'000);
  s.core.minority_multicast = r.chance(200);
}

/// Links as they are in bad networks, and for long; nothing else goes wrong.
void lasting(scenario& s, random& r, bad_links which) {
  s.lasting = which;
  s.members = std::max(3u, s.members);
  s.delay_most = r.chance(500) ? r.between(1000, 50'000) : 500;
  s.loss = r.chance(500) ? static_cast<unsigned>(r.below(50)) : 0;
  s.duplication = 0;
  s.reorders = s.loss > 0;
  s.faults_last = std::chrono::seconds(25);
  s.restart_all_at_end = false;
  s.bad_clock_ahead = 0;
}

using shaper = void (*)(scenario&, random&);
struct named {
  std::string_view name;
  unsigned share;  ///< of seeds that name no profile
  shaper shape;
};

const std::vector<named>& profiles() {
  using enum fault;
  static const std::vector<named> all{
    {"general", 8, [](scenario&, random&) {}},
    {"one-entry", 2,  // one entry per APPEND: agreement is found step by step (F3, F35)
     [](scenario& s, random& r) {
       s.core.append_entries_max = 1;
       s.core.batch_bytes = 64;
       s.core.batches_in_flight = 8;
       s.think_most = 15'000;
       s.weights = {{isolate, 6}, {split, 4}, {crash, 4}, {hunt, 2}, {loss_burst, 3}};
       s.loss = static_cast<unsigned>(r.below(200));
       s.reorders = true;
     }},
    {"elections", 2,  // elections under loss
     [](scenario& s, random& r) {
       s.loss = static_cast<unsigned>(r.between(100, 350));
       s.reorders = true;
       s.duplication = 100;
       s.fault_gap_most = 500'000;
       s.weights = {{hunt, 4}, {isolate, 6}, {split, 4}, {crash, 3}, {pause, 2}};
     }},
    {"vote-crash", 2,  // voters that crash right after voting (F5)
     [](scenario& s, random& r) {
       s.core.durable = true;
       s.sync_least = 2000;
       s.sync_most = r.between(20'000, 120'000);
       s.fault_gap_most = 400'000;
       s.down_most = 60'000;
       s.weights = {{kill_voter, 8}, {isolate, 5}, {pause, 2}, {crash, 2}};
     }},
    {"idle-leader", 2,  // an isolated leader whose log is idle, read from all the time (F20, F40, F43)
     [](scenario& s, random& r) {
       s.core.reads = protocol::read_mode::lease;
       s.read_share = 800;
       s.other_share = 0;
       s.swap_share = 50;
       s.loss = 0;
       s.fault_gap_most = 1'200'000;
       s.down_most = r.between(100'000, 1'200'000);
       s.quick_crash_evidence = r.chance(500);
       s.weights = {{isolate, 8}, {split, 3}, {pause, 4}, {crash, 4}, {power_off, 2}, {one_way, 3}};
     }},
    {"slow-disk", 2,
     [](scenario& s, random& r) {
       s.core.durable = true;
       s.sync_least = 1000;
       s.sync_most = r.between(20'000, 250'000);
       s.weights = {{crash, 6}, {power_off, 3}, {slow_disk, 5}, {restart_all, 3}, {isolate, 3}};
     }},
    {"single", 1,
     [](scenario& s, random&) {
       s.members = 1;
       s.core.durable = true;
       s.weights = {{crash, 5}, {pause, 2}, {slow_disk, 2}, {clock_step, 2}};
     }},
    {"pair", 1,
     [](scenario& s, random&) {
       s.members = 2;
       s.core.durable = true;
       s.weights[wipe] = 0;
     }},
    {"four", 1, [](scenario& s, random&) { s.members = 4; }},
    {"five", 2,
     [](scenario& s, random&) {
       s.members = 5;
       s.weights[crash] = 10;
     }},
    {"volatile", 3,
     [](scenario& s, random& r) {
       s.core.durable = false;
       s.members = r.chance(600) ? 3 : 5;
       s.restart_all_at_end = false;
       s.weights[crash] = 10;
       s.weights[wipe] = 0;
       s.weights[clock_step] = 3;
     }},
    {"leases", 2,
     [](scenario& s, random& r) {
       s.core.reads = protocol::read_mode::lease;
       s.clock_rate_most = 190;
       s.read_share = static_cast<unsigned>(r.between(300, 700));
     }},
    {"whole-restart", 2,
     [](scenario& s, random& r) {
       s.core.durable = true;
       s.weights = {{restart_all, 6}, {crash, 4}, {power_off, 2}, {isolate, 3}, {slow_disk, 2}};
       s.fault_gap_most = r.between(300'000, 2'000'000);
       s.restart_all_at_end = true;
     }},
    {"wiped", 2,
     [](scenario& s, random&) {
       s.core.durable = true;
       s.weights = {{wipe, 6}, {crash, 4}, {isolate, 2}, {split, 1}, {restart_all, 1}, {pause, 2}};
       s.core.fail_after = 700ms;
       s.faults_last = 16s;
     }},
    {"one-way", 2,
     [](scenario& s, random&) {
       s.weights = {{one_way, 8}, {bridge, 4}, {isolate, 2}, {crash, 2}};
       s.down_most = 4'000'000;
     }},
    {"clocks", 2,
     [](scenario& s, random& r) {
       s.members = std::max(3u, s.members);
       s.clock_rate_most = 190;
       s.clock_offset_most = r.between(1000, 300'000);
       if (r.chance(600)) s.bad_clock_ahead = r.between(100'000, 5'000'000);
       s.weights[clock_step] = 12;
       s.weights[crash] = 8;
     }},
    {"hand-over", 0,  // leaders that let others lead, among everything else, with leases (E8)
     [](scenario& s, random& r) {
       if (r.chance(600)) s.core.reads = protocol::read_mode::lease;
       s.read_share = static_cast<unsigned>(r.between(200, 600));
       s.fault_gap_most = r.between(100'000, 1'000'000);
       s.weights[hand_over] = 20;
     }},
    {"transfer-churn", 3,  // checkpoints that travel while members come and go (F17, F23, PA6)
     [](scenario& s, random& r) {
       s.core.checkpoint_entries = static_cast<std::uint64_t>(r.between(6, 25));
       s.core.fail_after = 600ms;
       s.core.join_hold = 500ms;
       s.core.chunk_window = static_cast<std::uint32_t>(r.between(1, 3));
       s.chunk_bytes = 48;
       s.think_most = 20'000;
       s.keys = 8;
       s.weights = {{crash, 8}, {isolate, 6}, {pause, 4}, {wipe, 2}, {slow_link, 4}, {split, 2}, {power_off, 2}};
     }},
    {"churn", 3,  // views follow views while old VIEW entries are still under way (F9, F10, F28, F34)
     [](scenario& s, random& r) {
       s.core.fail_after = 600ms;
       s.core.wedge_wait = std::chrono::milliseconds(r.between(50, 300));
       s.members = r.chance(500) ? 3 : r.chance(500) ? 5 : 4;
       s.fault_gap_most = 500'000;
       s.down_most = 1'500'000;
       s.delay_most = r.between(500, 60'000);
       s.weights = {{crash, 4}, {isolate, 8}, {pause, 4}, {split, 5}, {hunt, 2}, {one_way, 2}, {loss_burst, 2}};
     }},
    {"mixed-orders", 6,  // all six orders in one group, or some of them
     [](scenario& s, random& r) { mixed(s, r); }},
    {"mixed-loss", 4,  // batches come late, twice, out of order: U above gaps, C before its past (F6, F15, F26)
     [](scenario& s, random& r) {
       mixed(s, r);
       s.loss = static_cast<unsigned>(r.between(50, 300));
       s.duplication = static_cast<unsigned>(r.below(100));
       s.reorders = true;
       s.delay_most = r.between(5'000, 60'000);
       s.core.batch_bytes = 128;
       s.core.batches_in_flight = 8;
       s.core.fail_after = 700ms;
       s.weights = {{crash, 5}, {isolate, 6}, {split, 4}, {pause, 3}, {hunt, 1}, {loss_burst, 2}};
     }},
    {"away", 0,  // members miss more than is kept for them, and have to be told what (S4)
     [](scenario& s, random& r) {
       mixed(s, r);
       s.members = r.chance(500) ? 5 : 3;
       s.core.checkpoint_entries = static_cast<std::uint64_t>(r.between(3, 12));
       s.core.fail_after = 600ms;
       s.core.join_hold = 500ms;
       s.core.batch_bytes = 128;
       s.core.batches_in_flight = 8;
       s.chunk_bytes = 96;
       s.think_most = 20'000;
       s.talk_most = r.between(8'000, 50'000);
       s.reorders = r.chance(700);
       s.loss = static_cast<unsigned>(r.below(200));
       s.fault_gap_most = 700'000;
       s.down_most = r.between(800'000, 4'000'000);
       s.weights = {{isolate, 10}, {pause, 6}, {split, 4}, {crash, 4}, {power_off, 2}, {one_way, 2}, {loss_burst, 3}};
     }},
    {"mixed-churn", 4,  // views follow views (F18, F24, F49)
     [](scenario& s, random& r) {
       mixed(s, r);
       s.members = r.chance(500) ? 5 : 3;
       s.core.fail_after = 600ms;
       s.core.wedge_wait = std::chrono::milliseconds(r.between(50, 300));
       s.fault_gap_most = 500'000;
       s.down_most = 1'500'000;
       s.delay_most = r.between(500, 60'000);
       s.reorders = true;
       s.loss = static_cast<unsigned>(r.below(150));
       s.weights = {{crash, 6}, {isolate, 8}, {pause, 4}, {split, 5}, {hunt, 2}, {one_way, 2}, {loss_burst, 2}, {restart_all, 1}};
     }},
    {"large", 4,  // messages travel in parts, with others between them, while views come and go (L10, L11)
     [](scenario& s, random& r) {
       if (r.chance(750)) mixed(s, r);
       s.rich_application = r.chance(500);
       s.core.part_bytes = static_cast<std::size_t>(r.between(20, 100));
       s.core.lane_window = static_cast<std::uint64_t>(r.between(1500, 6000));
       s.core.checkpoint_bytes = static_cast<std::uint64_t>(r.between(500, 4000));
       s.chunk_bytes = 48;
       s.core.batches_in_flight = 4;
       s.core.fail_after = 700ms;
       s.reorders = r.chance(500);
       s.loss = static_cast<unsigned>(r.below(200));
       s.delay_most = r.between(500, 30'000);
       s.fault_gap_most = r.between(300'000, 1'200'000);
       s.weights = {{crash, 6}, {isolate, 6}, {pause, 4}, {split, 4}, {hunt, 1}, {loss_burst, 2}, {wipe, 1}, {restart_all, 1}};
     }},
    {"quiet-groups", 3,  // long idle phases, in which faults strike groups that have no heartbeats of their own (Q1 to Q9)
     [](scenario& s, random& r) {
       s.quiet = true;
       s.idle_phases = true;
       if (r.chance(400)) s.core.reads = protocol::read_mode::lease;
       s.read_share = static_cast<unsigned>(r.between(300, 700));
       s.loss = r.chance(400) ? static_cast<unsigned>(r.below(120)) : 0;
       s.fault_gap_most = r.between(300'000, 3'000'000);
       s.down_most = r.between(100'000, 2'500'000);
       s.quick_crash_evidence = r.chance(600);
       s.faults_last = std::chrono::milliseconds(r.between(10'000, 20'000));
       s.weights = {{crash, 5}, {power_off, 4}, {isolate, 6}, {split, 4},      {pause, 5},      {one_way, 5},
                    {bridge, 1}, {reset_link, 4}, {slow_link, 2}, {loss_burst, 3}, {restart_all, 1}, {hand_over, 2}};
     }},
    {"requests", 3,  // members leave, are removed and restored, the rules change, amid everything else (V9, X1)
     [](scenario& s, random& r) {
       if (r.chance(700)) mixed(s, r);
       s.members = r.chance(500) ? 5 : 4;
       s.core.fail_after = 700ms;
       s.fault_gap_most = r.between(200'000, 1'200'000);
       s.weights = {{crash, 4}, {isolate, 4}, {pause, 2}, {split, 2}, {hunt, 1}, {hand_over, 2}, {leave, 6}, {remove, 5}, {new_rules, 8}};
     }},
    {"adapting", 3,  // the rules change all the time: leases, timers, the detector, limits, under large messages and reads (X1, X2)
     [](scenario& s, random& r) {
       if (r.chance(500)) mixed(s, r);
       s.rich_application = r.chance(300);
       s.core.reads = r.chance(600) ? protocol::read_mode::lease : protocol::read_mode::read_index;
       s.clock_rate_most = 190;
       s.read_share = static_cast<unsigned>(r.between(300, 700));
       s.core.part_bytes = static_cast<std::size_t>(r.between(20, 200));
       s.core.message_bytes_max = static_cast<std::uint64_t>(r.between(300, 5000));
       s.core.fail_after = 700ms;
       s.core.checkpoint_entries = static_cast<std::uint64_t>(r.between(10, 60));
       s.chunk_bytes = 96;
       s.fault_gap_most = r.between(150'000, 800'000);
       s.weights = {{new_rules, 14}, {isolate, 5}, {split, 2}, {crash, 3}, {pause, 3}, {one_way, 1}, {hand_over, 1}, {restart_all, 1}};
     }},
    {"durability", 4,  // the group goes to its disks and leaves them, while members, or all of them, crash (X3)
     [](scenario& s, random& r) {
       if (r.chance(400)) mixed(s, r);
       s.switches_durability = true;
       s.core.reads = protocol::read_mode::read_index;
       s.members = r.chance(700) ? 3 : 5;
       s.core.fail_after = 700ms;
       s.core.checkpoint_entries = static_cast<std::uint64_t>(r.between(10, 80));
       s.chunk_bytes = 96;
       s.fault_gap_most = r.between(150'000, 900'000);
       s.down_most = r.between(100'000, 1'000'000);
       s.faults_last = std::chrono::milliseconds(r.between(8000, 16'000));
       s.restart_all_at_end = true;
       s.weights = {{new_rules, 12}, {crash, 8}, {restart_all, 5}, {isolate, 3}, {pause, 2}, {power_off, 2}, {slow_disk, 2}, {split, 1}};
     }},
    {"shrink", 2,  // failed voters leave the quorum base (V16)
     [](scenario& s, random& r) {
       if (r.chance(300)) mixed(s, r);
       s.members = 5;
       s.core.shrink = true;
       s.core.min_voters = static_cast<std::uint16_t>(r.between(2, 3));
       s.core.fail_after = 700ms;
       s.weights = {{crash, 8}, {isolate, 4}, {pause, 3}, {split, 2}, {power_off, 3}, {leave, 1}};
     }},
    {"deadlines", 2,  // messages that are worth nothing later (DL1)
     [](scenario& s, random& r) {
       if (r.chance(300)) mixed(s, r);
       s.deadline_share = 600;
       s.deadline_most = r.between(1'000, 400'000);
       s.think_most = 20'000;
       s.read_share = 150;
       s.weights[clock_step] = 3;
     }},
    {"sessions", 0,  // callers repeat requests through any member, over checkpoints and restarts (F2 to F4)
     [](scenario& s, random& r) {
       s.sessions = 1 + static_cast<unsigned>(r.below(4));
       s.rich_application = r.chance(500);
       s.core.checkpoint_entries = static_cast<std::uint64_t>(r.between(10, 60));
       s.deadline_share = 50;
       s.weights[crash] = 10;
       s.weights[restart_all] = 3;
     }},
    {"timers", 0,  // the state has timers, which expire in groups where little else happens (C12)
     [](scenario& s, random& r) {
       if (r.chance(300)) mixed(s, r);
       s.timers = true;
       s.rich_application = false;
       s.idle_phases = true;
       s.think_most = r.between(20'000, 400'000);
       s.core.checkpoint_entries = static_cast<std::uint64_t>(r.between(10, 200));
       s.weights[clock_step] = 3;
     }},
    {"copies", 1,  // nothing is committed with fewer copies (W4)
     [](scenario& s, random& r) {
       s.members = r.chance(500) ? 3 : 5;
       s.core.min_copies = static_cast<std::uint16_t>(r.between(2, s.members == 3 ? 2 : 4));
       if (r.chance(500)) mixed(s, r);
     }},
    {"witness", 4,  // voters without payload (W1-W3)
     [](scenario& s, random& r) {
       if (r.chance(500)) mixed(s, r);
       s.core.durable = true;
       const bool five = r.chance(400);
       s.members = five ? 5 : 3;
       s.witnesses = five ? 2 : 1;
       s.core.fail_after = 700ms;
       s.core.append_entries_max = r.chance(500) ? 1 : 256;
       s.restart_all_at_end = r.chance(500);
       s.weights = {{crash, 8}, {isolate, 6}, {pause, 3}, {split, 3}, {power_off, 2}, {hunt, 2}, {restart_all, 1}, {slow_disk, 2}};
     }},
    {"decreed", 0,  // a group that another log founds: members that die before they hear of each other, slow disks (V19)
     [](scenario& s, random& r) {
       s.decreed = true;
       s.sync_least = 1000;
       s.sync_most = r.between(3'000, 150'000);
       s.fault_gap_most = r.between(50'000, 600'000);
       s.down_most = r.between(60'000, 1'500'000);
       s.weights = {{crash, 8}, {power_off, 3}, {kill_voter, 3}, {isolate, 4}, {pause, 2}, {restart_all, 2}, {slow_disk, 2}};
       if (r.chance(250)) s.members = 5, s.witnesses = 2, s.core.durable = true;
       else s.weights[wipe] = s.weights[remove] = 1;
     }},
    {"deaf", 1,  // a link that carries one way, for good, with jitter and losses (V20, V21)
     [](scenario& s, random& r) { lasting(s, r, bad_links::one_way); }},
    {"bridge", 1,  // who hears whom is not transitive
     [](scenario& s, random& r) {
       s.members = r.chance(500) ? 3 : 5;
       lasting(s, r, r.chance(700) ? bad_links::bridge : bad_links::ring);
       if (s.lasting == bad_links::ring) s.members = 4;
     }},
    {"flapping", 1,
     [](scenario& s, random& r) { lasting(s, r, bad_links::flapping); }},
    {"payload-loss", 2,  // batches and entries part company: payload has to be pulled (F1, F4, F22)
     [](scenario& s, random& r) {
       s.loss = static_cast<unsigned>(r.between(50, 300));
       s.reorders = true;
       s.delay_most = 30'000;
       s.core.batch_bytes = 128;
       s.core.batches_in_flight = 8;
       s.think_most = 10'000;
       s.core.fail_after = 700ms;
       s.weights = {{crash, 5}, {isolate, 5}, {split, 3}, {pause, 3}, {hunt, 1}};
     }},
  };
  return all;
}

}  // namespace

const char* to_string(fault f) { return fault_names[static_cast<std::size_t>(f)]; }

std::vector<std::string_view> profile_names() {
  std::vector<std::string_view> names;
  for (const auto& p : profiles()) names.push_back(p.name);
  return names;
}

scenario draw_scenario(std::uint64_t seed, std::string_view profile) {
  random r(seed * 0x2545f4914f6cdd1dull + 77);
  scenario s;
  s.seed = seed;
  const auto* chosen = &profiles().front();
  if (profile.empty()) {
    std::uint64_t shares = 0;
    for (const auto& p : profiles()) shares += p.share;
    auto draw = r.below(shares);
    for (const auto& p : profiles()) {
      chosen = &p;
      if (draw < p.share) break;
      draw -= p.share;
    }
  } else {
    r.next();
    for (const auto& p : profiles())
      if (p.name == profile) chosen = &p;
  }
  s.profile = chosen->name;
  general(s, r);
  s.quiet = random(seed ^ 0x9d1e7).chance(700);  // beside the other draws, which stay what they are
  chosen->shape(s, r);
  if (!s.core.durable && !s.switches_durability) {
    s.restart_all_at_end = false;
    s.weights[fault::restart_all] = 0;
    s.weights[fault::wipe] = 0;
  }
  return s;
}

}  // namespace cohort::sim
