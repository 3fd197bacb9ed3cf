// The network of a world: connections between live processes and what happens to messages on them.
#include "framework/simulation/trace.hpp"
#include "framework/simulation/world.hpp"

namespace cohort::sim {

using namespace protocol;
using std::chrono::microseconds;
using std::chrono::milliseconds;

void world::plan_connect(unsigned a, unsigned b, duration after) {
  push({.at = now_ + after, .type = event_type::connect, .a = static_cast<std::uint16_t>(a), .b = static_cast<std::uint16_t>(b)});
}

void world::connect(unsigned a, unsigned b) {
  auto& left = nodes_[a];
  auto& right = nodes_[b];
  if (!left.alive || !right.alive) return;  // the start of either tries again
  auto& l = left.links[b];
  auto& r = right.links[a];
  if (l.up && r.up && l.session == r.session) return;
  if (network_.cut[a][b] || network_.cut[b][a] || paused(a) || paused(b)) {
    plan_connect(a, b, milliseconds(chance_.between(20, 200)));
    return;
  }
  // The newest connection wins.
  if (l.up) drop_end(a, b, false);
  if (r.up) drop_end(b, a, false);
  const auto session = ++sessions_;
  l = {true, session, now_};
  r = {true, session, now_};
  note(50, a, b);
  const bool left_blank = blank(a), right_blank = blank(b);
  left.alive->take(in_link_up{right.alive->who().id, right_blank});
  right.alive->take(in_link_up{left.alive->who().id, left_blank});
  plan_pass(a, now_);
  plan_pass(b, now_);
}

void world::drop_end(unsigned at, unsigned peer, bool reset) {
  auto& n = nodes_[at];
  n.links[peer].up = false;
  note(51, at, peer);
  if (tracing) say(std::to_string(at) + " lost its link to " + std::to_string(peer) + (reset ? " by a reset" : ""));
  if (!n.alive) return;
  n.alive->take(in_link_down{static_cast<member_id>(peer), reset});
  plan_pass(at, now_);
  plan_connect(std::min(at, peer), std::max(at, peer), milliseconds(chance_.between(5, 150)));
}

void world::reset_link(unsigned a, unsigned b) {
  for (const auto& [at, peer] : {std::pair{a, b}, std::pair{b, a}}) {
    const auto& end = nodes_[at].links[peer];
    if (!end.up) continue;
    push({.at = now_ + microseconds(chance_.between(10, 2000)), .type = event_type::link_lost,
          .a = static_cast<std::uint16_t>(at), .b = static_cast<std::uint16_t>(peer), .x = end.session, .flag = true});
  }
}

void world::transmit(const life& from, member_id to, const message& what) {
  if (std::holds_alternative<vote>(what) && on_vote) on_vote(from.node, what);
  fly(from, to, what);
}

void world::transmit(const life& from, member_id to, const pulse& what) { fly(from, to, what); }

void world::fly(const life& from, member_id to_member, std::variant<message, pulse> what) {
  const auto a = from.node;
  const auto b = static_cast<unsigned>(to_index(to_member));
  if (b >= nodes_.size() || b == a) return;
  auto& end = nodes_[a].links[b];
  if (!end.up || network_.cut[a][b]) return;
  ++sent_;
  if (chance_.chance(scenario_.loss + network_.extra_loss)) return;
  const unsigned copies = chance_.chance(scenario_.duplication) ? 2 : 1;
  for (unsigned i = 0; i < copies; ++i) {
    auto arrival = now_ + microseconds(chance_.between(scenario_.delay_least, scenario_.delay_most) + network_.slow[a][b]);
    if (!scenario_.reorders) arrival = std::max(arrival, end.last_arrival + duration(1));
    end.last_arrival = std::max(end.last_arrival, arrival);
    std::uint32_t slot;
    if (free_flights_.empty()) {
      slot = static_cast<std::uint32_t>(flights_.size());
      flights_.emplace_back();
    } else {
      slot = free_flights_.back();
      free_flights_.pop_back();
    }
    flights_[slot] = {from.id, what};
    push({.at = arrival, .type = event_type::message, .a = static_cast<std::uint16_t>(a), .b = static_cast<std::uint16_t>(b),
          .x = end.session, .slot = slot});
  }
}

}  // namespace cohort::sim
