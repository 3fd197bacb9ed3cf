// Members, quorums, witnesses (sections 1, 6, 7).
#include "framework/contract/rules.hpp"

namespace cohort::contracts {
namespace {

constexpr unsigned members_max = 64;

std::string counted(unsigned n, const char* what) { return std::to_string(n) + ' ' + what + (n == 1 ? "" : "s"); }

}  // namespace

void roster_has_a_size(const situation& s, ruling& r) {
  if (s.n() >= 1 && s.n() <= members_max) return;
  r.reject(counted(s.n(), "member"), "a group has 1 to 64 members: name them in [members]", {}, {});
}

void failures_fit_the_roster(const situation& s, ruling& r) {
  if (s.is(failure_model::byzantine)) return;  // G6 counts those
  const auto& c = s.c;
  if (c.failures_tolerated > s.q.tolerated)
    r.reject(counted(c.failures_tolerated, "failure") + " cannot be tolerated by " + counted(s.n(), "member"),
             "a quorum is " + std::to_string(s.q.quorum) + " of " + std::to_string(s.n()) +
                 ", so the others go on after " + counted(s.q.tolerated, "failure"),
             {"failures_tolerated"}, {c.with(&contract::failures_tolerated, s.q.tolerated)});
  // W4: with `min_copies` the members with payload may be what runs out first.
  const unsigned spare = s.q.data > c.min_copies ? s.q.data - c.min_copies : 0;
  if (c.failures_tolerated > spare && c.failures_tolerated <= s.q.tolerated && c.min_copies <= s.q.data)
    r.reject(counted(c.failures_tolerated, "failure") + " and min_copies = " + std::to_string(c.min_copies) + " with " +
                 counted(s.q.data, "member") + " that hold payload",
             "after so many failures fewer than min_copies could be left, and nothing would be committed any more (W4)",
             {"min_copies", "failures_tolerated"},
             {c.with(&contract::failures_tolerated, spare),
              c.with(&contract::min_copies, std::max(1u, s.q.data - std::min(s.q.data, c.failures_tolerated))),
              c.with(&contract::witnesses, 0u)});
}

void group_is_large_enough(const situation& s, ruling& r) {
  if (s.is_partitionable() || s.is(failure_model::fail_stop) || s.is(failure_model::byzantine)) return;
  const auto n = s.n();
  const bool any_safe = s.c.orders.has_any({order::safe_fifo, order::safe_causal, order::total});
  if (n > 0 && n < 3 && any_safe && !s.c.single)
    r.reject("safe or total order in a group of " + counted(n, "member"),
             n == 2 ? "a quorum of two is both: either's failure stops the group. Add a third member, if only a "
                      "witness, or say single = true"
                    : "its failure stops the group, and its disk is the only copy. Add members up to three, or say "
                      "single = true",
             {"single"}, {s.c.with(&contract::single, true)});
  if (n > 0 && n % 2 == 0)
    r.warn(
        "an even number of members, " + std::to_string(n),
        "it tolerates no more failures than " + std::to_string(n - 1) + " do, and waits for one acknowledgement more",
        {});
}

void witnesses_are_voters(const situation& s, ruling& r) {
  const auto& c = s.c;
  if (c.witnesses == 0) return;
  const auto none = c.with(&contract::witnesses, 0u);
  if (s.is_volatile())
    r.reject("witnesses in a volatile group", "one false suspicion and one crash would block it for ever (W5)",
             {"witnesses", "durability"}, {none, c.with(durability::journaled)});
  if (s.is_partitionable())
    r.reject("witnesses in a partitionable group",
             "a component's quorum is all of it; a voter without payload adds nothing (P2)",
             {"witnesses", "partitions"}, {none, c.with(&contract::partitions, partition_policy::primary)});
  if (s.is(failure_model::byzantine))
    r.reject("witnesses in a Byzantine group", "a vote for payload that was not seen proves nothing (B3)",
             {"witnesses", "model"}, {none, c.with(&contract::model, failure_model::crash)});
  const unsigned most = s.n() / 2;  // Q - 1
  if (c.witnesses > most)
    r.reject(counted(c.witnesses, "witness") + " of " + counted(s.n(), "member"),
             "at most Q - 1 = " + std::to_string(most) + " may be: else a quorum could hold no payload", {"witnesses"},
             {c.with(&contract::witnesses, most), none});
}

void members_policy_fits(const situation& s, ruling& r) {
  const auto& c = s.c;
  if (c.min_copies > std::max(1u, s.q.data))
    r.reject(
        "min_copies = " + std::to_string(c.min_copies) + " with " + counted(s.q.data, "member") + " that hold payload",
        "nothing could ever be committed", {"min_copies", "witnesses"},
        {c.with(&contract::min_copies, std::max(1u, s.q.data)), c.with(&contract::witnesses, 0u)});
  if (c.min_voters > s.n())
    r.reject("min_voters = " + std::to_string(c.min_voters) + " with " + counted(s.n(), "member"),
             "there are not so many", {"min_voters"},
             {c.with(&contract::min_voters, s.n()), c.with(&contract::min_voters, 0u)});
  if (c.shrink && (s.is(failure_model::fail_stop) || s.is(failure_model::byzantine)))
    r.reject(std::string("shrink in the ") + to_string(c.model) + " model",
             s.is(failure_model::fail_stop) ? "there the lease authority decides who is left"
                                            : "silence is no proof, and fewer than 3f + 1 tolerate fewer liars",
             {"shrink", "model"}, {c.with(&contract::shrink, false), c.with(&contract::model, failure_model::crash)});
}

}  // namespace cohort::contracts
