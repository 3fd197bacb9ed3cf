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
    case down_reason::unknown: return "unknown";
  }
  return "?";
}

namespace detail {
namespace {

down_reason reason_of(const std::string& cause) {
  if (cause == "left") return down_reason::left;
  if (cause == "excluded") return down_reason::excluded;
  if (cause == "removed") return down_reason::removed;
  if (cause == "replaced") return down_reason::replaced;
  if (cause == "recovered" || cause == "joined") return down_reason::recovered;
  return down_reason::failed;
}

/// Why the member is not what it was, as the view tells it.
const std::string* cause_in(const group_view& v, const std::string& name) {
  const auto at = std::ranges::find(v.changes, name, &group_view::change::name);
  return at == v.changes.end() ? nullptr : &at->cause;
}

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
  const auto never = [](std::string why) { return standing{false, down_reason::unknown, std::move(why), 0, 0}; };
  if (what == down_kind::node && !facts_.is_node(name)) return never("no node is named " + name);
  if ((what == down_kind::group || what == down_kind::member) && !facts_.is_group(group)) return never("this node hosts no group " + group);
  if (what == down_kind::process) {
    const auto child = facts_.child(name);
    if (!child) return never("no child is at " + name);
    if (child->state != "ended" && child->state != "stuck") return std::nullopt;
    return standing{false, child->last_cause.empty() ? down_reason::ended : down_reason::failed, child->last_cause, 0, 0};
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

monitor_id monitors::add(const monitored& what, const caf::actor& whom) {
  monitor_id id = 0;
  key k{what.what, what.group, what.name};
  letters now;
  {
    std::lock_guard guard(mutex_);
    id = next_++;
    if (what.actor) std::get<2>(k) = "#" + std::to_string(id);  // a thing of its own
    const auto gone = what.actor ? std::nullopt : standing_of(k);
    if (!gone) {
      watches_[id] = {k, caf::actor_cast<caf::actor_addr>(whom)};
      by_key_[k].insert(id);
    } else {
      now.push_back({whom, {id, what.what, what.group, what.name, gone->reason, gone->why, gone->view}});
    }
  }
  send(std::move(now));
  if (!what.actor) return id;
  // Called at once if it has ended.
  caf::actor_cast<caf::abstract_actor*>(what.actor)->attach_functor([weak = weak_from_this(), path = std::get<2>(k)](const caf::error& why) {
    if (const auto self = weak.lock()) self->child_ended(path, reason_of(why), cc::text(why));
  });
  return id;
}

bool monitors::remove(monitor_id which) {
  std::lock_guard guard(mutex_);
  const auto known = watches_.find(which);
  if (known == watches_.end()) return false;
  const auto of = by_key_.find(known->second.of);
  of->second.erase(which);
  if (of->second.empty()) by_key_.erase(of);
  watches_.erase(known);
  return true;
}

void monitors::set_up(const key& k, incarnation inc) { standings_[k] = {true, {}, {}, 0, inc}; }

void monitors::set_down(const key& k, standing s, letters& out) {
  const auto& [what, group, name] = k;
  const auto at = by_key_.find(k);
  if (at != by_key_.end()) {
    for (const auto id : at->second) {
      const auto w = watches_.find(id);
      // An actor of its own has a number where others have a name.
      const auto shown = what == down_kind::process && name.starts_with('#') ? std::string() : name;
      if (auto whom = caf::actor_cast<caf::actor>(w->second.whom)) out.push_back({std::move(whom), {id, what, group, shown, s.reason, s.why, s.view}});
      watches_.erase(w);
    }
    by_key_.erase(at);
  }
  if (what != down_kind::process) standings_[k] = std::move(s);
}

void monitors::node_up(const std::string& name) {
  std::lock_guard guard(mutex_);
  set_up({down_kind::node, {}, name}, 0);
}

void monitors::node_down(const std::string& name, down_reason why, const std::string& text) {
  letters out;
  {
    std::lock_guard guard(mutex_);
    set_down({down_kind::node, {}, name}, {false, why, text, 0, 0}, out);
  }
  send(std::move(out));
}

void monitors::child_ended(const std::string& path, down_reason why, const std::string& text) {
  letters out;
  {
    std::lock_guard guard(mutex_);
    set_down({down_kind::process, {}, path}, {false, why, text, 0, 0}, out);
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
    std::map<std::string, incarnation> active;
    for (const auto& m : now.members)
      if (m.active) active[m.name] = m.incarnation;
    const auto down_in = [&](const std::string& name) {
      const auto* cause = cause_in(now, name);
      const auto reason = cause ? reason_of(*cause) : partitionable ? down_reason::partitioned : down_reason::failed;
      return standing{false, reason, cause ? *cause : "it is not in the view", now.number, 0};
    };
    const auto of_group = [&](const key& k) { return std::get<0>(k) == down_kind::member && std::get<1>(k) == group; };
    const key least{down_kind::member, group, {}};
    for (auto at = standings_.lower_bound(least); at != standings_.end() && of_group(at->first); ++at) {
      const auto& [k, s] = *at;
      if (!s.up) continue;
      const auto still = active.find(std::get<2>(k));
      if (still == active.end() || still->second != s.inc) set_down(k, down_in(std::get<2>(k)), out);
    }
    if (first)  // whoever was waited for and is not there
      for (auto at = by_key_.lower_bound(least); at != by_key_.end() && of_group(at->first);) {
        const auto k = (at++)->first;
        if (!active.contains(std::get<2>(k))) set_down(k, down_in(std::get<2>(k)), out);
      }
    for (const auto& [name, inc] : active) set_up({down_kind::member, group, name}, inc);
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
  if (g.inside && g.primary) set_up(k, 0);
  else if (was) set_down(k, {false, reason, why, g.newest, 0}, out);
}

void monitors::group_deleted(const std::string& group) {
  letters out;
  {
    std::lock_guard guard(mutex_);
    const standing gone{false, down_reason::deleted, "the group was deleted", groups_[group].newest, 0};
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
