#include "framework/contract/explain.hpp"

#include <algorithm>
#include <bit>

namespace cohort {
namespace contracts {
namespace {

constexpr std::uint64_t place_bytes_max = 8u << 20;    // of a volatile group that has its node to itself
constexpr std::uint64_t batch_bytes = 64u << 10;
constexpr std::uint64_t journal_backlog = 64u << 20;

/// One for each kind that the orders need, of each member that holds payload.
unsigned lanes_of(const situation& s) {
  const bool plain = s.has(order::unordered) || s.has(order::fifo) || s.has(order::safe_fifo);
  const bool causal = s.has(order::causal) || s.has(order::safe_causal) || s.has(order::total);
  return s.q.data * ((plain ? 1u : 0u) + (causal ? 1u : 0u));
}

/// Text in sections of indented lines.
class page {
public:
  void title(const std::string& text) { text_ += text + '\n'; }
  void line(const std::string& text) { text_ += "  " + text + '\n'; }
  void line(const std::string& name, const std::string& text) {
    text_ += "  " + name + std::string(name.size() < 16 ? 16 - name.size() : 1, ' ') + text + '\n';
  }
  std::string take() { return std::move(text_); }

private:
  std::string text_;
};

void headline(page& p, const situation& s) {
  const auto& c = s.c;
  std::string orders;
  for (std::size_t i = 0; i < order_count; ++i) {
    const auto o = static_cast<order>(i);
    if (s.has(o))
      orders += (orders.empty() ? "" : ", ") + std::string(to_string(o)) +
                (o == c.default_order && c.orders != order_set{o} ? " (default)" : "");
  }
  p.title(orders + "; " + to_string(c.durability) + "; " + to_string(c.model) + " model; " + to_string(c.partitions) +
          " partition; " + to_string(c.reads) + " reads; links " +
          (c.links == link_security::open ? "not authenticated" : "authenticated") +
          (c.sessions ? "; sessions: requests are executed exactly once (F2)" : "") +
          (c.calls ? "; calls: members' answers are collated" : ""));
}

void members(page& p, const situation& s) {
  const auto& q = s.q;
  p.title("members");
  p.line("members", "n = " + std::to_string(q.members) +
                        (q.data == q.members ? ", all with payload"
                                             : ", w = " + std::to_string(s.c.witnesses) +
                                                   " witnesses, D = " + std::to_string(q.data) + " with payload (W1)"));
  const bool all = s.is_partitionable() || s.is(failure_model::fail_stop);
  p.line("quorum", "Q = " + std::to_string(q.quorum) +
                       (all ? " at first: all active members of the view (" +
                                  std::string(s.is_partitionable() ? "P2" : "FS6") + ")"
                        : s.is(failure_model::byzantine) ? " = ceil((n + f + 1) / 2) (section 14)"
                                                         : " = floor(n / 2) + 1 (D7)"));
  p.line("stable", "h = " + std::to_string(q.stable) + " holders: no tolerated failure loses the message (" +
                       (all                              ? (s.is_partitionable() ? "P2" : "FS6")
                        : s.is(failure_model::byzantine) ? "B3"
                                                         : "D8") +
                       ")");
  p.line("tolerates",
         "f = " +
             std::to_string(s.c.failures_tolerated > 0 ? std::min(s.c.failures_tolerated, q.tolerated) : q.tolerated) +
             " failures at the same time");
  p.line("slow members", s.c.slow == slow_member::exclude
                             ? "are excluded after " + time_text(s.c.fail_after) +
                                   " without progress, and come back by a checkpoint (FC4, PA21)"
                         : s.c.slow == slow_member::wait ? "are waited for by all (FC4)"
                                                         : "make the group refuse submissions (FC4)");
  p.line("members away",
         s.c.reliability == reliability::present
             ? "get a checkpoint and the log behind it when they are back (S5, S7)"
             : "get what they missed up to " + bytes_text(s.c.retain_bytes) + " and " + time_text(s.c.retain_time) +
                   ", beyond that " +
                   (s.c.replication == replication::none ? "a notice of what is missing (S4)" : "a checkpoint (S4)"));
}

void orders(page& p, const situation& s) {
  p.title("messages, with n - 1 = " + std::to_string(s.n() > 0 ? s.n() - 1 : 0) +
          " others; delays are those of one message in the network");
  for (std::size_t i = 0; i < order_count; ++i) {
    const auto o = static_cast<order>(i);
    if (!s.has(o)) continue;
    const auto cost = cost_of(o, s);
    p.line(to_string(o), "delays: " + cost.delays);
    p.line("", "frames: " + cost.messages);
    p.line("", "flushes: " + cost.flushes);
    p.line("", "promised: " + cost.promised);
    if (!cost.not_promised.empty()) p.line("", "not promised: " + cost.not_promised);
  }
}

void changes(page& p, const situation& s) {
  p.title("changes");
  if (s.is(failure_model::byzantine)) {
    p.line("view change",
           "certified blocks as for a message, a checkpoint that Q members sign, and its certificate (B20, B21)");
    p.line("new leader", "2 delays: time-outs of Q members, a block on the highest certificate (B11)");
    return;
  }
  p.line("view change",
         "4 delays, that is 2 round trips: wedge, report, view entry, acks; what a reporter alone held is pulled first "
         "(V2 to V12)" +
             std::string(s.is_volatile() ? "" : "; 1 flush"));
  if (s.is(failure_model::fail_stop))
    p.line("new leader", "2 delays to the authority for the grant, 2 for the reports (FS3, FS7)");
  else if (!s.is_partitionable())
    p.line("new leader", "6 delays, that is 3 round trips: pre-vote, vote, first entry (E3, E4, C8)" +
                             std::string(s.is_volatile() ? "" : "; 2 flushes"));
  else
    p.line("merge", "4 delays to the new view, then each side's state once (P3 to P7)");
}

void reading(page& p, const situation& s) {
  p.title("reads");
  if (s.has(order::total) && s.is(failure_model::byzantine)) {
    p.line("linearizable", "1 round trip to Q members with equal answers, else in the order (B15)");
  } else if (s.has(order::total)) {
    const std::string within = s.is_partitionable() ? "; within the component (P2)" : "";
    const bool leases = s.c.reads == reads::lease;
    if (s.c.reads != reads::local && !leases)
      p.line(
          "linearizable",
          s.n() <= 1
              ? "no message"
              : "1 round trip to a quorum at the leader, 1 more at another member; shared by all reads that wait (R1)" +
                    within);
    if (leases) {
      const auto limit = lease_limit(s.c);
      const auto lease = s.c.lease.count() > 0 ? std::chrono::microseconds(s.c.lease) : limit;
      p.line("lease", "no message at the leader, 1 round trip at another member, while the lease of " +
                          std::to_string(lease.count() / 1000) + " ms of " + std::to_string(limit.count() / 1000) +
                          " ms allowed lasts (R2); a leader is not replaced before its end (E5)");
    }
  }
  p.line("local", "no message, no quorum; may be stale, and says how old it is (R4)");
}

void times(page& p, const situation& s) {
  const auto b = bounds_of(s.c);
  p.title(
      "time, from the last sign of life of whoever fails, while the network delivers and no two candidates split the "
      "votes");
  const std::string flushes = s.is_volatile() ? "" : " + 2 flushes";
  if (s.is(failure_model::byzantine)) {
    p.line("leader", "noticed within " + time_text(b.leader_detected) + ", doubled with each attempt that fails (B11)");
  } else if (s.is(failure_model::fail_stop)) {
    p.line("any member", "noticed within " + time_text(b.member_detected) + ", excluded within " +
                             time_text(b.member_excluded) + ": its lease has to end, twice (FS4, FS12)");
  } else {
    if (!s.is_partitionable()) {
      p.line("leader", "noticed within " + time_text(b.leader_detected) + " = 2 election_min (E7)");
      p.line("", "a connection that its end reset is noticed at once" +
                     std::string(s.c.reads == reads::lease ? ", but its lease of up to " + time_text(s.c.election_min) +
                                                                 " is waited for (E5, R2)"
                                                           : " (decided by the election, never by the reset)"));
      p.line("", "replaced within " + time_text(b.failover) + " + 3 round trips" + flushes);
    }
    p.line("member", "noticed within " + time_text(b.member_detected) +
                         " = fail_after + heartbeat (V1, PA7); with a reset connection " +
                         time_text(s.c.election_min + s.c.heartbeat) + "; " +
                         time_text(std::max(s.c.heartbeat, s.c.election_min / 4) + s.c.heartbeat) +
                         " if another member says the same of its own (V24)");
    p.line("", "excluded within " + time_text(b.member_excluded) + " + 2 round trips" +
                   (s.is_volatile() ? "" : " + 1 flush") + " (V6)");
  }
  if (s.c.deadline.count() > 0) p.line("deadline", time_text(s.c.deadline) + " from the submission (DL1)");
  if (s.is(failure_model::timing) && s.c.delay_bound.count() > 0)
    p.line("termination",
           time_text(3 * s.c.delay_bound + std::chrono::ceil<std::chrono::milliseconds>(2 * s.node.clock_error)) +
               (s.is_volatile() ? "" : " + 1 flush") + " without a failure; " +
               time_text(3 * s.c.delay_bound + b.failover) + " more to ride over one (TM5)");
  p.line("answer", "a submission is told `unknown` after " + time_text(s.c.outcome_bound) + " (O10)");
}

void memory(page& p, const situation& s) {
  const auto& c = s.c;
  const auto b = memory_of(s);
  p.title("memory of a member, at most, beside the application's own state");
  p.line("in flight", bytes_text(b.lanes) + ": " + std::to_string(lanes_of(s)) + " lanes of two windows, with what is sent again (FC1, FC2)");
  p.line("unfinished", bytes_text(b.unfinished) + ": a message of each member in each order, of which parts have come (L10)");
  if (s.is_volatile())
    p.line("already applied", bytes_text(b.kept) + ": payload behind the older of two places (S2, S3)");
  else
    p.line("since checkpoint", bytes_text(b.kept) + ": payload since the older of two checkpoints, each after " +
                                 bytes_text(c.checkpoint_bytes) + ", or the state's size if that is larger (S2, S3)");
  p.line("for a learner", bytes_text(b.fed) + " instead, or twelve times the state's size if that is larger, while somebody is "
                                              "given its state and catches up (FC4)");
  if (b.disk > 0) p.line("for the disk", bytes_text(b.disk) + ": payload that is not on it yet (FC4)");
  p.line("to be applied", bytes_text(b.applied) + ": two backlogs");
  if (b.away > 0) p.line("for others", bytes_text(b.away) + ": retained (S4)");
  p.line("submitted", bytes_text(c.queue_bytes) + " a port");
  const auto always = b.lanes + b.unfinished + b.disk + b.applied + b.away;
  p.line("together", bytes_text(always + b.kept) + ", with a learner " + bytes_text(always + b.fed) + ", and the ports");
}

}  // namespace

memory_bounds memory_of(const situation& s) {
  const auto& c = s.c;
  const std::uint64_t window = c.lane_window, part = std::clamp<std::uint64_t>(window / 32, 16u << 10, 256u << 10);
  const std::uint64_t distance = s.is_volatile() ? std::min<std::uint64_t>(c.checkpoint_bytes, place_bytes_max) : c.checkpoint_bytes;
  memory_bounds b;
  b.lanes = (std::uint64_t{lanes_of(s)} + 2) * (2 * window + 2 * (part + batch_bytes));
  b.unfinished = s.q.data * static_cast<std::uint64_t>(std::popcount(c.orders.bits())) * c.message_bytes_max;
  b.kept = 2 * distance;
  b.fed = 12 * std::max(distance, window);
  b.disk = s.is_volatile() ? 0 : journal_backlog;
  b.away = c.reliability == reliability::all_members ? c.retain_bytes : 0;
  b.applied = 2 * std::uint64_t{c.backlog_bytes};
  return b;
}

}  // namespace contracts

std::string explain(const contract& what, const roster_facts& members, const node_facts& nodes) {
  using namespace contracts;
  const situation s{what, members, nodes, quorums_of(what, members.members)};
  page p;
  headline(p, s);
  contracts::members(p, s);
  orders(p, s);
  reading(p, s);
  changes(p, s);
  p.title("survives");
  for (const auto& line : survived(s)) p.line("- " + line);
  p.title("does not survive");
  for (const auto& line : not_survived(s)) p.line("- " + line);
  times(p, s);
  memory(p, s);
  const auto missing = not_built(what);
  if (!missing.empty()) p.title("not built yet, so no node starts this contract");
  for (const auto& m : missing) p.line("- " + m.field + ": " + m.what);
  return p.take();
}

}  // namespace cohort
