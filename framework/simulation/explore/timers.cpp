// When the timeouts of a member fire, which are all that moves its clock.
#include "framework/protocol/detection_bounds.hpp"
#include "framework/simulation/explore/member.hpp"

namespace cohort::sim::explore {

using namespace protocol;
using namespace std::chrono_literals;

std::optional<instant> member::timer(input::kind k, const core_options& options) const {
  if (!up) return std::nullopt;
  const auto& in = inside();
  const bool leads = in.role == core_role::leader;
  if (k == input::kind::beat) return now + 2 * options.heartbeat;
  if (k == input::kind::elect) {
    // With contact to a leader its time comes, too, but nobody would grant a pre-vote.
    const bool contact = in.leader_contact != instant::min() && now - in.leader_contact < options.election_min;
    if (in.has_state && !leads && !contact && in.election_at != never) return std::max(now, in.election_at);
    return std::nullopt;
  }
  if (!leads) return std::nullopt;
  if (k == input::kind::suspect) {
    instant at = now;
    for (const auto& p : in.peers) {
      const auto* r = find(*in.in_force, p.id);
      if (p.reset_at != never && r && r->active) at = std::max(at, std::max(p.echo, p.reset_at) + options.election_min + 1ns);
    }
    if (at > now) return at;
  }
  if (k == input::kind::ended) {
    instant at = now;
    for (const auto& p : in.peers) {
      const auto* r = find(*in.in_force, p.id);
      if (p.reset_at != never && r && r->active) at = std::max(at, p.reset_at + reset_patience(options) + 1ns);
    }
    if (at > now) return at;
  }
  if (k == input::kind::lapse) {
    instant at = never;
    const auto due = [&](instant t) { at = t > now ? std::min(at, t) : at; };
    for (const auto& r : in.in_force->roster) {
      const auto* p = r.active && r.id != id() ? in.known_peer(r.id) : nullptr;
      if (!p || in.superseded(*p)) continue;
      const auto heard = std::max(p->rhythm.last_heard(), p->watched_from);
      if (p->suspected_since == never) {
        due(heard + options.election_min);
        continue;
      }
      due(p->probe_sent + options.heartbeat);
      due(std::max(heard + options.election_max, p->suspected_since + options.election_min));
    }
    if (at != never) return at;
  }
  if (k == input::kind::expire && in.change.running && !in.change.proposed) {
    instant at = in.change.started + options.wedge_wait;
    if (in.change.pull_started != never) at = std::max(at, in.change.pull_started + options.pull_wait + 1ns);
    if (at > now) return at;
  }
  return std::nullopt;
}

}  // namespace cohort::sim::explore
