#include "framework/simulation/explore/known_members.hpp"

namespace cohort::sim::explore {

using namespace protocol;

std::uint32_t known_members::name(std::unique_ptr<member> m) {
  const auto [at, fresh] = member_names_.try_emplace(digest(*m), static_cast<std::uint32_t>(members_.size()));
  if (!fresh) return at->second;
  abilities can;
  can.up = m->up;
  can.elect = m->timer(input::kind::elect, options_).has_value();
  can.suspect = scope_.suspects && m->timer(input::kind::suspect, options_).has_value();
  can.ended = scope_.probes && m->timer(input::kind::ended, options_).has_value();
  can.lapse = scope_.lapses > 0 && m->timer(input::kind::lapse, options_).has_value();
  can.expire = m->timer(input::kind::expire, options_).has_value();
  unsigned mine = 0, seen = 0;
  for (const auto& submission : scope_.submissions) mine += submission.node == m->node;
  can.submit = m->up && m->submitted < mine;
  can.leads = m->up && m->inside().role == core_role::leader;
  can.unsynced = static_cast<std::uint32_t>(m->unsynced.size());
  for (const auto& e : m->told.events) {
    if (e.what == story::kind::batch) seen |= 1u << e.message;
    if (e.what == story::kind::view) can.new_view = true;
  }
  can.complete = m->up && seen + 1 == 1u << scope_.submissions.size();
  abilities_.push_back(can);
  members_.push_back(std::move(m));
  return at->second;
}

std::uint32_t known_members::name(const letter& l) {
  const auto [at, fresh] = letter_names_.try_emplace(digest(l), static_cast<std::uint32_t>(letters_.size()));
  if (fresh) letters_.push_back(l);
  return at->second;
}

const step_result& known_members::step_of(std::uint32_t who, input what) {
  const auto key = std::uint64_t(who) << 32 | std::uint64_t(what.what) << 28 | what.number;
  if (const auto known = steps_.find(key); known != steps_.end()) return known->second;
  std::vector<letter> sent;
  const auto* arriving = what.what == input::kind::arrive ? &letters_[what.number] : nullptr;
  auto next = step(scope_, *members_[who], what, arriving, sent);
  step_result r;
  r.next = name(std::move(next));
  for (const auto& l : sent) r.sent.push_back(name(l));
  r.idle = r.next == who && r.sent.empty();
  return steps_.emplace(key, std::move(r)).first->second;
}

}  // namespace cohort::sim::explore
