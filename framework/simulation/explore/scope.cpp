#include "framework/simulation/explore/scope.hpp"

namespace cohort::sim::explore {

const std::vector<scope>& all_scopes() {
  using enum order;
  static const std::vector<scope> scopes = [] {
    std::vector<scope> all;
    const auto make = [&](const char* name, const char* about) -> scope& {
      auto& s = all.emplace_back();
      s.name = name, s.about = about;
      return s;
    };
    {
      auto& s = make("total", "two T messages of two followers, one of them may crash");
      s.submissions = {{1, total}, {2, total}};
      s.at_once = true, s.may_crash = 1u << 1;
    }
    {
      auto& s = make("total_any", "one T message at any time, anybody may crash, the leader too");
      s.submissions = {{0, total}};
    }
    {
      auto& s = make("total_doubt", "one T message; a follower doubts the leader, or the leader a follower, who all live");
      s.submissions = {{1, total}};
      s.at_once = true, s.crashes = 0, s.doubts = 1, s.doubts_of_leader = true;
    }
    {
      auto& s = make("safe_leader", "SF and C of two followers, the leader may crash");
      s.orders = {safe_fifo, causal};
      s.submissions = {{1, safe_fifo}, {2, causal}};
      s.at_once = true, s.may_crash = 1u << 0, s.elections = 1;
    }
    {
      auto& s = make("safe_sender", "SF and C of two followers, the sender of SF may crash");
      s.orders = {safe_fifo, causal};
      s.submissions = {{1, safe_fifo}, {2, causal}};
      s.at_once = true, s.may_crash = 1u << 1;
    }
    {
      auto& s = make("safe_doubt", "SF of a follower; the leader excludes it, or the other one, while it lives");
      s.orders = {safe_fifo, fifo};
      s.submissions = {{1, safe_fifo}};
      s.at_once = true, s.crashes = 0, s.doubts = 1, s.slow_links = 2;
    }
    {
      auto& s = make("safe_both", "SF of a follower, F of another; the leader excludes a living one, or one crashes");
      s.orders = {safe_fifo, fifo};
      s.submissions = {{1, safe_fifo}, {2, fifo}};
      s.at_once = true, s.may_crash = 1u << 1, s.doubts = 1, s.slow_links = 1;
    }
    {
      auto& s = make("fifo", "F of a follower at any time, who crashes or is excluded while it lives");
      s.orders = {fifo};
      s.submissions = {{1, fifo}};
      s.may_crash = 1u << 1, s.doubts = 1, s.slow_links = 1, s.elections = 0;
    }
    {
      auto& s = make("causal", "F, and SC and T behind it; a sender may crash");
      s.orders = {safe_causal, fifo, total};
      s.submissions = {{1, fifo}, {2, safe_causal}, {1, total}};
      s.may_crash = 1u << 1, s.slow_links = 1;
    }
    {
      auto& s = make("own_past", "SF, SF and C of one sender: its own past is not left behind");
      s.orders = {safe_fifo, causal};
      s.submissions = {{1, safe_fifo}, {1, safe_fifo}, {1, causal}};
      s.crashes = 0;
    }
    {
      auto& s = make("even", "four members: two holders make SF stable (D8); its sender or another may crash");
      s.members = 4;
      s.orders = {safe_fifo};
      s.submissions = {{1, safe_fifo}};
      s.at_once = true, s.may_crash = 1u << 1 | 1u << 2, s.elections = 0, s.slow_links = 1;
    }
    {
      auto& s = make("even_leader", "four members: SF of the leader, who may crash");
      s.members = 4;
      s.orders = {safe_fifo};
      s.submissions = {{0, safe_fifo}};
      s.at_once = true, s.may_crash = 1u << 0, s.elections = 1, s.slow_links = 1;
    }
    {
      auto& s = make("even_doubt", "four members: SF of a follower, who is excluded while it lives");
      s.members = 4;
      s.orders = {safe_fifo};
      s.submissions = {{1, safe_fifo}};
      s.at_once = true, s.crashes = 0, s.doubts = 1, s.slow_links = 1;
    }
    {
      auto& s = make("durable", "disks: SF, one crash that loses any suffix of what is not synced, one restart");
      s.durable = true;
      s.orders = {safe_fifo};
      s.submissions = {{1, safe_fifo}};
      s.at_once = true, s.restarts = 1, s.joins = true, s.slow_links = 0;
    }
    {
      auto& s = make("durable_total", "disks: T, a crash of its sender at any time, its restart");
      s.durable = true;
      s.submissions = {{1, total}};
      s.at_once = true, s.may_crash = 1u << 1, s.restarts = 1, s.joins = true, s.slow_links = 0;
    }
    {
      auto& s = make("ended", "a group at rest: a follower may crash, and links to who lives are reset, the leader's or another one's (V24)");
      s.may_crash = 1u << 1 | 1u << 2, s.elections = 0, s.expiries = 0;
      s.probes = true, s.suspects = false, s.doubts = 2, s.doubts_of_followers = true;
    }
    {
      auto& s = make("silent", "a group at rest: members are silent for long at the leader, dead or not, and are asked for by way of the other (V20)");
      s.may_crash = 1u << 1, s.elections = 0, s.expiries = 0, s.slow_links = 1;
      s.probes = true, s.suspects = false, s.lapses = 5;
    }
    {
      auto& s = make("learner", "a member that lost its state is given it and promoted, a T message, the leader may crash (W6, V10, S5)");
      s.newcomer = 2, s.joins = true;
      s.submissions = {{1, total}};
      s.may_crash = 1u << 0, s.elections = 2, s.expiries = 0, s.beats = 1, s.slow_links = 1;
    }
    {
      auto& s = make("unordered", "U and SF of one sender, messages overtake each other, one crash");
      s.orders = {unordered, safe_fifo};
      s.submissions = {{1, unordered}, {1, safe_fifo}};
      s.at_once = true, s.reordering = true, s.may_crash = 1u << 1;
    }
    {
      auto& s = make("reordered", "one T message, everything overtakes everything, one crash");
      s.submissions = {{1, total}};
      s.at_once = true, s.reordering = true, s.may_crash = 1u << 1 | 1u << 0, s.elections = 1;
    }
    return all;
  }();
  return scopes;
}

}  // namespace cohort::sim::explore
