#include "framework/divergence/watch.hpp"

#include <algorithm>
#include <optional>

namespace cohort::divergence {
namespace {

using digests = std::vector<std::pair<member_id, std::uint64_t>>;

/// The digest that most have, and how many.
std::pair<std::uint64_t, std::size_t> most_common(const digests& all) {
  std::map<std::uint64_t, std::size_t> counts;
  for (const auto& [who, digest] : all) ++counts[digest];
  const auto most = std::ranges::max_element(counts, {}, [](const auto& c) { return c.second; });
  return *most;
}

bool one_state(const digests& all) {
  return std::ranges::all_of(all, [&](const auto& d) { return d.second == all.front().second; });
}

std::vector<member_id> members_but(const digests& all, std::optional<std::uint64_t> digest) {
  std::vector<member_id> others;
  for (const auto& [who, has] : all)
    if (has != digest) others.push_back(who);
  return others;
}

}  // namespace

void watch::view_installed(std::vector<replica_id> active) {
  active_ = std::move(active);
  judge();
}

void watch::add(member_reports& of, const report& r) {
  // Positions only grow within a life; what is redone from the journal was compared before.
  if (r.position <= of.newest) return;
  of.newest = r.position;
  of.all.push_back(r);
  if (of.all.size() > reports_max) of.all.pop_front();
}

void watch::own(const report& r) {
  add(reports_[self_], r);
  judge();
}

void watch::reported(const replica_id& from, const report& r) {
  if (from.who == self_ || r.position <= judged_) return;
  for (const auto& a : active_)
    if (a.who == from.who && from.inc < a.inc) return;
  auto& of = reports_[from.who];
  if (from.inc < of.inc) return;
  if (from.inc > of.inc) of = {.inc = from.inc, .newest = 0, .all = {}};
  add(of, r);
  judge();
}

std::map<std::uint64_t, watch::compared> watch::gather() const {
  std::map<std::uint64_t, compared> at;
  for (const auto& a : active_) {
    const auto of = reports_.find(a.who);
    if (of == reports_.end() || (a.who != self_ && of->second.inc != a.inc)) continue;
    for (const auto& r : of->second.all)
      if (r.position > judged_) at[r.position].digests.emplace_back(a.who, r.digest);
  }
  return at;
}

void watch::judge() {
  const auto at = gather();
  std::uint64_t settled = judged_;  // nobody is waited for up to here
  for (const auto& [position, c] : at)
    if (c.digests.size() == active_.size()) settled = position;
  const auto own = reports_.find(self_);
  if (own != reports_.end() && own->second.all.size() > patience)
    settled = std::max(settled, own->second.all[own->second.all.size() - 1 - patience].position);
  for (const auto& [position, c] : at) {
    const bool final = position <= settled;
    if (c.digests.size() < 2) continue;
    if (final) ++comparisons_;
    if (one_state(c.digests)) {
      // That a part of the replicas agrees says nothing of the others.
      if (c.digests.size() < active_.size()) continue;
      agreed_at_ = position;
      tell({divergence_verdict::agreed, position, {}}, true);
      continue;
    }
    if (final) ++differences_;
    const auto [digest, count] = most_common(c.digests);
    if (2 * count > active_.size()) tell({divergence_verdict::differs, position, members_but(c.digests, digest)}, final);
    else if (final) tell({divergence_verdict::undecided, position, members_but(c.digests, std::nullopt)}, true);
  }
  judged_ = settled;
  for (auto& [who, of] : reports_)
    while (!of.all.empty() && of.all.front().position <= judged_) of.all.pop_front();
}

/// While some have not reported, those who differ may be fewer than in the end: only what is worse than known is told then.
void watch::tell(finding f, bool final) {
  std::ranges::sort(f.odd);
  if (f.what == last_.what && (final ? f.odd == last_.odd : std::ranges::includes(last_.odd, f.odd))) {
    last_.position = f.position;
    return;
  }
  last_ = f;
  news_.push_back(std::move(f));
}

}  // namespace cohort::divergence
