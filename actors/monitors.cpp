#include "actors/monitors.hpp"

#include "actors/caf_compat.hpp"

#include <algorithm>
#include <utility>

namespace cohort {

const char* to_string(down_reason r) {
  switch (r) {
    case down_reason::left: return "left";
    case down_reason::failed: return "failed";
    case down_reason::excluded: return "excluded";
    case down_reason::removed: return "removed";
    case down_reason::replaced: return "replaced";
    case down_reason::recovered: return "recovered";
    case down_reason::partitioned: return "partitioned";
    case down_reason::ended: return "ended";
    case down_reason::stopped: return "stopped";
    case down_reason::deleted: return "deleted";
    case down_reason::diverged: return "diverged";
    case down_reason::cut_off: return "cut off";
    case down_reason::unknown: return "unknown";
  }
  return "?";
}

namespace detail {
namespace {

/// What the view tells of the member, in words.
std::string told_of(const group_view& v, const std::string& name) {
  std::string all;
  for (const auto& c : v.changes)
    if (c.name == name) all += (all.empty() ? "" : ", ") + std::string(to_string(c.cause));
  return all.empty() ? "it is not in the view" : all;
}

/// Why a member is in the view no more, nor one of its name.
down_reason why_gone(const group_view& v, const std::string& name, bool partitionable) {
  const auto told = [&](change_cause cause) {
    return std::ranges::any_of(v.changes, [&](const auto& c) { return c.name == name && c.cause == cause; });
  };
  if (told(change_cause::removed)) return down_reason::removed;
  if (told(change_cause::left)) return down_reason::left;
  if (told(change_cause::cut_off)) return down_reason::cut_off;
  if (told(change_cause::excluded)) return down_reason::excluded;
  if (told(change_cause::replaced)) return down_reason::replaced;
  return partitionable && !told(change_cause::failed) ? down_reason::partitioned : down_reason::failed;
}

/// A key of `by_key_` for an actor that is watched itself.
std::string name_of(const void* actor) { return "#" + std::to_string(reinterpret_cast<std::uintptr_t>(actor)); }

caf::abstract_actor* place_of(const caf::actor& who) { return caf::actor_cast<caf::abstract_actor*>(who); }

down_reason reason_of(const caf::error& why) {
  return !why || why == caf::exit_reason::user_shutdown ? down_reason::ended : down_reason::failed;
}

}  // namespace

void monitors::send(letters&& all) {
  for (auto& [whom, what] : all) cc::hand_over(whom, std::move(what));
}

/// Nothing: it is up, or may still turn out to be.
std::optional<monitors::standing> monitors::standing_of(const key& k) const {
  const auto& [what, group, name] = k;
  const auto never = [](std::string why) { return standing{false, down_reason::unknown, std::move(why), 0, 0, 0}; };
  if (what == down_kind::node && !facts_.is_node(name)) return never("no node is named " + name);
  if ((what == down_kind::group || what == down_kind::member) && !facts_.is_group(group)) return never("this node hosts no group " + group);
  if (what == down_kind::process) {
    const auto child = facts_.child(name);
    if (!child) return never("no child is at " + name);
    if (child->state != "ended" && child->state != "stuck") return std::nullopt;
    return standing{false, child->last_cause.empty() ? down_reason::ended : down_reason::failed, child->last_cause, 0, 0, 0};
  }
  const auto known = standings_.find(k);
  if (known != standings_.end()) return known->second.up ? std::nullopt : std::optional(known->second);
  if (what != down_kind::member) return std::nullopt;
  const auto seen = groups_.find(group);
  if (seen == groups_.end() || !seen->second.seen) return std::nullopt;  // the first view will tell
  auto none = never(name + " is no member of group " + group);
  none.view = seen->second.newest;
  return none;
}

/// True if it is to be attached to: nobody has yet.
bool monitors::await(const caf::actor& who) {
  return awaited_.try_emplace(place_of(who), awaited{caf::actor_cast<caf::actor_addr>(who), {}}).second;
}

/// One functor for each actor, however often it watches or is watched: it cannot be taken back. Called at once if it has ended.
void monitors::attach(const caf::actor& who) {
  place_of(who)->attach_functor([weak = weak_from_this(), place = static_cast<const void*>(place_of(who))](const caf::error& why) {
    if (const auto self = weak.lock()) self->actor_ended(place, reason_of(why), cc::text(why));
  });
}

monitor_id monitors::add(const monitored& what, const caf::actor& whom) {
  monitor_id id = 0;
  key k{what.what, what.group, what.name};
  letters now;
  std::vector<caf::actor> fresh;
  {
    std::lock_guard guard(mutex_);
    id = next_++;
    if (what.actor) std::get<2>(k) = name_of(place_of(what.actor));
    const auto gone = what.actor ? std::nullopt : standing_of(k);
    if (!gone) {
      watches_[id] = {k, caf::actor_cast<caf::actor_addr>(whom), place_of(whom)};
      by_key_[k].insert(id);
      if (await(whom)) fresh.push_back(whom);
      awaited_[place_of(whom)].watching.insert(id);
      if (what.actor && await(what.actor)) fresh.push_back(what.actor);
    } else {
      now.push_back({whom, {id, what.what, what.group, what.name, gone->reason, gone->why, gone->view}});
    }
  }
  send(std::move(now));
  for (const auto& who : fresh) attach(who);
  return id;
}

/// Takes it out of everything but `by_key_`.
void monitors::forget(monitor_id which) {
  const auto known = watches_.find(which);
  const auto whom = awaited_.find(known->second.place);
  if (whom != awaited_.end()) whom->second.watching.erase(which);
  watches_.erase(known);
}

bool monitors::remove(monitor_id which) {
  std::lock_guard guard(mutex_);
  const auto known = watches_.find(which);
  if (known == watches_.end()) return false;
  const auto of = by_key_.find(known->second.of);
  of->second.erase(which);
  if (of->second.empty()) by_key_.erase(of);
  forget(which);
  return true;
}

monitors::figures monitors::held() const {
  std::lock_guard guard(mutex_);
  return {watches_.size(), awaited_.size()};
}

void monitors::actor_ended(const void* who, down_reason why, const std::string& text) {
  letters out;
  {
    std::lock_guard guard(mutex_);
    set_down({down_kind::process, {}, name_of(who)}, {false, why, text, 0, 0, 0}, out);
    const auto known = awaited_.find(who);
    if (known != awaited_.end()) {
      for (const auto id : known->second.watching) {
        const auto w = watches_.find(id);
        const auto of = by_key_.find(w->second.of);
        of->second.erase(id);
        if (of->second.empty()) by_key_.erase(of);
        watches_.erase(w);
      }
      awaited_.erase(known);
    }
  }
  send(std::move(out));
}

void monitors::set_up(const key& k, incarnation inc, std::uint64_t identity) { standings_[k] = {true, {}, {}, 0, inc, identity}; }

void monitors::set_down(const key& k, standing s, letters& out) {
  const auto& [what, group, name] = k;
  const auto at = by_key_.find(k);
  if (at != by_key_.end()) {
    for (const auto id : at->second) {
      const auto w = watches_.find(id);
      // An actor of its own has a number where others have a name.
      const auto shown = what == down_kind::process && name.starts_with('#') ? std::string() : name;
      if (auto whom = caf::actor_cast<caf::actor>(w->second.whom)) out.push_back({std::move(whom), {id, what, group, shown, s.reason, s.why, s.view}});
      forget(id);
    }
    by_key_.erase(at);
  }
  if (what != down_kind::process) standings_[k] = std::move(s);
}

void monitors::node_up(const std::string& name) {
  std::lock_guard guard(mutex_);
  set_up({down_kind::node, {}, name});
}

void monitors::node_down(const std::string& name, down_reason why, const std::string& text) {
  letters out;
  {
    std::lock_guard guard(mutex_);
    set_down({down_kind::node, {}, name}, {false, why, text, 0, 0, 0}, out);
  }
  send(std::move(out));
}

void monitors::child_ended(const std::string& path, down_reason why, const std::string& text) {
  letters out;
  {
    std::lock_guard guard(mutex_);
    set_down({down_kind::process, {}, path}, {false, why, text, 0, 0, 0}, out);
  }
  send(std::move(out));
}

void monitors::view(const std::string& group, const group_view& now, bool partitionable) {
  letters out;
  {
    std::lock_guard guard(mutex_);
    auto& g = groups_[group];
    if (g.seen && now.number <= g.newest) return;  // redone after a restart
    const bool first = !std::exchange(g.seen, true);
    g.newest = now.number;
    struct life {
      incarnation inc = 0;
      std::uint64_t identity = 0;
    };
    std::map<std::string, life> there;
    for (const auto& m : now.members) {
      if (m.active) there[m.name] = {m.incarnation, m.identity};
      if (m.witness && m.voter) there[m.name] = {0, m.identity};  // its incarnation is never told anew
    }
    const auto down_in = [&](const std::string& name, const standing* before) {
      const auto next = there.find(name);
      const auto reason = next == there.end() || !before             ? why_gone(now, name, partitionable)
                          : next->second.identity == before->identity ? down_reason::recovered
                                                                      : down_reason::replaced;
      return standing{false, reason, told_of(now, name), now.number, 0, 0};
    };
    const auto of_group = [&](const key& k) { return std::get<0>(k) == down_kind::member && std::get<1>(k) == group; };
    const key least{down_kind::member, group, {}};
    for (auto at = standings_.lower_bound(least); at != standings_.end() && of_group(at->first); ++at) {
      const auto& [k, s] = *at;
      if (!s.up) continue;
      const auto still = there.find(std::get<2>(k));
      if (still == there.end() || still->second.inc != s.inc || still->second.identity != s.identity) set_down(k, down_in(std::get<2>(k), &s), out);
    }
    if (first)  // whoever was waited for and is not there
      for (auto at = by_key_.lower_bound(least); at != by_key_.end() && of_group(at->first);) {
        const auto k = (at++)->first;
        if (!there.contains(std::get<2>(k))) set_down(k, down_in(std::get<2>(k), nullptr), out);
      }
    for (const auto& [name, life] : there) set_up({down_kind::member, group, name}, life.inc, life.identity);
    g.inside = now.active_here;
    if (partitionable) g.primary = true;  // every component goes on
    settle(group, down_reason::excluded, "this node is not active in view " + std::to_string(now.number), out);
  }
  send(std::move(out));
}

void monitors::primary(const std::string& group, bool is_so) {
  letters out;
  {
    std::lock_guard guard(mutex_);
    groups_[group].primary = is_so;
    settle(group, down_reason::partitioned, "no contact with a quorum", out);
  }
  send(std::move(out));
}

void monitors::part_ended(const std::string& group, down_reason reason, const std::string& why) {
  letters out;
  {
    std::lock_guard guard(mutex_);
    auto& g = groups_[group];
    g.inside = g.primary = false;
    settle(group, reason, why, out);
  }
  send(std::move(out));
}

void monitors::settle(const std::string& group, down_reason reason, const std::string& why, letters& out) {
  const key k{down_kind::group, group, {}};
  const auto& g = groups_[group];
  const auto known = standings_.find(k);
  const bool was = known != standings_.end() && known->second.up;
  if (g.inside && g.primary) set_up(k);
  else if (was) set_down(k, {false, reason, why, g.newest, 0, 0}, out);
}

void monitors::group_deleted(const std::string& group) {
  letters out;
  {
    std::lock_guard guard(mutex_);
    const standing gone{false, down_reason::deleted, "the group was deleted", groups_[group].newest, 0, 0};
    std::vector<key> all;
    for (const auto& [k, watchers] : by_key_)
      if ((std::get<0>(k) == down_kind::group || std::get<0>(k) == down_kind::member) && std::get<1>(k) == group) all.push_back(k);
    for (const auto& k : all) set_down(k, gone, out);
    std::erase_if(standings_, [&](const auto& each) { return std::get<1>(each.first) == group; });
    groups_.erase(group);
  }
  send(std::move(out));
}

void monitors::runtime_ended() {
  letters out;
  {
    std::lock_guard guard(mutex_);
    std::erase_if(standings_, [](auto& each) { return std::get<0>(each.first) == down_kind::node; });
    for (auto& [group, g] : groups_) {
      g.inside = g.primary = false;
      settle(group, down_reason::stopped, "this node's replicas ended", out);
    }
  }
  send(std::move(out));
}

}  // namespace detail
}  // namespace cohort
