// The table of guarantees, and what each order costs (sections 5, 11 to 15).
#include "framework/contract/explain.hpp"
#include "framework/contract/total_cost.hpp"

namespace cohort::contracts {
namespace {

std::string frames(unsigned n, const char* what) { return std::to_string(n) + ' ' + what; }

/// Batches go to all that hold payload, entries and acknowledgements to all (L6, C4, W1).
std::string frames_of(order o, const situation& s) {
  const unsigned to_data = s.q.data > 0 ? s.q.data - 1 : 0, to_all = s.n() > 0 ? s.n() - 1 : 0;
  if (s.is(failure_model::byzantine))
    return frames(to_data, "batches") + " + " + frames(s.n() * to_all, "signatures") +
           (is_safe(o) ? " + 2 x (" + frames(to_all, "blocks") + " + " + frames(s.n() * to_all, "votes") + ")" : "") +
           " (B3, B10)";
  auto text = frames(to_data, "batches");
  if (o == order::total) {
    const auto cost = total_cost_of(s.c, s.q);
    text += " + " + frames(to_all, "appends") + " + " + frames(cost.acks, "acks");
    if (cost.told > 0)
      text += " to the leader + " + frames(cost.told, "commits");
    else if (cost.acks < s.n() * to_all)
      text += " from and to the leader";
    text += " (L6, C4)";
  } else if (is_safe(o))
    text += " + " + frames(s.q.data * to_data, "acks") + " (L6, L8)";
  else
    text += "; " + frames(s.q.data * to_data, "acks") + ", which nobody waits for (L6, L8)";
  return text;
}

std::string delays_of(order o, const situation& s) {
  if (s.n() <= 1) return "none: there is nobody to ask (V18)";
  if (s.is(failure_model::byzantine))
    return is_safe(o) ? "6: batch, signatures, block, votes, next block, votes (B3, B10)"
                      : "2: batch, signatures (B3, B7)";
  const std::string causal = o == order::causal || o == order::safe_causal ? ", and its causal past (L5)" : "";
  if (o == order::total) {
    const auto cost = total_cost_of(s.c, s.q);
    if (cost.from_other == cost.from_leader)
      return "2, that is 1 round trip: the leader's own messages append, ack; the others' batch, append, with which the "
             "leader's ack comes (C4, C9)";
    return std::to_string(cost.from_leader) + " for the leader's own messages, " + std::to_string(cost.from_other) +
           " for the others': batch, append, ack" +
           (cost.told > 0 ? ", commit; that is 1 round trip, and 2 (C4, C9)" : "; that is 1 round trip, and 1.5 (C4, C9)");
  }
  if (is_safe(o)) return "2, that is 1 round trip: batch, ack (S of section 5)" + causal;
  return "1: batch (section 5)" + causal;
}

std::string flushes_of(order o, const situation& s) {
  if (s.is_volatile()) return "none: volatile";
  if (!is_safe(o)) return "none on the way; written at every member behind the delivery";
  if (s.is(failure_model::byzantine)) return "3 on the way: signature, vote, vote (B2, B9)";
  return o == order::total ? "1 on the way, at all members at the same time; the payload's and the entry's are one (D9)"
                           : "1 on the way, at all members at the same time (D9, L8)";
}

std::string order_words(order o) {
  switch (o) {
    case order::unordered:
      return "no order but the borders of views";
    case order::fifo:
      return "each sender's order";
    case order::safe_fifo:
      return "each sender's order, uniform";
    case order::causal:
      return "causal order";
    case order::safe_causal:
      return "causal order, uniform";
    case order::total:
      return "one total order, uniform, prefix by prefix, causal in all of its past (O6)";
  }
  return "?";
}

}  // namespace

order_cost cost_of(order o, const situation& s) {
  order_cost cost{delays_of(o, s), frames_of(o, s), flushes_of(o, s), order_words(o) + "; no duplicates (F1)", ""};
  if (s.is(failure_model::byzantine)) {
    cost.promised += is_safe(o) ? "; equal at all honest members, on f + 1 equal answers"
                                : "; never two messages at one place of a lane";
    cost.not_promised = is_safe(o) ? "secrecy; fairness beyond B17" : "view synchrony for what no committed cut covers";
    return cost;
  }
  if (!is_safe(o)) {
    if (s.c.atomic) cost.promised += "; all or none of the members that stay (V15); delivered if the sender stays";
    cost.not_promised =
        "survival if the sender and all who received it fail; uniformity: a member that fails may have delivered "
        "what nobody else does";
  } else {
    cost.promised += "; delivered anywhere, even at a member that then fails, is delivered by all";
    cost.promised +=
        o == order::total
            ? (s.is_volatile() ? "" : "; across restarts of all members")
            : (s.is_volatile() ? ""
                               : "; survives any number of restarts, " + std::to_string(s.q.stable) + " disks hold it");
    if (o == order::total)
      cost.not_promised = "progress without a quorum";
    else
      cost.not_promised = s.is_volatile() ? "survival of a power failure of all"
                                          : "survival of the loss of " + std::to_string(s.q.stable) + " disks";
  }
  if (s.is_partitionable())
    cost.not_promised += "; a single history: all of this holds inside one component's view (section 15)";
  if (s.is(failure_model::timing)) {
    if (is_safe(o))
      cost.promised += "; at timely members delivered by the deadline or expired everywhere (TM6)";
    else
      cost.not_promised += "; all or none by the deadline";
    cost.not_promised += "; any bound at members that are late";
  } else if (s.c.deadline.count() > 0) {
    cost.promised += o == order::total ? "; delivered, or expired everywhere, as the log decides (DL1)" : "";
    cost.not_promised += o == order::total
                             ? "; delivery by the deadline at a member that is slow: it is flagged late (DL2)"
                         : s.c.lossy ? "; delivery of what is late: it is dropped (DL2)"
                                     : "; expiry: what is late is flagged, by each receiver's own clock (DL2, DL3)";
  }
  return cost;
}

std::vector<std::string> survived(const situation& s) {
  std::vector<std::string> all;
  const auto f = s.c.failures_tolerated > 0 ? std::min(s.c.failures_tolerated, s.q.tolerated) : s.q.tolerated;
  const auto members = std::to_string(f) + (f == 1 ? " member" : " members");
  if (s.is(failure_model::byzantine)) {
    if (f > 0) all.push_back(members + " that do anything, at the same time, between two views (section 14)");
  } else if (f > 0) {
    all.push_back("the crash of any " + members +
                  " at the same time, between two views, without a pause beyond the bounds below (" +
                  (s.is_partitionable()             ? "P2"
                   : s.is(failure_model::fail_stop) ? "FS6"
                                                    : "D7") +
                  ")");
  }
  if (s.is_partitionable())
    all.push_back("a partition: every side goes on, and they merge, " + std::string(to_string(s.c.merge)) +
                  " (P3, P7)");
  else
    all.push_back(
        "a partition: the side with a quorum goes on, the others stop, say so, and come back by themselves (V17)");
  if (s.c.minority_multicast)
    all.push_back("... and a minority goes on with unordered, fifo and causal messages (V17)");
  if (s.c.shrink)
    all.push_back("more failures one after another, down to " +
                  std::to_string(s.c.min_voters > 0  ? s.c.min_voters
                                 : s.c.witnesses > 0 ? 2u
                                                     : 3u) +
                  " voters (V16)");
  if (!s.is_volatile()) {
    all.push_back("the restart of any number of members, and of all, by kill -9 or power cut (D9, S8)");
    if (s.is_partitionable())
      all.push_back("the loss of a disk: its node begins anew, and its empty state is merged with the others' (P7)");
    else if (f > 0)
      all.push_back("the loss of a disk: its node comes back as a learner, and votes once it has caught up (D3, S7)");
  }
  if (s.c.links == link_security::authenticated)
    all.push_back("strangers in the network: links are authenticated (M3)");
  return all;
}

std::vector<std::string> not_survived(const situation& s) {
  std::vector<std::string> all;
  if (s.is_partitionable())
    all.push_back("a single history while partitioned (P8)");
  else if (s.q.tolerated == 0)
    all.push_back("any failure: it stops until all are back (D7)");
  else if (!s.is(failure_model::fail_stop))
    all.push_back(std::to_string(s.q.tolerated + 1) +
                  " members away: it stops, answers nothing wrong, and goes on when " + std::to_string(s.q.quorum) +
                  " are back (D7)");
  if (s.is_volatile() && s.is_partitionable())
    all.push_back("a restart of all: a state is where somebody lives who has it (P7)");
  else if (s.is_volatile())
    all.push_back("a restart of a majority: a life's promises end with it, and a new epoch is needed (PA1, V19)");
  else if (!s.is(failure_model::byzantine))
    all.push_back("the loss of " + std::to_string(s.q.stable) + " disks at once (D8)");
  if (s.c.witnesses > 0)
    all.push_back("with all but one data member away there is one copy only" +
                  std::string(s.c.min_copies > 1 ? "; min_copies stops commits before that (W4)" : " (W4)"));
  if (!s.is(failure_model::byzantine)) all.push_back("members that lie (section 14)");
  if (s.c.links == link_security::open) all.push_back("strangers in the network: links are not authenticated");
  if (s.is(failure_model::fail_stop))
    all.push_back(
        "clocks, pauses or watchdogs that break FS-A: then two sides may act; and progress stops until a lost member's "
        "lease is over (FS12)");
  if (s.c.reads == reads::lease)
    all.push_back("stale reads, if a clock's rate errs by more than " + std::to_string(s.c.clock_rate_ppm) +
                  " ppm (R2)");
  if (s.c.replication == replication::active) all.push_back("a state machine that is not deterministic");
  return all;
}

}  // namespace cohort::contracts
