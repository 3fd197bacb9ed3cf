// Timers, leases, deadlines (sections 4, 9, 10, 13).
#include "framework/contract/rules.hpp"

namespace cohort::contracts {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

contract for_crashes(const contract& c) { return c.with(&contract::model, failure_model::crash); }
contract without_deadline(const contract& c) { return c.with(&contract::deadline, milliseconds(0)); }

/// From sealing to delivery while nobody fails: batch, append, acknowledgements (TM5). The disk comes on top.
milliseconds termination(const situation& s, milliseconds delay) {
  return 3 * delay + std::chrono::ceil<milliseconds>(2 * s.node.clock_error);
}

}  // namespace

microseconds lease_limit(const contract& c) {
  const auto rate = 1'000'000 - static_cast<std::int64_t>(std::min(c.clock_rate_ppm, 1'000'000u));
  return microseconds(milliseconds(c.election_min).count() * rate / 1000) - c.clock_margin;
}

void deadlines_need_a_clock(const situation& s, ruling& r) {
  if (s.is(failure_model::timing) && !s.node.interval_clock)
    r.reject("the timing model on nodes whose clocks yield no intervals",
             "timely and late can be told apart only if the error of both clocks is known (CK1, TM2)", {"model"},
             {for_crashes(s.c)});
  if (s.c.deadline.count() <= 0) return;
  if (s.has(order::total) && !s.node.interval_clock) {
    std::vector<contract> remedies{without_deadline(s.c)};
    if (auto less = disabling(s.c, order::total); !less.orders.empty()) remedies.push_back(less);
    r.reject("deadlines of total messages on nodes whose clocks yield no intervals",
             "whether a message has expired is decided in the log, by the leader's interval (DL1)",
             {"deadline", "orders"}, std::move(remedies));
  }
  if (s.node.interval_clock && 4 * s.node.clock_error > s.c.deadline)
    r.warn("clocks are " + std::to_string(s.node.clock_error.count()) + " us wide and the deadline is " +
               time_text(s.c.deadline),
           "messages expire up to that much too early", {"deadline"});
}

void timing_needs_a_bound(const situation& s, ruling& r) {
  if (!s.is(failure_model::timing) || s.c.delay_bound.count() != 0) return;
  r.reject("the timing model without a delay_bound", "late is what takes longer than was declared (TM1)",
           {"delay_bound", "model"},
           {s.c.with(&contract::delay_bound, milliseconds(100)), s.c.with(&contract::delay_bound, milliseconds(1)),
            for_crashes(s.c)});
}

void deadline_can_be_met(const situation& s, ruling& r) {
  const auto& c = s.c;
  if (!s.is(failure_model::timing) || c.deadline.count() <= 0 || c.delay_bound.count() <= 0) return;
  const auto needed = termination(s, c.delay_bound);
  if (c.deadline >= needed) return;
  std::vector<contract> remedies{without_deadline(c), for_crashes(c)};
  if (needed <= std::chrono::hours(1)) remedies.insert(remedies.begin(), c.with(&contract::deadline, needed));
  if (c.deadline >= termination(s, milliseconds(1)))
    remedies.push_back(c.with(&contract::delay_bound, (c.deadline - termination(s, milliseconds(0))) / 3));
  r.reject("a deadline of " + time_text(c.deadline) + " with a delay_bound of " + time_text(c.delay_bound),
           "delivery takes up to " + time_text(needed) +
               ": batch, append and acknowledgement, and twice the clocks' error; flushes come on top",
           {"deadline", "delay_bound"}, std::move(remedies));
}

void only_unordered_may_be_lost(const situation& s, ruling& r) {
  const auto& c = s.c;
  if (!c.lossy) return;
  const auto kept = c.with(&contract::lossy, false);
  if (c.deadline.count() == 0)
    r.reject("lossy without a deadline", "nothing is ever late", {"lossy", "deadline"},
             {kept, c.with(&contract::deadline, milliseconds(1000))});
  if (!(c.orders == order_set{order::unordered}))
    r.reject("lossy in a group with orders " + written(c.orders),
             "a message that is dropped breaks its sender's order for all that follow", {"lossy", "orders"},
             {kept,
              c.with(&contract::orders, order_set{order::unordered}).with(&contract::default_order, order::unordered)});
  if (c.atomic || c.virtual_synchrony)
    r.reject(std::string("lossy messages that are ") + (c.atomic ? "atomic" : "virtually synchronous"),
             "each receiver drops by its own clock, so some have delivered what others have not",
             {"lossy", "atomic", "virtual_synchrony"},
             {kept, c.with(&contract::atomic, false).with(&contract::virtual_synchrony, false)});
}

