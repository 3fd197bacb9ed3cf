#pragma once

#include <cohort/divergence.hpp>
#include <cohort/types.hpp>

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

namespace cohort::divergence {

/// One life of a replica.
struct replica_id {
  member_id who = no_member;
  incarnation inc = 0;
  auto operator<=>(const replica_id&) const = default;
};

/// What a replica's state was behind the message at `position` of the total order.
struct report {
  std::uint64_t position = 0;
  std::uint64_t digest = 0;
};

struct finding {
  divergence_verdict what = divergence_verdict::agreed;
  std::uint64_t position = 0;
  std::vector<member_id> odd;  ///< ascending; `undecided`: all that were compared
  bool operator==(const finding&) const = default;
};

/// Compares the digests which the replicas of one group take at the same positions. Pure; one thread at a time.
///
/// Crash model: digests are of deterministic machines, so a difference shows an error of the program, of memory or of a disk, and
/// the majority is taken to be right. A replica speaks for itself alone, and no report of an earlier incarnation counts.
/// Memory is bounded: so many reports of each member.
class watch {
public:
  static constexpr std::size_t reports_max = 64;  ///< of each member
  static constexpr std::size_t patience = 4;      ///< own later reports after which a position waits for nobody any more

  /// `odd`: in an earlier life our state was found to differ, which nobody needs to be told again.
  explicit watch(member_id self, bool odd = false) : self_(self) {
    if (odd) last_ = {divergence_verdict::differs, 0, {self}};
  }

  /// These have a state, and take part.
  void view_installed(std::vector<replica_id> active);
  /// Our state was replaced: what it was before says nothing of it.
  void restored() { reports_.erase(self_); }
  void own(const report& r);
  void reported(const replica_id& from, const report& r);

  /// What is new since the last time: a difference, other members that differ, or that all agree again.
  std::vector<finding> take() { return std::exchange(news_, {}); }
  /// The newest, whether told or not.
  const finding& last() const { return last_; }
  std::uint64_t agreed_at() const { return agreed_at_; }
  std::uint64_t comparisons() const { return comparisons_; }
  std::uint64_t differences() const { return differences_; }

private:
  struct member_reports {
    incarnation inc = 0;
    std::uint64_t newest = 0;  ///< position
    std::deque<report> all;  ///< ascending by position
  };
  struct compared {
    std::vector<std::pair<member_id, std::uint64_t>> digests;
  };
  void add(member_reports& of, const report& r);
  std::map<std::uint64_t, compared> gather() const;
  void judge();
  void tell(finding f, bool final);

  member_id self_;
  std::vector<replica_id> active_;
  std::map<member_id, member_reports> reports_;
  std::uint64_t judged_ = 0;  ///< positions up to here are settled
  finding last_;
  std::vector<finding> news_;
  std::uint64_t agreed_at_ = 0, comparisons_ = 0, differences_ = 0;
};

}  // namespace cohort::divergence
