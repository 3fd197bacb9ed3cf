// Linearizable reads by read index and lease (section 9).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>

namespace cohort::protocol {

/// How long a follower goes on asking before a read is refused.
static constexpr int read_patience = 4;  // times E_max

void core::impl::start_reads() {
  if (new_reads.empty() && new_remote_reads.empty()) return;
  if (role == core_role::leader && commit >= first_own_entry) {
    pending_read r;
    // R1: the last index, not the commit index. With acks to all another member may know of a commitment, and have
    // answered a client, before the leader does.
    r.index = mutated(mutation::read_at_commit) ? commit : log.last();
    r.asked = stamp;
    if (!new_reads.empty()) {
      r.origin = self();
      r.tags = std::move(new_reads);
      leader_reads.push_back(r);
    }
    for (const auto& [member, id] : new_remote_reads) {
      r.origin = member;
      r.id = id;
      r.tags.clear();
      leader_reads.push_back(r);
    }
    heartbeat_due = true;
  } else if (role != core_role::leader) {
    for (const auto& [member, id] : new_remote_reads) {
      send(member, read_reply{id, true, 0});
    }
    if (!new_reads.empty()) {
      asked_read r;
      r.id = ++read_ids;
      r.tags = std::move(new_reads);
      r.since = now;
      follower_reads.push_back(std::move(r));
    }
  } else {
    return;  // R1: a leader answers nothing before it has committed an entry of its own term; they wait here
  }
  new_reads.clear();
  new_remote_reads.clear();
}

void core::impl::confirm_reads() {
  if (role == core_role::leader && !leader_reads.empty()) {
    const instant echoed = quorum_echo();
    // R2: counted from the sending of what was echoed, never from its receipt. X2: what is asked behind a VIEW waits until that is
    // applied, so no lease of rules that others may have left already answers.
    const auto span = mutated(mutation::lease_too_long) ? 4 * options.election_max : lease_of(in_force->options);
    const bool leased = options.reads == read_mode::lease && !lease_given_up && now < lease_echo() + span;
    while (!leader_reads.empty() && (leased || echoed >= leader_reads.front().asked || mutated(mutation::read_unconfirmed))) {
      auto& r = leader_reads.front();
      if (r.origin == self())
        ready_reads.push_back({r.index, std::move(r.tags)});
      else
        send(r.origin, read_reply{r.id, false, r.index});
      leader_reads.pop_front();
    }
  }
  for (auto r = follower_reads.begin(); r != follower_reads.end();) {
    if (now - r->since > read_patience * options.election_max) {
      for (const auto tag : r->tags) out.deliveries.emplace_back(deliver_read{tag, true, applied});
      r = follower_reads.erase(r);
      continue;
    }
    if (leader != no_member && leader != self() && (r->asked_of != leader || now - r->sent >= options.heartbeat)) {
      // Asked again under the same number: its tags are those of the first asking, so any answer of the leader asked is
      // taken after all of them began. New reads get a number of their own.
      r->asked_of = leader;
      r->sent = now;
      send(leader, read_request{r->id});
    } else if (role == core_role::leader) {
      new_reads.insert(new_reads.end(), r->tags.begin(), r->tags.end());
      r = follower_reads.erase(r);
      continue;
    }
    ++r;
  }
}

void core::impl::finish_reads() {
  for (auto r = ready_reads.begin(); r != ready_reads.end();) {
    if (applied < r->index && !mutated(mutation::read_before_apply)) {
      ++r;
      continue;
    }
    for (const auto tag : r->tags) out.deliveries.emplace_back(deliver_read{tag, false, applied});
    r = ready_reads.erase(r);
  }
}

void core::impl::refuse_reads() {
  for (auto& r : leader_reads) {
    if (mutated(mutation::read_after_step_down)) {
      if (r.origin == self())
        ready_reads.push_back({r.index, std::move(r.tags)});
      else
        send(r.origin, read_reply{r.id, false, r.index});
    } else if (r.origin == self()) {
      follower_reads.push_back({++read_ids, std::move(r.tags), now, {}, no_member});
    } else {
      send(r.origin, read_reply{r.id, true, 0});
    }
  }
  leader_reads.clear();
}

void core::impl::reads_lost_leader() {
  for (auto& r : follower_reads) r.asked_of = no_member;
  // The index may be that of an entry which was lost with the leader who named it: nothing need ever reach it.
  for (auto r = ready_reads.begin(); r != ready_reads.end();) {
    if (r->index <= applied || mutated(mutation::reads_wait_for_lost_entry) || mutated(mutation::read_before_own_commit)) {
      ++r;
      continue;
    }
    follower_reads.push_back({++read_ids, std::move(r->tags), now, {}, no_member});
    r = ready_reads.erase(r);
  }
}

void core::impl::receive_read_request(voter_id from, const read_request& r) {
  if (!has_state) return;
  if (new_remote_reads.size() < 4096) new_remote_reads.emplace_back(from.member, r.id);
}

void core::impl::receive_read_reply(voter_id from, const read_reply& r) {
  for (auto it = follower_reads.begin(); it != follower_reads.end(); ++it) {
    if (it->id != r.id || it->asked_of != from.member) continue;
    if (r.refused) {
      it->sent = now;  // asked again after a heartbeat, or of the next leader as soon as it is known
      return;
    }
    ready_reads.push_back({r.index, std::move(it->tags)});
    follower_reads.erase(it);
    return;
  }
}

}  // namespace cohort::protocol
