// What is kept, where, and for whom (sections 8, 17).
#include "framework/contract/rules.hpp"

namespace cohort::contracts {

void actions_need_what_lasts(const situation& s, ruling& r) {
  const auto& c = s.c;
  if (!c.action_participant) return;
  const auto none = c.with(&contract::action_participant, false);
  if (!s.has(order::total))
    r.reject("a participant of atomic actions in a group without total order",
             "all replicas must take locks and decide in one order (A1)", {"action_participant", "orders"},
             {none, enabling(c, order::total)});
  const bool copies = s.is(failure_model::fail_stop) && c.volatile_participant && s.n() >= 2;
  if (s.is_volatile() && !copies) {
    std::vector<contract> remedies{c.with(durability::journaled), none};
    if (s.is(failure_model::fail_stop) && s.n() >= 2) remedies.push_back(c.with(&contract::volatile_participant, true));
    if (c.volatile_participant && s.n() >= 2) remedies.push_back(c.with(&contract::model, failure_model::fail_stop));
    r.reject("a participant of atomic actions in a volatile group",
             "what it has prepared must outlast a restart of all, or actions end half done",
             {"durability", "action_participant"}, std::move(remedies));
  }
}

void promises_need_storage(const situation& s, ruling& r) {
  if (s.is_volatile()) {
    if (!s.roster.founding_guarded)
      r.reject("a volatile group whose founders may restart and found it again",
               "two groups of one name would both be right (V19)", {"durability"}, {s.c.with(durability::journaled)});
    return;
  }
  if (!s.node.stable_storage)
    r.reject("a journaled group on a node without stable storage", "its promises live on disk (D9)", {"durability"},
             {s.c.with(durability::in_memory)});
  else if (!s.node.flushes)
    r.warn("a journaled group on a disk that is not flushed", "a power cut takes back what was acknowledged",
           {"durability"});
}

void retention_has_room(const situation& s, ruling& r) {
  const auto& c = s.c;
  if (c.reliability != reliability::all_members) return;
  if (c.retain_bytes == 0 || c.retain_time.count() == 0) {
    auto kept = c;
    if (kept.retain_bytes == 0) kept.retain_bytes = std::max<std::uint64_t>(c.checkpoint_bytes, 64u << 20);
    if (kept.retain_time.count() == 0) kept.retain_time = std::chrono::hours(1);
    r.reject(std::string("reliability for all members with ") + (c.retain_bytes == 0 ? "retain_bytes" : "retain_time") +
                 " = 0",
             "what is kept for nobody cannot reach a member that was away (S4)",
             {c.retain_bytes == 0 ? "retain_bytes" : "retain_time", "reliability"},
             {kept, c.with(&contract::reliability, reliability::present)});
    return;
  }
  if (c.replication != replication::none && c.retain_bytes < c.checkpoint_bytes)
    r.warn("retain_bytes of " + bytes_text(c.retain_bytes) + " is below checkpoint_bytes of " +
               bytes_text(c.checkpoint_bytes),
           "a member that is away for longer than one checkpoint always needs a whole one",
           {"retain_bytes", "checkpoint_bytes"});
  const auto seconds = static_cast<std::uint64_t>(std::max<std::int64_t>(0, c.retain_time.count())) / 1000;
  if (c.rate_bytes_max != 0 && seconds != 0 && c.retain_bytes / seconds < c.rate_bytes_max)
    r.warn("retain_bytes of " + bytes_text(c.retain_bytes) + " does not hold what one member may send in " +
               time_text(c.retain_time),
           "the time is promised only below that rate", {"retain_bytes", "retain_time"});
}

void replicas_are_deterministic(const situation& s, ruling& r) {
  if (s.c.on_divergence == divergence_policy::stop && s.c.compare_every == 0)
    r.reject("replicas that differ are to stop, and compare_every is 0", "what is never compared is never found to differ",
             {"compare_every", "on_divergence"},
             {s.c.with(&contract::compare_every, contract{}.compare_every), s.c.with(divergence_policy::report)});
  if (s.c.deterministic || s.c.replication != replication::active) return;
  r.reject("active replication of a handler that is not deterministic",
           "replicas would part without a failure; let one execute and send its updates",
           {"replication", "deterministic"}, {s.c.with(replication::primary_backup), s.c.with(replication::none)});
}

}  // namespace cohort::contracts
