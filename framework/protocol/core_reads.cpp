// Linearizable reads by read index and lease (section 9).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>

namespace cohort::protocol {

/// How long a follower goes on asking before a read is refused.
static constexpr int read_patience = 4;  // times E_max

void core::impl::start_reads() {
  if (reads.fresh.empty() && reads.fresh_remote.empty()) return;
  if (role == core_role::leader && commit >= first_own_entry) {
    reads_under_way::pending_read r;
    // R1: the last index, not the commit index. With acks to all another member may know of a commitment, and have
    // answered a client, before the leader does.
    r.index = mutated(mutation::read_at_commit) ? commit : log.last();
    r.asked = stamp;
    if (!reads.fresh.empty()) {
      r.origin = self();
      r.tags = std::move(reads.fresh);
      reads.unconfirmed.push_back(r);
    }
    for (const auto& [member, id] : reads.fresh_remote) {
      r.origin = member;
      r.id = id;
      r.tags.clear();
      reads.unconfirmed.push_back(r);
    }
    heartbeat_due = true;
  } else if (role != core_role::leader) {
    for (const auto& [member, id] : reads.fresh_remote) {
      send(member, read_reply{id, true, 0});
    }
    if (!reads.fresh.empty()) {
      reads_under_way::asked_read r;
      r.id = ++reads.ids;
      r.tags = std::move(reads.fresh);
      r.since = now;
      reads.asked.push_back(std::move(r));
    }
  } else {
    return;  // R1: a leader answers nothing before it has committed an entry of its own term; they wait here
  }
  reads.fresh.clear();
  reads.fresh_remote.clear();
}

void core::impl::confirm_reads() {
  if (role == core_role::leader && !reads.unconfirmed.empty()) {
    const instant echoed = quorum_echo();
    // R2: counted from the sending of what was echoed, never from its receipt. X2: what is asked behind a VIEW waits until that is
    // applied, so no lease of rules that others may have left already answers.
    const auto span = mutated(mutation::lease_too_long) ? 4 * options.election_max : lease_of(in_force->options);
    const bool leased = options.reads == read_mode::lease && !lease_given_up && now < lease_echo() + span;
    while (!reads.unconfirmed.empty() && (leased || echoed >= reads.unconfirmed.front().asked || mutated(mutation::read_unconfirmed))) {
      auto& r = reads.unconfirmed.front();
      if (r.origin == self())
        reads.confirmed.push_back({r.index, std::move(r.tags)});
      else
        send(r.origin, read_reply{r.id, false, r.index});
      reads.unconfirmed.pop_front();
    }
  }
  for (auto r = reads.asked.begin(); r != reads.asked.end();) {
    if (now - r->since > read_patience * options.election_max) {
      for (const auto tag : r->tags) out.deliveries.emplace_back(deliver_read{tag, true, applied});
      r = reads.asked.erase(r);
      continue;
    }
    if (leader != no_member && leader != self() && (r->asked_of != leader || now - r->sent >= options.heartbeat)) {
      // Asked again under the same number: its tags are those of the first asking, so any answer of the leader asked is
      // taken after all of them began. New reads get a number of their own.
      r->asked_of = leader;
      r->sent = now;
      send(leader, read_request{r->id});
    } else if (role == core_role::leader) {
      reads.fresh.insert(reads.fresh.end(), r->tags.begin(), r->tags.end());
      r = reads.asked.erase(r);
      continue;
    }
    ++r;
  }
}

void core::impl::finish_reads() {
  for (auto r = reads.confirmed.begin(); r != reads.confirmed.end();) {
    if (applied < r->index && !mutated(mutation::read_before_apply)) {
      ++r;
      continue;
    }
    for (const auto tag : r->tags) out.deliveries.emplace_back(deliver_read{tag, false, applied});
    r = reads.confirmed.erase(r);
  }
}

void core::impl::refuse_reads() {
  for (auto& r : reads.unconfirmed) {
    if (mutated(mutation::read_after_step_down)) {
      if (r.origin == self())
        reads.confirmed.push_back({r.index, std::move(r.tags)});
      else
        send(r.origin, read_reply{r.id, false, r.index});
    } else if (r.origin == self()) {
      reads.asked.push_back({++reads.ids, std::move(r.tags), now, {}, no_member});
    } else {
      send(r.origin, read_reply{r.id, true, 0});
    }
  }
  reads.unconfirmed.clear();
}

void core::impl::reads_lost_leader() {
  for (auto& r : reads.asked) r.asked_of = no_member;
  // The index may be that of an entry which was lost with the leader who named it: nothing need ever reach it.
  for (auto r = reads.confirmed.begin(); r != reads.confirmed.end();) {
    if (r->index <= applied || mutated(mutation::reads_wait_for_lost_entry) || mutated(mutation::read_before_own_commit)) {
      ++r;
      continue;
    }
    reads.asked.push_back({++reads.ids, std::move(r->tags), now, {}, no_member});
    r = reads.confirmed.erase(r);
  }
}

void core::impl::receive_read_request(voter_id from, const read_request& r) {
  if (!has_state) return;
  if (reads.fresh_remote.size() < 4096) reads.fresh_remote.emplace_back(from.member, r.id);
}

void core::impl::receive_read_reply(voter_id from, const read_reply& r) {
  for (auto it = reads.asked.begin(); it != reads.asked.end(); ++it) {
    if (it->id != r.id || it->asked_of != from.member) continue;
    if (r.refused) {
      it->sent = now;  // asked again after a heartbeat, or of the next leader as soon as it is known
      return;
    }
    reads.confirmed.push_back({r.index, std::move(it->tags)});
    reads.asked.erase(it);
    return;
  }
}

}  // namespace cohort::protocol
