#include "framework/rpc/collator.hpp"

#include <algorithm>

namespace cohort::rpc {
namespace {

call_end verdict(const collation& how, const call_report& r) {
  const auto members = r.members.size(), answered = r.count(member_standing::answered),
             awaited = r.count(member_standing::awaited);
  const auto needs = [&](std::size_t wanted) {
    return answered >= wanted ? call_end::met : answered + awaited < wanted ? call_end::unmet : call_end::open;
  };
  switch (how.how) {
    case collate::none:
      return call_end::met;
    case collate::first:
      return needs(1);
    case collate::some:
      return needs(std::max(1u, how.count));
    case collate::majority:
      return needs(members / 2 + 1);
    case collate::all:
      if (awaited > 0) return call_end::open;
      return answered > 0 && r.count(member_standing::too_large) == 0 ? call_end::met : call_end::unmet;
    case collate::custom:
      break;
  }
  auto said = judgement::give_up;
  try {
    if (how.judge) said = how.judge(r);
  } catch (...) {
    said = judgement::give_up;
  }
  if (said == judgement::enough) return call_end::met;
  // Nothing can change any more, so it will not be asked again.
  return said == judgement::give_up || awaited == 0 ? call_end::unmet : call_end::open;
}

}  // namespace

void collator::open(std::uint64_t number, const collation& how, protocol::instant deadline) {
  auto& c = calls_[number];
  c.how = how;
  c.deadline = deadline;
}

/// C1, C2: whether it counts.
bool collator::take(call& c, answer&& what) {
  if (what.view != c.at.view || what.to != c.at.caller) return false;
  const auto found = std::ranges::lower_bound(c.who, what.from);
  if (found == c.who.end() || *found != what.from) return false;
  auto& line = c.report.members[static_cast<std::size_t>(found - c.who.begin())];
  if (line.what != member_standing::awaited) return false;
  line.what = what.too_large ? member_standing::too_large : member_standing::answered;
  line.answer = std::move(what.bytes);
  return true;
}

void collator::delivered(std::uint64_t number, const place& at, const std::vector<process>& members, std::optional<answer> own) {
  const auto found = calls_.find(number);
  if (found == calls_.end() || found->second.placed) return;
  auto& c = found->second;
  c.placed = true;
  c.at = at;
  c.who = members;
  c.report.view = at.view;
  c.report.position = at.position;
  c.report.index = at.index;
  c.report.time = at.time;
  for (const auto& p : members)
    c.report.members.push_back({name_of_(p.member), p.inc, member_standing::awaited, {}});
  deadlines_.emplace(c.deadline, number);
  for (auto& a : std::exchange(c.early, {})) take(c, std::move(a));
  if (own) take(c, std::move(*own));
  judge(found);
}

void collator::answered(std::uint64_t number, answer&& what) {
  const auto found = calls_.find(number);
  if (found == calls_.end()) return;
  auto& c = found->second;
  if (c.placed) {
    if (take(c, std::move(what))) judge(found);
    return;
  }
  // C3. What repeats itself takes no more room than once, and a member no more than two lives do.
  const auto same = [&](const answer& a) { return a.from == what.from && a.view == what.view && a.to == what.to; };
  const auto of_member = std::ranges::count(c.early, what.from.member, [](const answer& a) { return a.from.member; });
  if (of_member < 2 && std::ranges::none_of(c.early, same)) c.early.push_back(std::move(what));
}

void collator::undelivered(std::uint64_t number) {
  const auto found = calls_.find(number);
  if (found == calls_.end()) return;
  auto& c = found->second;
  if (!c.placed)
    for (auto& a : c.early) {
      c.report.view = a.view;
      c.report.members.push_back({name_of_(a.from.member), a.from.inc,
                                  a.too_large ? member_standing::too_large : member_standing::answered,
                                  std::move(a.bytes)});
    }
  end(found, call_end::undelivered);
}

void collator::view_installed(const std::vector<process>& active, const std::vector<member_id>& left) {
  std::vector<std::uint64_t> changed;
  for (auto& [number, c] : calls_) {
    bool gone = false;
    for (std::size_t i = 0; i < c.who.size(); ++i) {
      auto& line = c.report.members[i];
      if (line.what != member_standing::awaited || std::ranges::binary_search(active, c.who[i])) continue;
      line.what =
          std::ranges::find(left, c.who[i].member) != left.end() ? member_standing::left : member_standing::failed;
      gone = true;
    }
    if (gone) changed.push_back(number);
  }
  std::ranges::sort(changed);  // the table has no order that repeats
  for (const auto number : changed) judge(calls_.find(number));
}

void collator::cancel(std::uint64_t number) {
  if (const auto found = calls_.find(number); found != calls_.end()) end(found, call_end::cancelled);
}

void collator::expire(protocol::instant now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto found = calls_.find(deadlines_.begin()->second);
    for (auto& line : found->second.report.members)
      if (line.what == member_standing::awaited) line.what = member_standing::late;
    end(found, call_end::late);
  }
}

void collator::stop() {
  while (!calls_.empty()) end(calls_.begin(), call_end::stopped);
}

void collator::judge(calls::iterator c) {
  if (const auto why = verdict(c->second.how, c->second.report); why != call_end::open) end(c, why);
}

void collator::end(calls::iterator c, call_end why) {
  c->second.report.end = why;
  deadlines_.erase({c->second.deadline, c->first});
  ended_.push_back({c->first, c->second.placed, std::move(c->second.report)});
  calls_.erase(c);
}

}  // namespace cohort::rpc