void deadlines_decide_in_total_order(const situation& s, ruling& r) {
  if (s.c.deadline.count() <= 0 || s.c.lossy || s.has(order::total)) return;
  r.warn(
      "a deadline in a group without total order",
      "nothing expires everywhere: each receiver judges by its own clock, and late messages are delivered with a flag",
      {"deadline", "orders"});
}

void leases_need_clock_rates(const situation& s, ruling& r) {
  const auto& c = s.c;
  if (c.reads != reads::lease) return;
  // Partitionable and Byzantine groups have none at all: G9 and G6 say so.
  if (s.is_partitionable() || s.is(failure_model::byzantine)) return;
  const auto asked = c.with(reads::linearizable);
  if (c.clock_rate_ppm == 0)
    r.reject("lease reads without a bound on clock rates (clock_rate_ppm = 0)",
             "a leader whose clock is slow would answer after another was elected (R2)", {"clock_rate_ppm", "reads"},
             {asked, c.with(&contract::clock_rate_ppm, 200u)});
  if (c.clock_margin.count() == 0)
    r.reject(
        "lease reads with clock_margin = 0", "some time passes between looking at the clock and answering (R2)",
        {"clock_margin", "reads"},
        {asked, c.with(&contract::clock_margin, milliseconds(10)), c.with(&contract::clock_margin, milliseconds(1))});
  const auto limit = lease_limit(c);
  const auto least = c.lease.count() > 0 ? microseconds(c.lease) : microseconds(1000);
  if (limit >= least) return;
  std::vector<contract> remedies{asked};
  auto shorter = c;
  if (limit >= milliseconds(1)) remedies.push_back(c.with(&contract::lease, milliseconds(0)));
  shorter.clock_margin = milliseconds(1);
  if (lease_limit(shorter) >= least) remedies.push_back(shorter);
  // E_min (1 - rho) >= lease + eps
  const auto rate = 1'000'000 - static_cast<std::int64_t>(std::min(c.clock_rate_ppm, 500'000u));
  remedies.push_back(
      c.with(&contract::election_min,
             milliseconds((std::chrono::ceil<milliseconds>(least) + c.clock_margin).count() * 1'000'000 / rate + 1)));
  remedies.push_back(c.with(&contract::clock_rate_ppm, 200u));
  r.reject(c.lease.count() > 0 ? "a lease of " + time_text(c.lease) + " with election_min " + time_text(c.election_min)
                               : "no lease fits between election_min " + time_text(c.election_min) +
                                     " and clock_margin " + time_text(c.clock_margin),
           "at most E_min (1 - rho) - eps = " + std::to_string(limit.count()) +
               " us: then voters may elect another leader (R2)",
           {c.lease.count() > 0 ? "lease" : "clock_margin", "election_min", "reads"}, std::move(remedies));
}

void elections_outlast_heartbeats(const situation& s, ruling& r) {
  const auto& c = s.c;
  if (c.election_min >= 4 * c.heartbeat) return;
  std::vector<contract> remedies{c.with(&contract::election_min, 4 * c.heartbeat)};
  if (c.election_min >= milliseconds(4))
    remedies.insert(remedies.begin(), c.with(&contract::heartbeat, c.election_min / 4));
  r.reject("election_min of " + time_text(c.election_min) + " is below 4 heartbeats of " + time_text(c.heartbeat),
           "one late packet would unseat a leader; raise it to " + time_text(4 * c.heartbeat),
           {"election_min", "heartbeat"}, std::move(remedies));
}

void exclusion_outlasts_elections(const situation& s, ruling& r) {
  const auto& c = s.c;
  if (c.fail_after >= 2 * c.election_min) return;
  std::vector<contract> remedies{c.with(&contract::fail_after, 2 * c.election_min)};
  if (c.fail_after >= milliseconds(8)) remedies.push_back(c.with(&contract::election_min, c.fail_after / 2));
  r.reject(
      "fail_after of " + time_text(c.fail_after) + " is below 2 election_min of " + time_text(c.election_min),
      "a member must not be excluded before a leader could be replaced; raise it to " + time_text(2 * c.election_min),
      {"fail_after", "election_min"}, std::move(remedies));
}

}  // namespace cohort::contracts
